"""How the store tells of its progress, without knowing who draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told about one file after the other, on the thread that called `Store.pull`."""

    def started(self, label: str, total_bytes: int | None) -> None:
        """A file begins; the total is None where nobody knows it."""

    def advanced(self, done_bytes: int) -> None:
        """So many bytes are on disk, counted from the file's start; may fall back on a restart."""

    def finished(self) -> None:
        """The file that was started last is in its place, or has failed."""


class NoProgress:
    """Says nothing."""

    def started(self, label: str, total_bytes: int | None) -> None:
        """Do nothing."""

    def advanced(self, done_bytes: int) -> None:
        """Do nothing."""

    def finished(self) -> None:
        """Do nothing."""
