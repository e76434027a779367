"""A token stream cut into pieces that can be spoken one after the other."""

from __future__ import annotations

import re

FIRST_MIN_WORDS = 3
"""The first clause may end at a comma only after this many words ("Well," alone sounds lost)."""
FIRST_MAX_WORDS = 5
"""The first piece is cut at a space from here on even without a comma: it decides when the voice
begins."""
FIRST_MAX_CHARS = 30
"""As FIRST_MAX_WORDS, for long words."""
LAST_RESORT_WORDS = 11
"""The first piece is cut here even behind a word that leans on the next one."""
CLAUSE_CHARS = 120
"""Later pieces that are longer than this may end at a comma too."""
MAX_CHARS = 240
"""No spoken piece is longer, about 15 s of speech: a voice that cannot stop inside a piece stays
bounded."""

_SENTENCE_MARKS = ".!?\N{HORIZONTAL ELLIPSIS}\N{DEVANAGARI DANDA}"
_WIDE_MARKS = "\u3002\uff01\uff1f"  # Chinese and Japanese full stop, ! and ?: no space follows
_CLAUSE_MARKS = ",;:\N{EM DASH}\N{EN DASH}\uff0c\u3001\N{ARABIC COMMA}"
_CLOSERS = "\"')]}*_\u2019\u201d\u00bb\u300d\u300f"
_FENCE = "```"

_ABBREVIATION = re.compile(
    r"mrs?|ms|dr|prof|st|jr|sr|vs|e\.g|i\.e|cf|approx|dept|est|inc|ltd|co|corp|fig|gen|col|sgt|capt"
    r"|lt|rev|hon|mt|ft|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|a\.m|p\.m|z\.b|u\.a|bzw|ca|nr"
)
"""Words that a full stop follows within a sentence, lower case, without that stop."""

_LEANING = re.compile(
    r"an?|the|of|to|in|on|at|by|for|with|from|and|or|but|as|is|are|was|were|be|that|this|these|those"
    r"|my|your|his|her|its|our|their|i|you|he|she|it|we|they|not|no|very|so|if|than"
)
"""English words that lean on the next one: a pause behind them sounds broken."""

_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}$")
_INITIALS = re.compile(r"(?:^|[^\w])(?:\w\.)*\w$")


def ends_sentence(text: str) -> bool:
    """True if `text`, white space at its end aside, ends like a sentence and not in an
    abbreviation.

    An initial (`J.`), an abbreviation (`Dr.`, `e.g.`) and the number of a list item (`2.`) do not
    end one.
    """
    bare = text.rstrip().rstrip(_CLOSERS)
    if not bare or bare[-1] not in _SENTENCE_MARKS + _WIDE_MARKS:
        return False
    if bare[-1] != "." or bare.endswith(".."):
        return True
    before = bare[:-1]
    word = before.split()[-1].lstrip("\"'([*_").lower() if before.split() else ""
    if _ABBREVIATION.fullmatch(word) or _LIST_NUMBER.search(before):
        return False
    return word == "i" or not _INITIALS.search(before[-12:])


class SentenceSplitter:
    """Cuts one reply; make a new one for the next.

    The first piece comes early, at a clause or after some five words, because the voice waits for
    it. Later ones are sentences. Numbers (3.14, 10:30), addresses and abbreviations are not cut,
    nor is what stands between a pair of `**`, a pair of backticks or in square brackets unless it
    grows too long; a fenced code block always stays in one piece, so that the voice can leave it
    out.

    The pieces joined are exactly the text fed, and they do not depend on how it was chopped up:
    every decision is made at one character, from those before it.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._is_first = True

    def feed(self, piece: str) -> list[str]:
        """Add text; returns the pieces that are now complete, often none."""
        done: list[str] = []
        for char in piece:
            self._buffer += char
            at = self._cut()
            if at:
                done.append(self._take(at))
        return done

    def finish(self) -> list[str]:
        """The rest of the reply: one piece, or none; it may be nothing but white space."""
        return [self._take(len(self._buffer))] if self._buffer else []

    def _take(self, at: int) -> str:
        piece, self._buffer = self._buffer[:at], self._buffer[at:]
        self._is_first = self._is_first and not piece.strip()
        return piece

    def _cut(self) -> int:
        """Where to cut the buffer now that its last character is known; 0 = not yet."""
        buffer = self._buffer
        if not buffer.strip() or _is_in_fence(buffer):
            return 0
        if len(buffer) >= MAX_CHARS:
            return _last_resort(buffer)
        if buffer[-1] in _FENCE or _is_in_span(buffer):
            return 0
        before = buffer[:-1]
        if before and before.rstrip(_CLOSERS)[-1:] in _WIDE_MARKS and not _continues(buffer[-1]):
            return len(before) if before.rstrip(_CLOSERS) else 0
        if not buffer[-1].isspace() or not before.strip() or before[-1].isspace():
            return 0
        if buffer[-1] == "\n" or ends_sentence(before):
            return len(buffer) if _has_word(before) else 0
        return len(buffer) if self._ends_clause(before) else 0

    def _ends_clause(self, before: str) -> bool:
        words = before.split()
        is_marked = before.rstrip(_CLOSERS)[-1:] in _CLAUSE_MARKS
        if not self._is_first:
            return is_marked and len(before) >= CLAUSE_CHARS
        if is_marked:
            return len(words) >= FIRST_MIN_WORDS
        if len(words) >= LAST_RESORT_WORDS:
            return True
        is_long = len(words) >= FIRST_MAX_WORDS or len(before) >= FIRST_MAX_CHARS
        return is_long and not _LEANING.fullmatch(words[-1].lower())


def _continues(char: str) -> bool:
    return char in _CLOSERS or char in _WIDE_MARKS or char in _SENTENCE_MARKS or char.isspace()


def _has_word(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _is_in_fence(buffer: str) -> bool:
    return buffer.count(_FENCE) % 2 == 1


def _is_in_span(buffer: str) -> bool:
    """True between the two halves of bold, of inline code, or of a link's text."""
    return (
        buffer.count("**") % 2 == 1
        or buffer.replace(_FENCE, "").count("`") % 2 == 1
        or buffer.rfind("[") > buffer.rfind("]")
    )


def _last_resort(buffer: str) -> int:
    """A place for a cut that must be: behind a clause, else a space, else anywhere; 0 where a fence
    has only just been closed."""
    fenced = buffer.rfind(_FENCE) + len(_FENCE) if _FENCE in buffer else 0
    if fenced >= len(buffer) - 1:
        return 0
    begin = max(len(buffer) // 2, fenced)
    spaces = [at for at in range(begin, len(buffer)) if buffer[at].isspace()]
    clauses = [at for at in spaces if buffer[at - 1] in _CLAUSE_MARKS + _SENTENCE_MARKS]
    best = (clauses or spaces or [len(buffer) - 1])[-1]
    return best + 1
