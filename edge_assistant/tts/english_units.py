"""Units and symbols as English words: data only."""

from __future__ import annotations

import re
from typing import Final


def _plural(word: str) -> str:
    head, per, tail = word.partition(" per ")
    return head + ("" if head.endswith(("hertz", "s")) else "s") + per + tail


_REGULAR: Final = {
    "km/h": "kilometer per hour",
    "kph": "kilometer per hour",
    "mph": "mile per hour",
    "m/s": "meter per second",
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "µm": "micrometer",
    "nm": "nanometer",
    "m": "meter",
    "mi": "mile",
    "yd": "yard",
    "kg": "kilogram",
    "mg": "milligram",
    "µg": "microgram",
    "g": "gram",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "ml": "milliliter",
    "mL": "milliliter",
    "cl": "centiliter",
    "dl": "deciliter",
    "l": "liter",
    "L": "liter",
    "ms": "millisecond",
    "µs": "microsecond",
    "ns": "nanosecond",
    "s": "second",
    "sec": "second",
    "secs": "second",
    "min": "minute",
    "mins": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "kB": "kilobyte",
    "KB": "kilobyte",
    "MB": "megabyte",
    "GB": "gigabyte",
    "TB": "terabyte",
    "KiB": "kibibyte",
    "MiB": "mebibyte",
    "GiB": "gibibyte",
    "TiB": "tebibyte",
    "kbps": "kilobit per second",
    "Mbps": "megabit per second",
    "Gbps": "gigabit per second",
    "Mbit/s": "megabit per second",
    "Gbit/s": "gigabit per second",
    "kB/s": "kilobyte per second",
    "MB/s": "megabyte per second",
    "GB/s": "gigabyte per second",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "kW": "kilowatt",
    "MW": "megawatt",
    "GW": "gigawatt",
    "kWh": "kilowatt hour",
    "Wh": "watt hour",
    "W": "watt",
    "mAh": "milliamp hour",
    "mA": "milliamp",
    "mV": "millivolt",
    "kV": "kilovolt",
    "V": "volt",
    "hPa": "hectopascal",
    "kPa": "kilopascal",
    "Pa": "pascal",
    "dB": "decibel",
    "kcal": "kilocalorie",
    "kJ": "kilojoule",
    "px": "pixel",
    "°": "degree",
}
_IRREGULAR: Final = {
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "ft": ("foot", "feet"),
    "sq ft": ("square foot", "square feet"),
    "ft²": ("square foot", "square feet"),
    "dBFS": ("decibel full scale", "decibels full scale"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "fps": ("frame per second", "frames per second"),
    "ppm": ("part per million", "parts per million"),
    "%": ("percent", "percent"),
    "‰": ("per mille", "per mille"),
    "psi": ("P S I", "P S I"),
}
_LENGTHS: Final = ("km", "cm", "mm", "m")
_POWERS: Final = {"²": "square", "^2": "square", "2": "square", "³": "cubic", "^3": "cubic"}

UNITS: Final[dict[str, tuple[str, str]]] = {
    **{symbol: (word, _plural(word)) for symbol, word in _REGULAR.items()},
    **{
        length + power: (f"{name} {_REGULAR[length]}", f"{name} {_REGULAR[length]}s")
        for length in _LENGTHS
        for power, name in _POWERS.items()
    },
    **_IRREGULAR,
}
"""Symbol to (one, many)."""

UNIT_PATTERN: Final = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))

CURRENCIES: Final = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
"""Symbol to (one, many, one hundredth, hundredths)."""

MULTIPLIERS: Final = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion"}

SYMBOLS: Final = {
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "≈": "about",
    "~": "about",
    "→": "to",
    "⇒": "to",
    "←": "from",
    "↔": "to and from",
    "\u00d7": "times",
    "·": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "<": "less than",
    ">": "greater than",
    "≤": "at most",
    "≥": "at least",
    "≠": "is not",
    "°": "degrees",
    "%": "percent",
    "‰": "per mille",
    "√": "the square root of",
    "∞": "infinity",
    "µ": "micro",
    "²": "squared",
    "³": "cubed",
    "§": "section",
    "/": "slash",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "¥": "yen",
    "₹": "rupees",
    "\u2212": "minus",
}

ABBREVIATIONS: Final = {
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Ms.": "Miss",
    "Dr.": "Doctor",
    "Prof.": "Professor",
    "Jr.": "Junior",
    "Sr.": "Senior",
    "e.g.": "for example",
    "i.e.": "that is",
    "etc.": "et cetera",
    "vs.": "versus",
    "vs": "versus",
    "approx.": "approximately",
    "dept.": "department",
    "Inc.": "Incorporated",
    "Ltd.": "Limited",
    "w/o": "without",
    "w/": "with",
    "a.k.a.": "also known as",
    "aka": "also known as",
    "resp.": "respectively",
    "incl.": "including",
    "a.m.": "A M",
    "p.m.": "P M",
}
"""With the full stop where it belongs to the abbreviation."""

CAN_END: Final = frozenset({"etc.", "Jr.", "Sr.", "Inc.", "Ltd.", "a.m.", "p.m."})
"""Abbreviations whose full stop may also end the sentence."""
