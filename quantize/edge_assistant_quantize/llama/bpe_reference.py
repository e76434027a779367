"""Byte-level BPE in plain Python: what the tokens of a text should be, to check others by."""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Final

from edge_assistant_quantize.llama.tokenizer import CONTROL, USER_DEFINED, Vocabulary, byte_letters

# Python's \s also takes the separators U+001C to U+001F, which Unicode's White_Space has not.
_BLANKS: Final = r"\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


class BpeReference:
    """One vocabulary. Any one thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._ids = {text: index for index, text in enumerate(vocabulary.tokens)}
        self._ranks = {
            tuple(merge.split(" ")): rank for rank, merge in enumerate(vocabulary.merges)
        }
        self._letters = byte_letters()
        added = [
            text
            for text, kind in zip(vocabulary.tokens, vocabulary.types, strict=True)
            if kind in (CONTROL, USER_DEFINED)
        ]
        added.sort(key=len, reverse=True)
        self._added = re.compile("|".join(map(re.escape, added))) if added else None
        self._word = lru_cache(maxsize=65_536)(self._tokens_of_piece)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without what is put around it; added tokens are found in it."""
        tokens: list[int] = []
        start = 0
        for found in self._added.finditer(text) if self._added else ():
            tokens += self._encode_plain(text[start : found.start()])
            tokens.append(self._ids[found[0]])
            start = found.end()
        return tokens + self._encode_plain(text[start:])

    def _encode_plain(self, text: str) -> list[int]:
        pieces = cut_text(text, self._vocabulary.pre.patterns)
        return [token for piece in pieces for token in self._word(piece)]

    def _tokens_of_piece(self, piece: str) -> tuple[int, ...]:
        parts = [self._letters[byte] for byte in piece.encode()]
        if self._vocabulary.pre.ignore_merges and "".join(parts) in self._ids:
            return (self._ids["".join(parts)],)
        while len(parts) > 1:
            pairs = list(itertools.pairwise(parts))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, sys.maxsize))
            if best not in self._ranks:
                break
            at = pairs.index(best)
            parts[at : at + 2] = ["".join(best)]
        # A byte that has no token is dropped, as llama.cpp does.
        return tuple(self._ids[part] for part in parts if part in self._ids)


def cut_text(text: str, patterns: Sequence[str]) -> list[str]:
    """Cut a text by one pattern after the other, into pieces that no token crosses."""
    pieces = [text] if text else []
    for pattern in patterns:
        compiled = python_pattern(pattern)
        pieces = [cut for piece in pieces for cut in _cut(compiled, piece)]
    return pieces


def _cut(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Matches, and what lies between them."""
    start = 0
    for found in pattern.finditer(text):
        if found.start() > start:
            yield text[start : found.start()]
        if found[0]:
            yield found[0]
        start = found.end()
    if start < len(text):
        yield text[start:]


@cache
def python_pattern(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern of `tokenizer.json`, whose \p{L}, \p{N}, \s and \S Python has not so."""
    out, is_in_class = [], False
    for part in re.findall(r"\\p\{[LN]\}|\\.|.", pattern):
        ranges = {r"\p{L}": "L", r"\p{N}": "N"}.get(part)
        if ranges or part == r"\s":
            inner = _ranges(ranges) if ranges else _BLANKS
            out.append(inner if is_in_class else f"[{inner}]")
        elif part == r"\S":
            out.append(f"[^{_BLANKS}]")
        else:
            is_in_class = part == "[" or (is_in_class and part != "]")
            out.append(part)
    return re.compile("".join(out))


@cache
def _ranges(category: str) -> str:
    """The letters (L) or numbers (N) of Unicode, as the inside of a class."""
    spans: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] != category:
            continue
        if spans and spans[-1][1] == code - 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans)
