"""`edge-assistant convert`: a checkpoint of Hugging Face to a file that the engines load."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge_assistant.cli import output as terminal
from edge_assistant.cli.workshop import made_dict, report, showing_progress, workshop

if TYPE_CHECKING:
    from edge_assistant_quantize.made import Progress

_WHISPER: Final = "WhisperForConditionalGeneration"

_Found = tuple[dict[str, Any], tuple[str, ...]]
"""How two sides compare, by name; and what speaks against the conversion."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "type_name",
    type=click.Choice(["f16", "f32"]),
    default="f16",
    show_default=True,
    help="Of the matrices; vectors stay f32. Whisper files are f16.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@click.option(
    "--check", is_flag=True, help="Run both on the same input, and fail where they differ."
)
@click.option(
    "--sound",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --check of a Whisper: a recording of speech that both hear.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def convert(
    folder: Path,
    output: Path,
    type_name: str,
    overwrite: bool,
    check: bool,
    sound: Path | None,
    as_json: bool,
) -> None:
    """Make one file of a checkpoint in FOLDER: Whisper to ggml, Llama and Qwen to GGUF.

    FOLDER is a model of Hugging Face as it was downloaded: config.json, the weights in safetensors,
    the files of the tokenizer.
    """
    is_whisper = workshop("llama.config").read_architecture(folder) == _WHISPER
    if is_whisper and check and sound is None:
        raise click.UsageError("--check of a Whisper needs --sound FILE.")
    if is_whisper and type_name == "f32":
        raise click.UsageError("whisper.cpp has no f32 files; leave out --type.")
    agreement: dict[str, Any] | None = None
    faults: tuple[str, ...] = ()
    with showing_progress() as progress:
        options: dict[str, Any] = {"overwrite": overwrite, "progress": progress}
        if is_whisper:
            made = workshop("whisper.convert").convert_whisper(folder, output, **options)
        else:
            made = workshop("llama.convert").convert_llama(folder, output, type_name, **options)
        if check:
            agreement, faults = (
                _check_whisper(folder, output, sound)
                if is_whisper
                else _check_llama(folder, output, type_name, progress)
            )
    if as_json:
        terminal.emit(made_dict(made) | {"agreement": agreement})
    else:
        report(made, as_json=False)
        for name, value in (agreement or {}).items():
            click.echo(f"{name}\t{value:.3g}" if isinstance(value, float) else f"{name}\t{value}")
    if faults:
        raise workshop("errors").WorkshopError(
            "conversion-differs",
            f"{output} does not compute what {folder} does: {'; '.join(faults)}",
            f"do not use it: rm {output}",
        )


def _check_llama(folder: Path, output: Path, type_name: str, progress: Progress) -> _Found:
    found = workshop("llama.verify").verify_llama(folder, output, progress=progress)
    return dataclasses.asdict(found), found.faults(type_name)


def _check_whisper(folder: Path, output: Path, sound: Path | None) -> _Found:
    from edge_assistant.audio.files import read_sound

    assert sound is not None
    found = workshop("whisper.verify").verify_whisper(folder, output, read_sound(sound))
    faults = () if found.agrees else (f"scores differ by {found.share:.1%} of their spread",)
    return dataclasses.asdict(found), faults
