"""English text with every digit, unit and symbol written out (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edge_assistant.tts import english_dates, english_numbers
from edge_assistant.tts.english_numbers import cardinal, digits, number
from edge_assistant.tts.english_units import (
    ABBREVIATIONS,
    CAN_END,
    CURRENCIES,
    MULTIPLIERS,
    SYMBOLS,
    UNIT_PATTERN,
    UNITS,
)

_Match = re.Match[str]
_Rule = tuple[re.Pattern[str], Callable[[_Match], str] | str]

_NUM: Final = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d|,\d)|\d+(?:\.\d+)?)"
_SIGN: Final = r"(?<![\w.)%])[-\u2212](?=[\d$€£¥₹.])"
_MONEY: Final = re.compile(
    rf"([$€£¥₹])\s?({_NUM})(?:\s?(thousand|million|billion|trillion|bn|[kKmMbB])\b)?"
)
_MONEY_AFTER: Final = re.compile(rf"(?<!\d)({_NUM})\s?([€£¥₹])(?!\d)")
# The look-behind keeps a long run of digits from being tried at each of its positions.
_UNIT: Final = re.compile(rf"(?<!\d)({_NUM})(?:\s?|-)({UNIT_PATTERN})(?![\w²³°/])")
_PHONE: Final = re.compile(
    r"(?<![\w.,])(?:\+\d{1,3}[ -]?)?(?:\(\d{2,5}\)[ -]?)?\d{2,5}(?:[ -]\d{2,8}){0,5}(?![\w]|[.,]\d)"
)
_FRACTIONS: Final = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8", "⅜": "3/8",
    "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_EXOTIC: Final = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "μ": "µ",
        "\u2044": "/",
        "\u2011": "-",
        "\u2026": "...",
        "\u00a0": " ",
        **{char: f" {plain}" for char, plain in _FRACTIONS.items()},
    }
)


def spoken_english(text: str, *, day_first: bool) -> str:
    """`text` (without markup) in words; no digit is left.

    Args:
        text: any text; what is not understood is kept, and its digits are read as numbers.
        day_first: how 4/5/2026 is meant.
    """
    text = text.translate(_EXOTIC)
    text = "".join(str(int(c)) if c.isdecimal() and not c.isascii() else c for c in text)
    text = _abbreviations(text)
    text = english_dates.spoken(text, day_first=day_first)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _symbols(text)


def _abbreviations(text: str) -> str:
    def expand(match: _Match) -> str:
        ends = match[0] in CAN_END and re.match(r"\s+[A-Z\"']|\s*$", text[match.end() :])
        return ABBREVIATIONS[match[0]] + ("." if ends else "")

    text = _ABBREVIATION.sub(expand, text)
    text = re.sub(r"\bSt\.(?=\s+[A-Z])", "Saint", text)
    return re.sub(r"\b[Nn]o\.\s?(?=\d)|(?<!\w)#(?=\d)", "number ", text)


_ABBREVIATION: Final = re.compile(
    r"(?<![\w.])(?:"
    + "|".join(re.escape(key) for key in sorted(ABBREVIATIONS, key=len, reverse=True))
    + r")(?!\w)"
)


def _money(match: _Match) -> str:
    one, many, cent, cents = CURRENCIES[match[1]]
    amount, scale = match[2], match[3]
    if scale:
        return f"{number(amount)} {MULTIPLIERS.get(scale.lower(), scale)} {many}"
    whole, point, rest = amount.replace(",", "").partition(".")
    if point and len(rest) == 2 and cents and rest.isdecimal():
        hundredths = int(rest)
        small = f"{cardinal(hundredths)} {cent if hundredths == 1 else cents}" if hundredths else ""
        if not whole.strip("0") and small:
            return small
        large = f"{number(whole)} {one if whole == '1' else many}"
        return f"{large} and {small}" if small else large
    return f"{number(amount)} {one if amount == '1' else many}"


def _money_after(match: _Match) -> str:
    return _money_of(match[2], match[1])


def _money_of(symbol: str, amount: str) -> str:
    found = _MONEY.fullmatch(symbol + amount)
    return _money(found) if found else f"{number(amount)} {CURRENCIES[symbol][1]}"


def _unit(match: _Match) -> str:
    one, many = UNITS[match[2]]
    return f"{number(match[1])} {one if match[1] == '1' else many}"


def _phone(match: _Match) -> str:
    """Digit by digit, group by group, if it looks like a telephone number; else as it was."""
    text = match[0]
    count = sum(char.isdecimal() for char in text)
    groups = re.findall(r"\d+", text)
    is_pair_of_years = [len(group) for group in groups] == [4, 4] and "(" not in text
    marked = text[0] in "+(" or "-" in text or (text[0] == "0" and count >= 7)
    if count < 7 or not marked or is_pair_of_years:
        return text
    spoken = ", ".join(digits(group) for group in groups)
    return f"plus {spoken}" if text.startswith("+") else spoken


def _range(match: _Match) -> str:
    return f"{match[1]} to {match[2]}"


def _fraction(match: _Match) -> str:
    whole, top, bottom = match[1], match[2], match[3]
    if len(top) > 4 or len(bottom) > 4 or int(bottom) == 0:
        return f"{whole or ''}{number(top)} over {number(bottom)}"
    words = english_numbers.fraction(int(top), int(bottom))
    if not whole:
        return words
    if "half" in words or "third" in words or "quarter" in words or "fifth" in words:
        return f"{number(whole.strip())} and {words.replace('one half', 'a half')}"
    return f"{number(whole.strip())} {words}"


def _ordinal(match: _Match) -> str:
    plain = match[1].replace(",", "")
    if len(plain) > english_numbers.MOST_DIGITS:
        return digits(plain)
    return english_numbers.ordinal(int(plain))


def _power(match: _Match) -> str:
    exponent = {"2": "squared", "3": "cubed"}.get(match[2])
    return f"{match[1]} {exponent}" if exponent else f"{match[1]} to the power of {match[2]}"


def _scientific(match: _Match) -> str:
    exponent = match[2].replace("-", "minus ").replace("+", "")
    return f"{match[1]} times 10 to the power of {exponent}"


def _dotted(match: _Match) -> str:
    return " point ".join(number(part) for part in match[0].split("."))


def _bare(match: _Match) -> str:
    """A number on its own, set off from letters that it touches (`mp3`)."""
    before = match.string[: match.start()][-1:]
    after = match.string[match.end() :][:1]
    words = number(match[0])
    left = " " if before.isalnum() else ""
    return left + words + (" " if after.isalnum() else "")


_RULES: Final[tuple[_Rule, ...]] = (
    # The look-behinds keep a long run of such characters from being tried at each of its positions.
    (
        re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"),
        lambda m: f"{_address(m[1])} at {_address(m[2])}",
    ),
    (
        re.compile(
            r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}"
            r"(?:com|org|net|io|dev|edu|gov|ai|app|uk|de|fr|eu)(?![\w-]|\.\w)"
        ),
        lambda m: _address(m[0]),
    ),
    (re.compile(r"\bv(?=\d+(?:\.\d+)*\b)"), "version "),
    (re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.]*\d)"), _dotted),
    (_PHONE, _phone),
    (
        re.compile(r"(?<![\w.,-])(\d[\d.,]{0,20})(?:-|\s?[\u2013\u2014]\s?)(?=\d)"),
        lambda m: f"{m[1]} to ",
    ),
    (re.compile(r"(?<=\d) [-\u2212] (?=\d)"), " minus "),
    (re.compile(_SIGN), "minus "),
    (re.compile(r"(?<!\w)[~≈]\s?(?=[\d$€£¥₹])"), "about "),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (re.compile(r"(\d(?:\.\d+)?)[eE]([+-]?\d{1,3})\b"), _scientific),
    (re.compile(r"(\w)\^(-?\d+)"), _power),
    (_MONEY, _money),
    (_MONEY_AFTER, _money_after),
    (re.compile(r"(?<![\w/.])(\d+\s)?(\d+)/(\d+)(?![\w/])"), _fraction),
    (re.compile(r"\b(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b"), _ordinal),
    (_UNIT, _unit),
    (re.compile(r"(?<=\d):(?=\d)"), " to "),
    (re.compile(r"(?<=\d)\s?[xX]\s?(?=\d)"), " by "),
    (re.compile(_NUM), _bare),
)


def _address(text: str) -> str:
    for symbol, word in ((".", " dot "), ("-", " dash "), ("+", " plus "), ("_", " underscore ")):
        text = text.replace(symbol, word)
    return text


_C_LIKE: Final = {"C++": "C plus plus", "C#": "C sharp", "F#": "F sharp"}


def _symbols(text: str) -> str:
    text = re.sub(r"\b(?:C\+\+|[CF]#)", lambda m: _C_LIKE[m[0]], text)
    text = text.replace("->", " to ").replace("=>", " to ").replace("and/or", "and or")
    text = re.sub(r"(?<=\s)(?:--+|[\u2013\u2014])(?=\s)", ",", text)
    text = "".join(f" {SYMBOLS[char]} " if char in SYMBOLS else char for char in text)
    text = re.sub(r"[#^~\"\u201c\u201d]", "", text)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r" (?=[,.;:!?])", "", text).strip()
