"""`edge-assistant export`: a model in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli.output import emit, progress
from edge_assistant.cli.process import in_worker
from edge_assistant.cli.workshop import workshop

if TYPE_CHECKING:
    from edge_assistant_quantize.made import Made


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "form",
    type=click.Choice(["ort", "split", "onnx"]),
    required=True,
    help="ORT format; a Piper voice in two halves; a Piper checkpoint as ONNX.",
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="onnx: the voice that the checkpoint was fine-tuned from.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def export(
    source: Path, output: Path, form: str, like: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Write the model SOURCE in another form to OUTPUT, run both, and say how far apart they are.

    \b
    ort    ONNX to the ORT format of onnxruntime
    split  a Piper voice NAME.onnx to NAME-encoder.onnx and NAME-decoder.onnx
    onnx   a Piper checkpoint, in the graph of the voice that --like names
    """
    if (form == "onnx") != (like is not None):
        raise click.UsageError("--to onnx needs --like, and only it takes one.")

    def tell(what: str, share: float) -> None:
        progress(f"{what} ({share:.0%})")

    def work(_token: object) -> tuple[Made, ...]:
        options: dict[str, Any] = {"overwrite": overwrite, "progress": tell}
        if form == "ort":
            return (workshop("to_ort").to_ort(source, output, **options),)
        if form == "split":
            halves: tuple[Made, ...] = workshop("split_voice").split_voice(source, output, **options)
            return halves
        convert = workshop("convert_piper").convert_piper
        return (convert(source, output, like=like, **options),)

    try:
        made = in_worker(work, "export")
    finally:
        progress("")
    if as_json:
        emit([_described(each) for each in made])
        return
    for each in made:
        types = ", ".join(f"{share.tensors} {share.type_name}" for share in each.types)
        click.echo(f"{each.path}  {each.size_bytes} of {each.source_bytes} bytes  {types}")
        for note in each.notes:
            click.echo(f"  {note}")


def _described(made: Made) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(made) | {"path": str(made.path)}
