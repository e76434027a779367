"""Where a text may be cut, so that each piece is synthesised on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SENTENCE: Final = re.compile(
    r".+?(?:[.!?\u2026]+[\"'\u2019\u201d)\]]*\s+|[\u3002\uff01\uff1f]+|$)", re.S
)


def spoken_sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, exclusive end) of every sentence with a letter or digit in it, without overlap."""
    for match in _SENTENCE.finditer(text):
        if any(char.isalnum() for char in match[0]):
            yield match.span()
