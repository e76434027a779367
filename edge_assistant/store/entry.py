"""What the catalog says of a model, and what the store hands out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["vad", "turn_detector", "stt", "llm", "tts"]
Engine = Literal[
    "silero",
    "smart_turn",
    "whispercpp",
    "moonshine",
    "llamacpp",
    "piper",
    "espeak",
    "espeak-program",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """One file of a model."""

    name: str
    """File name in the store: a plain name, no folders."""
    sources: tuple[str, ...]
    """Tried in order: `pypi:name==version!member`, `hf:owner/repo@revision/path`,
    `https://...`, `file:...`."""
    size_bytes: int | None = None
    """None where we could not fetch the file ourselves: pinned on first pull."""
    sha256: str | None = None
    """Lower-case hex, or None as for `size_bytes`."""
    max_bytes: int = 0
    """Download cap for a file of unknown size; 0 where `size_bytes` is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of the catalog, or one that the user added."""

    id: str
    kind: Kind
    engine: Engine
    title: str
    languages: tuple[str, ...]
    licence: str
    """SPDX expression, or the name of the licence where SPDX has none."""
    ram_bytes: int
    """Roughly what the engine takes when loaded, with its default settings."""
    files: tuple[FileSpec, ...]
    template: str = ""
    """llm: name of the pinned chat template in `llm.prompt`."""
    notes: str = ""
    packs: tuple[str, ...] = ()
    """Packs that this model belongs to: `starter`, `standard`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledModel:
    """A model whose files are in place and whose hashes were checked."""

    entry: ModelEntry
    folder: Path
    paths: dict[str, Path] = field(default_factory=dict)
    """Absolute path by the file's name in the catalog."""

    @property
    def path(self) -> Path:
        """The one file of a single-file model.

        Raises:
            ValueError: the model has several files, or none.
        """
        (only,) = self.paths.values()
        return only
