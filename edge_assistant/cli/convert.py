"""`edge-assistant convert`: a checkpoint of Hugging Face to a file that the engines load."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import click

from edge_assistant.cli import output as terminal
from edge_assistant.cli.workshop import workshop
from edge_assistant.errors import EdgeAssistantError

_WHISPER: Final = "WhisperForConditionalGeneration"


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
    help="With --check, for Whisper: a recording of speech that both hear.",
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
    is_whisper = workshop("llama_config").read_architecture(folder) == _WHISPER
    if is_whisper and check and sound is None:
        raise click.UsageError("--check of a Whisper needs --sound FILE.")
    if is_whisper and type_name == "f32":
        raise click.UsageError("whisper.cpp has no f32 files; leave --type away.")
    options = {"overwrite": overwrite, "progress": _progress}
    if is_whisper:
        made = workshop("convert_whisper").convert_whisper(folder, output, **options)
    else:
        made = workshop("convert_llama").convert_llama(folder, output, type_name, **options)
    found: dict[str, Any] | None = None
    faults: tuple[str, ...] = ()
    if check and is_whisper:
        found, faults = _check_whisper(folder, output, sound)
    elif check:
        found, faults = _check_llama(folder, output, type_name)
    terminal.progress("")
    if as_json:
        terminal.emit({**dataclasses.asdict(made), "path": str(made.path), "agreement": found})
    else:
        _tell(made, found)
    if faults:
        raise EdgeAssistantError(
            "conversion-differs",
            f"{output} does not compute what {folder} does: {'; '.join(faults)}",
            f"do not use it: rm {output}",
        )


def _check_llama(
    folder: Path, output: Path, type_name: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = workshop("verify_llama").verify_llama(folder, output, progress=_progress)
    return dataclasses.asdict(found), found.faults(type_name)


def _check_whisper(
    folder: Path, output: Path, sound: Path | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    from edge_assistant.audio.files import read_sound

    assert sound is not None
    found = workshop("verify_whisper").verify_whisper(folder, output, read_sound(sound))
    faults = () if found.agrees else (f"scores differ by {found.share:.1%} of their spread",)
    return dataclasses.asdict(found), faults


def _progress(what: str, share: float) -> None:
    terminal.progress(f"{what} {share:.0%}")


def _tell(made: Any, found: dict[str, Any] | None) -> None:
    click.echo(f"{made.path}\t{made.size_bytes / 1e6:.1f} MB\t{made.took_s:.1f} s")
    for each in made.types:
        click.echo(f"{each.type_name}\t{each.tensors} tensors\t{each.size_bytes / 1e6:.1f} MB")
    for note in made.notes:
        terminal.note(f"note: {note}")
    for name, value in (found or {}).items():
        click.echo(f"{name}\t{value:.3g}" if isinstance(value, float) else f"{name}\t{value}")
