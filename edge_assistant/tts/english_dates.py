"""Dates, years and times of day as English words (pure)."""

from __future__ import annotations

import re
from typing import Final

from edge_assistant.tts.english_numbers import cardinal, decade, ordinal, year

_Match = re.Match[str]

_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT: Final = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_MONTH: Final = "(" + "|".join(_MONTHS) + "|" + "|".join(rf"{short}\b\.?" for short in _SHORT) + ")"
_YEAR: Final = r"(1[1-9]\d\d|20\d\d)"
_DAY: Final = r"([12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
_NO_NUMBER: Final = r"(?![\w]|[.,:/-]\d)"

_ISO: Final = re.compile(rf"(?<![\w/.-]){_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?![\w-])")
_NUMERIC: Final = re.compile(rf"(?<![\w/.-])(\d{{1,2}})([/.])(\d{{1,2}})\2{_YEAR}{_NO_NUMBER}")
_MONTH_DAY: Final = re.compile(rf"\b{_MONTH} {_DAY}(?:(?:,? | of ){_YEAR})?{_NO_NUMBER}")
_DAY_MONTH: Final = re.compile(rf"\b(?:the )?{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?(?!\w)")
_MONTH_YEAR: Final = re.compile(rf"\b{_MONTH},? {_YEAR}{_NO_NUMBER}")
_TWO_YEARS: Final = re.compile(rf"(?<![\w.,-]){_YEAR}(?: to |\s?[\u2013-]\s?){_YEAR}{_NO_NUMBER}")
_DECADE: Final = re.compile(r"(?<![\w.,])'?(1[1-9]\d0|20\d0|[2-9]0)'?s\b")
# A plural after it makes it a count: "in 1500 cases".
_YEAR_IN_CONTEXT: Final = re.compile(
    r"\b([Ii]n|[Ss]ince|[Uu]ntil|till|[Bb]y|[Bb]efore|[Aa]fter|circa|[Dd]uring|[Yy]ear|of|[Ff]rom) "
    rf"{_YEAR}(?!\w|[.,:/-]\d|%| ?[€£¥₹°]| [a-z]+s\b| percent)"
)
_CLOCK: Final = re.compile(
    r"(?<![\w:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?"
    r"(?: ?([aApP])(?:\.[mM]\.|[mM]\b))?(?![\w:]|\.\d)"
)
_HOUR: Final = re.compile(r"(?<![\w:.])(1[0-2]|0?[1-9]) ?([aApP])(?:\.[mM]\.|[mM]\b)")


def spoken(text: str, *, day_first: bool) -> str:
    """`text` with the dates, years and clock times that it knows in words."""

    def numeric(match: _Match) -> str:
        first, second = int(match[1]), int(match[3])
        month, day = (second, first) if day_first or first > 12 else (first, second)
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return match[0]
        return _date(_MONTHS[month - 1], day, match[4])

    text = _ISO.sub(lambda m: _date(_MONTHS[int(m[2]) - 1], int(m[3]), m[1]), text)
    text = _NUMERIC.sub(numeric, text)
    text = _DAY_MONTH.sub(_day_month, text)
    text = _MONTH_DAY.sub(lambda m: _date(_month(m[1]), int(m[2]), m[3]), text)
    text = _MONTH_YEAR.sub(lambda m: f"{_month(m[1])} {year(int(m[2]))}", text)
    text = _TWO_YEARS.sub(lambda m: f"{year(int(m[1]))} to {year(int(m[2]))}", text)
    text = _DECADE.sub(lambda m: decade(int(m[1])), text)
    text = _YEAR_IN_CONTEXT.sub(lambda m: f"{m[1]} {year(int(m[2]))}", text)
    text = _CLOCK.sub(_clock, text)
    return _HOUR.sub(lambda m: f"{cardinal(int(m[1]))} {_half_day(m, 2)}", text)


def _month(name: str) -> str:
    return _SHORT.get(name.rstrip("."), name)


def _date(month: str, day: int, in_year: str | None) -> str:
    words = f"{month} {ordinal(day)}"
    return f"{words}, {year(int(in_year))}" if in_year else words


def _day_month(match: _Match) -> str:
    words = f"the {ordinal(int(match[1]))} of {_month(match[2])}"
    return f"{words}, {year(int(match[3]))}" if match[3] else words


def _half_day(match: _Match, group: int) -> str:
    """ "A M" or "P M", with the full stop if "p.m." also ended the sentence."""
    letter = match[group].upper()
    after = match.string[match.end() :]
    ends = match[0].endswith(".") and re.match(r"\s+[A-Z]|\s*$", after)
    return f"{letter} M" + ("." if ends else "")


def _clock(match: _Match) -> str:
    hour, minute = int(match[1]), int(match[2])
    if minute:
        words = f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif match[4]:
        words = cardinal(hour)
    elif 1 <= hour <= 12:
        words = f"{cardinal(hour)} o'clock"
    else:
        words = f"{cardinal(hour)} hundred hours"
    if match[3]:
        words += f" and {cardinal(int(match[3]))} seconds"
    return f"{words} {_half_day(match, 4)}" if match[4] else words
