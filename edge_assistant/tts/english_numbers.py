"""English words for numbers (pure): cardinals, ordinals, years, digits.

Own code and not num2words: 80 lines cover what a reply says, num2words is LGPL and brings a command
line parser, and its exceptions would have to be fenced in, for the text is a language model's.
"""

from __future__ import annotations

from typing import Final

_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = [
    "-",
    "-",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_SCALES: Final = ("", " thousand", " million", " billion", " trillion")
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

MOST_DIGITS: Final = 15
"""Longer numbers are read digit by digit: nobody follows a quadrillion."""


def cardinal(value: int) -> str:
    """0 <= value < 10**15 in words: 1205 is "one thousand two hundred five"."""
    if value == 0:
        return "zero"
    groups: list[str] = []
    for scale in _SCALES:
        value, group = divmod(value, 1000)
        if group:
            groups.append(_below_thousand(group) + scale)
    return " ".join(reversed(groups))


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words.append(_TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    elif rest:
        words.append(_ONES[rest])
    return " ".join(words)


def ordinal(value: int) -> str:
    """21 is "twenty-first"."""
    words = cardinal(value)
    split = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:split], words[split:]
    if last in _ORDINALS:
        return head + _ORDINALS[last]
    return head + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def year(value: int) -> str:
    """1000 to 2999 as a year: 1905 is "nineteen oh five", 2026 "twenty twenty-six"."""
    century, rest = divmod(value, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(value)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def decade(value: int) -> str:
    """1990 is "nineteen nineties", 80 is "eighties", 2000 is "two thousands"."""
    words = year(value) if value >= 1000 else cardinal(value)
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def digits(text: str) -> str:
    """Every decimal digit of `text` on its own: "0049" is "zero zero four nine"."""
    return " ".join(_ONES[int(char)] for char in text if char.isdecimal())


def number(text: str) -> str:
    """A run of ASCII digits with optional thousands commas and decimal point, in words."""
    whole, point, fraction = text.replace(",", "").partition(".")
    if len(whole) > MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        words = digits(whole)
    else:
        words = cardinal(int(whole)) if whole else ""
    if point and fraction:
        words += f" point {digits(fraction)}"
    return words.strip()


def fraction(numerator: int, denominator: int) -> str:
    """1/2 is "one half", 3/4 "three quarters"; anything rarer reads like "eight out of ten"."""
    if (numerator, denominator) == (24, 7):
        return "twenty-four seven"
    names = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 8: "eighth"}
    if denominator in names and 0 < numerator < denominator:
        name = names[denominator]
        return f"{cardinal(numerator)} {name if numerator == 1 else name + 's'}"
    relation = "out of" if numerator <= denominator else "over"
    return f"{cardinal(numerator)} {relation} {cardinal(denominator)}"
