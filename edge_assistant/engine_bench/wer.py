"""Word error rate, with a normalisation that forgives spelling and not words.

`two thirty p m` and `2:30 p.m.` are the same words; `to` and `two` are not, for all their sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# fmt: off
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
    "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLINGS = {
    "oh": "zero",
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "st": "saint",
    "ok": "okay",
    "colour": "color",
    "grey": "gray",
}


def words(text: str) -> list[str]:
    """Lower-case words: punctuation gone, hyphens split, numbers spoken."""
    plain = text.casefold().replace("\u2019", "'")
    plain = re.sub(r"\b([a-z])\.(?=[a-z]\b)", r"\1 ", plain)
    found: list[str] = []
    for token in re.findall(r"[a-z]+(?:'[a-z]+)?|\d+", plain):
        if token.isdigit():
            found += _spoken(token)
        else:
            found.append(_SPELLINGS.get(token, token))
    return found


def _spoken(digits: str) -> list[str]:
    """A number below 100 as a number, a longer one digit by digit."""
    number = int(digits)
    if len(digits) > 2 or digits.startswith("0"):
        return [_ONES[int(each)] for each in digits]
    if number < 20:
        return [_ONES[number]]
    tens, ones = divmod(number, 10)
    return [_TENS[tens - 2], *([_ONES[ones]] if ones else [])]


def edits(expected: list[str], heard: list[str]) -> int:
    """Fewest substitutions, insertions and deletions from one list to the other."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(expected, start=1):
        before, row[0] = row[0], at
        for column, other in enumerate(heard, start=1):
            cost = min(row[column] + 1, row[column - 1] + 1, before + (word != other))
            before, row[column] = row[column], cost
    return row[-1]


def word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Edits over expected words, pooled over (expected, heard) pairs."""
    both = [(words(expected), words(heard)) for expected, heard in pairs]
    return sum(edits(*each) for each in both) / sum(len(expected) for expected, _ in both)


def holds_phrase(phrase: str, heard: str) -> bool:
    """True where the words of `phrase` occur in `heard`, together and in order."""
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(heard))} "
