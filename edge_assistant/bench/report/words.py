"""How numbers and names are written in every form of the report."""

from __future__ import annotations

import math
from typing import Final

from edge_assistant.bench.report.model import Figure, Report, TrialRow

NOT_MEASURED: Final = "-"

SOURCES: Final = {"real": "recorded people", "synthetic": "synthetic voice"}

UNITS: Final = {"share": "%", "fraction": "%", "ratio": "x"}


def number(value: float | None, unit: str = "") -> str:
    """A value with its unit, to the digits that mean something."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    if unit in ("share", "fraction"):
        text = f"{value * 100:.0f}" if abs(value) >= 0.0995 else f"{value * 100:.2g}"
        return f"{text} %"
    if unit == "s":
        return f"{value:.2f} s" if abs(value) < 100 else f"{value:.0f} s"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    text = f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return f"{text} {UNITS.get(unit, unit)}".strip()


def interval(figure: Figure) -> str:
    """`low to high`, or a dash."""
    if figure.low is None or figure.high is None:
        return NOT_MEASURED
    low, high = number(figure.low, figure.unit), number(figure.high, figure.unit)
    if low != NOT_MEASURED and high != NOT_MEASURED:
        low = low.partition(" ")[0]  # the unit stands behind the second one
    return f"{low} to {high}"


def interval_and_n(figure: Figure) -> str:
    """`low to high, n = 30`; `n = 3` where so few have no interval."""
    n = f"n = {figure.n}"
    return n if figure.low is None else f"{interval(figure)}, {n}"


def plain(name: str) -> str:
    """`response_gap_p50` as a person says it."""
    return name.replace("_", " ")


def condition(name: str) -> str:
    """A condition in words; the empty one is all of them together."""
    return plain(name) if name else "all"


def source(name: str) -> str:
    """`real` and `synthetic` in words."""
    return SOURCES.get(name, name)


def counted(rows: tuple[TrialRow, ...]) -> tuple[TrialRow, ...]:
    """The trials that count."""
    return tuple(row for row in rows if not row.void)


def by_row(report: Report) -> list[Figure]:
    """Figures in the order in which a table shows them: the systems of a row next to each other."""
    ranks = report.ranks
    first: dict[tuple[str, str, str, str], int] = {}
    scenes: dict[str, int] = {}
    for figure in report.figures:
        first.setdefault(figure.key, len(first))
        scenes.setdefault(figure.scenario, len(scenes))
    return sorted(
        report.figures,
        key=lambda f: (
            scenes[f.scenario],
            f.source,
            first[f.key],
            ranks.get(f.system, len(ranks)),
        ),
    )
