"""`edge-assistant export`: a model in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli.output import emit
from edge_assistant.cli.workshop import made_dict, report, showing_progress, workshop

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
@click.option(
    "--voice-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="onnx: JSON of the voice; without it, that of --like.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def export(
    source: Path,
    output: Path,
    form: str,
    like: Path | None,
    voice_config: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the model SOURCE in another form, run both, and say how far apart they are.

    \b
    ort    ONNX to OUTPUT in the ORT format of onnxruntime
    split  a Piper voice to NAME-encoder.onnx and NAME-decoder.onnx, where OUTPUT is NAME.onnx
    onnx   a Piper checkpoint to OUTPUT, in the graph of the voice that --like names
    """
    if (form == "onnx") != (like is not None) or (voice_config is not None and form != "onnx"):
        raise click.UsageError("--to onnx needs --like; no other form takes it or --voice-config.")
    options: dict[str, Any] = {"overwrite": overwrite}
    with showing_progress() as progress:
        options["progress"] = progress
        made: tuple[Made, ...]
        if form == "ort":
            made = (workshop("onnx_models.to_ort").to_ort(source, output, **options),)
        elif form == "split":
            made = workshop("onnx_models.split").split_voice(source, output, **options)
        else:
            convert = workshop("onnx_models.convert_piper").convert_piper
            made = (convert(source, output, like=like, config=voice_config, **options),)
    if as_json:
        emit([made_dict(each) for each in made])
        return
    for each in made:
        report(each, as_json=False)
