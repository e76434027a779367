"""Looks for the canary in bytes: its sound, and the words that were spoken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.resample import resample
from edge_assistant_packaging.proof.canary import Canary
from edge_assistant_packaging.proof.contents import Piece, readings, unpacked
from edge_assistant_packaging.proof.matched import RATES, THRESHOLD, Finder

WORDS_OF_A_RUN: Final = 4
"""Words in a row of what was said that count as its text; fewer may be chance."""
CODE_WORDS_TOGETHER: Final = 2
"""One of them in a large file may be chance too."""
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where something of the turn was found."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class Seeker:
    """Knows what to look for; also keeps count of how near the rest came."""

    def __init__(self, canary: Canary, texts: Iterable[str]) -> None:
        """Take the canary, and the transcripts and replies of the turn."""
        self._finder = Finder(canary.signal)
        self._words = frozenset(canary.words)
        self._runs = frozenset(run for text in texts for run in _runs(text))
        self.readings = 0
        """Ways in which bytes were read as samples."""
        self.highest_miss = 0.0
        """The best correlation that was not a find."""
        self.cut: list[str] = []
        """What unpacked to more than is searched."""

    @property
    def phrases(self) -> int:
        """How many words and runs of words are looked for."""
        return len(self._words) + len(self._runs)

    def search(self, place: str, data: bytes, *, for_words: bool = True) -> list[Sighting]:
        """Everything of the turn in `data`: one sighting of sound and one of words at most."""
        found: list[Sighting] = []
        for piece in unpacked(data):
            where = " > ".join((place, *piece.way))
            if piece.is_cut:
                self.cut.append(where)
            if not any(each.what.startswith("sound") for each in found):
                found += self._sound(where, piece)
            if for_words and not any(each.what.startswith("words") for each in found):
                found += self._text(where, piece)
        return found

    def _sound(self, where: str, piece: Piece) -> list[Sighting]:
        for reading, values, rate in readings(piece.data):
            self.readings += 1
            if rate is not None and rate not in RATES:
                values = resample(values, rate, SAMPLE_RATE)
            match = self._finder.best(values)
            if match.score >= THRESHOLD:
                what = f"sound of the canary, as {reading} at {match.rate} Hz"
                return [Sighting(place=where, what=f"{what} (correlation {match.score:.2f})")]
            self.highest_miss = max(self.highest_miss, match.score)
        return []

    def _text(self, where: str, piece: Piece) -> list[Sighting]:
        for encoding in _ENCODINGS:
            said = " ".join(_plain(piece.data.decode(encoding, errors="ignore")))
            hits = sorted(run for run in self._runs if run in said)
            words = sorted(self._words & set(said.split()))
            if len(words) >= CODE_WORDS_TOGETHER:
                hits += words
            if hits:
                what = f"words of the turn, as {encoding}: {', '.join(map(repr, hits[:5]))}"
                return [Sighting(place=where, what=what)]
        return []


def _runs(text: str) -> list[str]:
    words = _plain(text)
    last = len(words) - WORDS_OF_A_RUN + 1
    return [" ".join(words[first : first + WORDS_OF_A_RUN]) for first in range(max(last, 0))]


def _plain(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.casefold())
