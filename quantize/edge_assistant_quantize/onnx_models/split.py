"""A Piper voice as two files: one makes the latent of a text, the other one its audio, in slices.

The cut is the runtime's own (`tts.piper_graph`), which makes it in memory when a voice is opened.
As files the halves can go to other programs, or to two machines.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx

from edge_assistant.tts.piper_graph import GraphUnknown, Halves, cut
from edge_assistant.tts.piper_speech import MARGIN
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.onnx_models.agreement import (
    Agreement,
    Answer,
    Feed,
    compared,
    is_piper,
    opened,
    piper_feeds,
    require_same,
    voice_facts,
)
from edge_assistant_quantize.onnx_models.graphs import let_in, require_suffix, types_of
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.steps import step

_SLICE: Final = 64
"""Columns of a slice in the check; the runtime's own are 16 to 256."""


def split_voice(
    source: Path, output: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> tuple[Made, Made]:
    """Write `NAME-encoder.onnx` and `NAME-decoder.onnx` for an output `NAME.onnx`.

    Both halves together have to give what the whole gives, also in slices with the runtime's
    margins; else there is no output.

    Returns:
        What was made: encoder, decoder.

    Raises:
        ModelCorrupt: the source's header is faulty.
        ModelIncompatible: onnxruntime cannot load the source.
        ModelNotFound: there is no source.
        WorkshopError: `wrong-suffix`, `not-a-voice`, `made-differs`, `not-runnable`, or one of
            `new_file`.
    """
    require_suffix(output, ".onnx")
    began_s = time.perf_counter()
    paths = [output.with_name(f"{output.stem}-{half}.onnx") for half in ("encoder", "decoder")]
    with ExitStack() as stack:
        parts = [stack.enter_context(new_file(path, source, overwrite=overwrite)) for path in paths]
        with step(progress, "checking the source"):
            let_in(source)
        with step(progress, "cutting"):
            halves = _cut(source)
        with step(progress, "running both"):
            notes = check_halves(source, halves)
        for part, half in zip(parts, (halves.encoder, halves.decoder), strict=True):
            part.write_bytes(half)
    took_s = time.perf_counter() - began_s
    encoder, decoder = (
        Made(
            path=path,
            size_bytes=path.stat().st_size,
            source_bytes=source.stat().st_size,
            took_s=took_s,
            types=types_of(onnx.load(path, load_external_data=False)),
            notes=note,
        )
        for path, note in zip(paths, ((f"it gives {halves.latent}",), notes), strict=True)
    )
    return encoder, decoder


def check_halves(source: Path, halves: Halves) -> tuple[str, ...]:
    """Run the whole and both halves on the same phonemes.

    Returns:
        How far apart they are, at once and in slices.

    Raises:
        WorkshopError: `made-differs`, `not-runnable`, `not-a-voice`.
    """
    whole, encoder, decoder = map(opened, (source.read_bytes(), halves.encoder, halves.decoder))
    names = {each.name for each in whole.get_inputs()}
    if not is_piper(names):
        raise _no_voice(source, f"its inputs are {sorted(names)}")
    num_ids, sample_rate = voice_facts(source)
    feeds = piper_feeds(names, num_ids)
    expected = [_audio(whole.run(None, feed)) for feed in feeds]
    latents = [encoder.run([halves.latent], feed)[0] for feed in feeds]
    at_once = [
        _decoded(decoder, feed, halves.latent, latent, latent.shape[2])
        for feed, latent in zip(feeds, latents, strict=True)
    ]
    sliced = [
        _decoded(decoder, feed, halves.latent, latent, _SLICE)
        for feed, latent in zip(feeds, latents, strict=True)
    ]
    return tuple(
        _same(f"{len(feeds)} runs of phonemes{how}", expected, given, sample_rate)
        for how, given in ((", at once", at_once), (f", {_SLICE} columns at a time", sliced))
    )


def _same(inputs: str, expected: list[Answer], given: list[Answer], sample_rate: int) -> str:
    found: Agreement = compared(inputs, expected, given, sample_rate)
    require_same(found, "the pair of halves")
    return str(found)


def _decoded(decoder: Any, feed: Feed, name: str, latent: Answer, columns: int) -> Answer:
    """The audio of a latent, so many columns at a time, with the runtime's margins around."""
    wanted = {each.name for each in decoder.get_inputs()}
    total = latent.shape[2]
    pieces = []
    for begin in range(0, total, columns):
        end = min(begin + columns, total)
        first, last = max(0, begin - MARGIN), min(total, end + MARGIN)
        mine = {**feed, name: np.ascontiguousarray(latent[:, :, first:last])}
        audio = _audio(decoder.run(None, {key: mine[key] for key in wanted}))
        hop = len(audio) // (last - first)
        pieces.append(audio[(begin - first) * hop : (end - first) * hop])
    return np.concatenate(pieces)


def _audio(outputs: list[Any]) -> Answer:
    return np.asarray(outputs[0], dtype=np.float32).reshape(-1)


def _cut(source: Path) -> Halves:
    try:
        return cut(source.read_bytes())
    except GraphUnknown as error:
        raise _no_voice(source, str(error)) from error


def _no_voice(source: Path, why: str) -> WorkshopError:
    return WorkshopError(
        "not-a-voice", f"{source.name} is no Piper voice that can be cut: {why}", "name a voice"
    )
