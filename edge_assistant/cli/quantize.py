"""`edge-assistant quantize`: make a model file smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from edge_assistant.cli.workshop import report, showing_progress, workshop

_MAKERS: Final = {
    "gguf": ("llm.quantise", "quantise_llm"),
    "ggml": ("whisper.quantise", "quantise_whisper"),
    "onnx": ("onnx_models.quantise", "quantise_onnx"),
}
"""Module of the workshop and its function, by the format of the source."""


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--type",
    "type_name",
    required=True,
    metavar="TYPE",
    help="GGUF: Q8_0 to Q2_K, IQ4_XS ...; whisper.cpp: q8_0, q5_1, q5_0, q4_0; ONNX: a recipe.",
)
@click.option("--allow-requantize", is_flag=True, help="Also if SOURCE is quantised already.")
@click.option(
    "--imatrix",
    type=click.Path(path_type=Path),
    metavar="TEXT|FILE",
    help="GGUF only: a text to learn from which weights matter, or such a matrix.",
)
@click.option("--threads", type=click.IntRange(min=0), default=0, help="GGUF only; 0: all cores.")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT if it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def quantize(
    source: Path,
    output: Path,
    type_name: str,
    allow_requantize: bool,
    imatrix: Path | None,
    threads: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a smaller model of SOURCE: a language model, a Whisper, a Piper voice.

    Goes by the file's own format: GGUF, whisper.cpp's ggml, ONNX. Says which types the tensors
    really got. OUTPUT is there as a whole or not at all.
    """
    from edge_assistant.store.headers import inspect

    errors = workshop("errors")
    form = inspect(source).form
    options: dict[str, Any] = {"overwrite": overwrite}
    if form == "gguf":
        options |= {"imatrix": imatrix, "threads": threads, "allow_requantize": allow_requantize}
    elif imatrix is not None:
        raise errors.WorkshopError(
            "imatrix-not-for-this",
            f"{source.name} is no GGUF file, and only those take an importance matrix",
            "leave out --imatrix",
        )
    if form == "ggml":
        options["allow_requantize"] = allow_requantize
    if form not in _MAKERS:
        raise errors.WorkshopError(
            "not-quantisable",
            f"{source.name} ({form}) cannot be quantised",
            "name a GGUF, ggml or ONNX file; an ORT file is made of a quantised ONNX file",
        )
    module, name = _MAKERS[form]
    make = getattr(workshop(module), name)
    with showing_progress() as progress:
        made = make(source, output, type_name, progress=progress, **options)
    report(made, as_json=as_json)
