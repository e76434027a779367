"""What the workshop made, told the same way for every kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str, float], None]
"""(what is being done, share of it in [0, 1]); called from the thread that works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeShare:
    """Tensors of one type in a file."""

    type_name: str
    """As the format calls it: `Q4_K`, `F16`, `float32`."""
    tensors: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One file that was made, and what is really in it: read back from it, not from the wish."""

    path: Path
    size_bytes: int
    source_bytes: int
    took_s: float
    types: tuple[TypeShare, ...]
    """Most bytes first."""
    notes: tuple[str, ...] = field(default=())
    """What differs from the wish, and why: `3 tensors fell back to Q5_0 (rows of 576)`."""
