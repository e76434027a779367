"""Small models for the tests of `compare`, and ways to break them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import gguf
import numpy as np
from edge_assistant_quantize.compare.messages import Candidate, Subject

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.engine_bench.readings import Round
from edge_assistant.engine_bench.speech import Clip
from edge_assistant.store.catalog import Catalog
from edge_assistant.store.store import Store
from tests.engines.tiny_gguf import write_tiny_gguf

ROOT = Path(__file__).resolve().parents[2]

TEXT = (
    "The ferry leaves at nine. If the fog is thick it waits until the pilot can see the far shore. "
    "In summer there are three boats a day, and in winter one. Bring a coat, for the wind is cold. "
    "Old people sit inside and talk about the price of fish; children stand at the rail and count "
    "the birds. Nobody is in a hurry. When the bell rings twice the ropes are thrown, the engine "
    "coughs, and the town grows small behind the wake. It takes an hour. On the other side is "
    "a road, a shop, and a hill with a white house on it, where the light is on all night long."
)


def store_in(folder: Path) -> Store:
    """An empty store with the catalog that ships."""
    return Store(folder / "store", Catalog.load(), system=None)


def tiny(folder: Path, name: str = "tiny") -> Path:
    """A language model of random weights; all are alike."""
    return write_tiny_gguf(folder / f"{name}.gguf")


def zeroed(source: Path, output: Path, tensor_name: str) -> Path:
    """A copy in which one tensor is nothing but zeros."""
    shutil.copy(source, output)
    (tensor,) = (t for t in gguf.GGUFReader(source).tensors if t.name == tensor_name)
    with output.open("rb+") as file:
        file.seek(int(tensor.data_offset))
        file.write(bytes(int(tensor.n_bytes)))
    return output


def with_other_tokens(source: Path, output: Path) -> Path:
    """A copy with another spelling of one token."""
    output.write_bytes(source.read_bytes().replace(b"<pad0>", b"<padX>"))
    return output


def hum(name: str, text: str, length_s: float = 1.5) -> Clip:
    """A recording of nothing in particular, with the words that were meant."""
    times = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    sound = (0.2 * np.sin(2 * np.pi * 220.0 * times)).astype(np.float32)
    return Clip(name=name, kind="command", text=text, sound=sound)


def candidate(label: str, kind: Subject = "llm", size_bytes: int = 1000) -> Candidate:
    """One that was never measured."""
    engine = {"llm": "llamacpp", "stt": "whispercpp", "tts": "piper"}[kind]
    return Candidate(
        label=label,
        target=label,
        kind=kind,
        engine=engine,  # type: ignore[arg-type]
        files={},
        sha256={},
        size_bytes=size_bytes,
        about="made up",
        licence="none",
    )


def readings_of(rounds: list[Round], metric: str, model: str) -> list[float]:
    """Values of one metric of one model, in the order of the rounds."""
    return [
        reading.value
        for round_ in rounds
        for reading in round_.readings
        if reading.metric == metric and reading.model == model
    ]


def quantize_on_path() -> str:
    """`PYTHONPATH` for a command line of this checkout with its workshop."""
    return os.pathsep.join((str(ROOT), str(ROOT / "quantize")))
