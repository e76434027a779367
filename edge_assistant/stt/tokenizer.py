"""Reader of Moonshine's `tokenizer.bin`: token numbers to text, and nothing else.

The file is a list of tokens in order of their number, each a length and that many bytes. Lengths
below 128 take one byte; longer ones two, the low seven bits first. Read as untrusted input: every
length is checked against what is left, and the file and the list are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from edge_assistant.errors import ModelCorrupt, ModelNotFound

MAX_FILE_BYTES: Final = 8 << 20
"""Thirty times the size of the real one (250 kB)."""

MAX_TOKENS: Final = 1 << 17
_HINT: Final = "edge-assistant models pull moonshine-tiny-en"
_WORD_START: Final = "\N{LOWER ONE EIGHTH BLOCK}"
"""SentencePiece writes the space before a word as this character."""


class Tokenizer:
    """The vocabulary: bytes by token number."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._tokens = tuple(tokens)

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.bin`.

        Raises:
            ModelNotFound: no such file.
            ModelCorrupt: too large, cut off, or no tokens in it.
        """
        if not path.is_file():
            raise ModelNotFound("model-not-found", f"No tokenizer at {path}", _HINT)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ModelCorrupt(
                "tokenizer-too-large", f"{path} is larger than {MAX_FILE_BYTES} bytes", _HINT
            )
        try:
            return cls(_parse(data))
        except ValueError as error:
            raise ModelCorrupt("tokenizer-unreadable", f"{path}: {error}", _HINT) from error

    def __len__(self) -> int:
        return len(self._tokens)

    def text(self, ids: Iterable[int]) -> str:
        """Join the tokens, stripped, without control tokens such as `</s>`.

        Bytes that make no UTF-8 become U+FFFD; numbers outside the vocabulary are left out.
        """
        pieces = (self._tokens[each] for each in ids if 0 <= each < len(self._tokens))
        joined = b"".join(piece for piece in pieces if not _is_control(piece))
        return joined.decode("utf-8", errors="replace").replace(_WORD_START, " ").strip()


def _is_control(piece: bytes) -> bool:
    return len(piece) > 2 and piece.startswith(b"<") and piece.endswith(b">")


def _parse(data: bytes) -> list[bytes]:
    """Split the file into tokens; ValueError where a length does not fit."""
    tokens: list[bytes] = []
    at = 0
    while at < len(data):
        if len(tokens) == MAX_TOKENS:
            raise ValueError(f"more than {MAX_TOKENS} tokens")
        length = data[at]
        at += 1
        if length >= 128:
            if at == len(data):
                raise ValueError(f"token {len(tokens)} is cut off in its length")
            length = length - 128 + 128 * data[at]
            at += 1
        if length > len(data) - at:
            raise ValueError(f"token {len(tokens)} wants {length} bytes, {len(data) - at} are left")
        tokens.append(data[at : at + length])
        at += length
    if not tokens:
        raise ValueError("no tokens")
    return tokens
