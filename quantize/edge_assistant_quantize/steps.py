"""Steps of a maker, told while they are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_assistant_quantize.made import Progress


@contextmanager
def step(progress: Progress | None, what: str) -> Iterator[None]:
    """Tell that a step begins, and that it is done; nothing where it fails."""
    if progress is not None:
        progress(what, 0.0)
    yield
    if progress is not None:
        progress(what, 1.0)
