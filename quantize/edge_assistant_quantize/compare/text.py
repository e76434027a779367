"""The text that language models read, if no other is given."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge_assistant_quantize.errors import WorkshopError

OWN: Final = Path(__file__).parent / "text.txt"
"""A story written for this; no model was trained on it when it was written."""
MOST_BYTES: Final = 4_000_000


def load(path: Path | None) -> str:
    """Read a text, or our own.

    Raises:
        WorkshopError: `compare-text-unreadable`.
    """
    path = path or OWN
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unreadable(path, f"it is longer than {MOST_BYTES} bytes")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> WorkshopError:
    return WorkshopError(
        "compare-text-unreadable", f"{path} cannot be read: {reason}", "name a file in UTF-8"
    )
