"""Every adapter that the contract tests of `stt` run over: add a line for a new one.

A case builds its adapter from the `starter_file` fixture, which skips where a model is missing, and
a folder of its own for files that it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.stt.moonshine import MoonshineRecognizer
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.stt.whispercpp import WhisperCppRecognizer
from tests.engines.whisper_file import word, write_scripted_whisper

StarterFile = Callable[[str, str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerCase:
    """A recogniser under the contract."""

    id: str
    build: Callable[[StarterFile, Path], Recognizer]
    needs_model: bool = False
    listens: bool = True
    """False for a model without weights and for a fake: its text does not depend on the sound, so
    what it makes of noise and of words is not asked."""


def moonshine(starter_file: StarterFile, num_threads: int = 1) -> MoonshineRecognizer:
    """Build Moonshine tiny-en from the starter pack."""
    model = "moonshine-tiny-en"
    return MoonshineRecognizer(
        encoder=starter_file(model, "encoder_model.ort"),
        decoder=starter_file(model, "decoder_model_merged.ort"),
        tokenizer=starter_file(model, "tokenizer.bin"),
        num_threads=num_threads,
    )


def scripted_whisper(folder: Path) -> WhisperCppRecognizer:
    """Build whisper.cpp over a model that says "beef babe" to everything."""
    script = [word("beef"), word(" "), word("babe")]
    path = write_scripted_whisper(folder / "scripted.bin", script)
    return WhisperCppRecognizer(path, num_threads=1, gpu=False)


RECOGNIZERS = [
    RecognizerCase(id="moonshine", build=lambda starter, _: moonshine(starter), needs_model=True),
    RecognizerCase(
        id="whispercpp", build=lambda _, folder: scripted_whisper(folder), listens=False
    ),
]
