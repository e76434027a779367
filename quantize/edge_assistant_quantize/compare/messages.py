"""What a child is told to do, and what it says when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant.store.entry import Engine

Subject = Literal["stt", "llm", "tts"]
"""Kinds of models that can be compared; each is a stage of the bench of engines as well."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One model that is compared."""

    label: str
    """What the report calls it; no two are alike."""
    target: str
    """As it was named."""
    kind: Subject
    engine: Engine
    files: dict[str, str]
    """Absolute paths by name, all checked; empty for espeak."""
    sha256: dict[str, str]
    size_bytes: int
    """Of all files; for espeak of its library and data."""
    about: str
    """What the header says: architecture, types."""
    licence: str
    template: str = ""
    voice: str = ""
    """espeak's name of the voice."""

    def file(self, suffix: str) -> Path:
        """The one file whose name ends so."""
        (path,) = (path for name, path in self.files.items() if name.endswith(suffix))
        return Path(path)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One child's work."""

    candidate: Candidate
    work: Literal["speed", "quality"]
    index: int = 0
    """Of the round."""
    threads: int = 0
    """0: as the assistant would choose."""
    clips: str = ""
    """Folder of recordings with their manifest, for a recogniser."""
    text: str = ""
    """What a language model reads."""
    shared: str = ""
    """Folder in which the reference leaves what the others are held against."""
    is_reference: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model made of one window of the text; sums over its scored tokens."""

    nll: float
    """Negative log likelihood, in nats."""
    tokens: int
    size_bytes: int
    """UTF-8 bytes of those tokens."""
    kl: float = 0.0
    """Sum of the Kullback-Leibler divergences from the reference, in nats, over `rows`."""
    rows: int = 0
    """Positions at which both distributions were held side by side."""
    same: int = 0
    """Of these, those where both think the same token the likeliest."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to one of the tasks."""

    task: str
    text: str
    faults: list[str]
    """Why it does not pass; empty: it does."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model made of the text and of the tasks."""

    vocabulary: str
    """Hash of all tokens in their order: the same for models that can be held token by token."""
    is_comparable: bool
    """It has the reference's tokens; always so for the reference."""
    windows: list[Window]
    kl_high: float | None
    """99th percentile of the divergences."""
    answers: list[Answered]


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence that a voice said."""

    text: str
    file: str
    """float32 samples in the child's folder (.npy)."""
    sample_rate: int
    duration_s: float


class Answer(msgspec.Struct, kw_only=True):
    """What came of an order."""

    round: Round
    """Readings of speed; empty where quality was asked for."""
    base_rss_bytes: int | None = None
    """Resident memory before the model is loaded, with Python and the engine's library; None where
    the system does not tell."""
    peak_rss_bytes: int | None = None
    """The most there ever was."""
    heard: dict[str, str] = {}
    """Text of each recording, by its name."""
    read: Read | None = None
    spoken: list[Spoken] = []
    failure: Failure | None = None
    """It did not come to its end."""


ORDERS: Final = msgspec.json.Decoder(Order)
ANSWERS: Final = msgspec.json.Decoder(Answer)
