"""How figures are written, on the page and on the terminal."""

from __future__ import annotations

from typing import Final

from edge_assistant.engine_bench import table
from edge_assistant_quantize.compare.results import Line, Value

NONE: Final = "-"
_HUGE: Final = 1e7
"""From here on in powers of ten: the perplexity of a broken model."""


def number(value: float, unit: str) -> str:
    """A value with its unit, to the digits that mean something."""
    if unit != "bytes" and abs(value) >= _HUGE:
        return f"{value:.1e} {unit}".rstrip()
    match unit:
        case "bytes":
            return f"{_digits(value / 2**20)} MiB"
        case "tasks":
            return f"{value:.0f}"
        case "nats" | "bits" | "dB":
            return f"{_digits(value)} {unit}"
    return table.number(value, unit)


def value(line: Line, label: str) -> str:
    """A model's figure, or a dash; tasks with their number."""
    found = line.values.get(label)
    if found is None:
        return NONE
    text = number(found.value, line.unit)
    return f"{text} of {found.n}" if line.unit == "tasks" else text


def interval(line: Line, found: Value) -> str:
    """`low to high`; empty where there is none."""
    if found.low is None or found.high is None:
        return ""
    return _span(found.low, found.high, line.unit)


def beside(line: Line, found: Value) -> str:
    """What it is beside the reference: `1.2x` or `+0.3 %`; empty for the reference itself."""
    if found.versus is None:
        return ""
    if line.versus == "ratio":
        return f"{_digits(found.versus)}x"
    sign = "+" if found.versus >= 0 else "-"
    return f"{sign}{number(abs(found.versus), line.unit)}"


def beside_interval(line: Line, found: Value) -> str:
    """The 95 % interval of `beside`; empty where there is none."""
    if found.versus_low is None or found.versus_high is None:
        return ""
    if line.versus == "ratio":
        return _span(found.versus_low, found.versus_high, "")
    text = _span(found.versus_low, found.versus_high, line.unit)
    return text.rpartition(" ")[0] if line.unit else text  # it stands before the interval


def _span(low: float, high: float, unit: str) -> str:
    """`low to high`, with the unit once where it is the same."""
    ends = [number(low, unit), number(high, unit)]
    first, _, name = ends[0].partition(" ")
    return " to ".join([first if ends[1].endswith(f" {name}") else ends[0], ends[1]])


def _digits(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
