"""Two reports side by side: what differs, and whether their intervals overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from edge_assistant.bench.report import words
from edge_assistant.bench.report.markdown import cell, table
from edge_assistant.bench.report.model import Figure, Report

SCHEMA: Final = "edge-assistant-bench-compare/1"

Verdict = Literal["overlap", "apart", "unknown"]
"""Whether the two intervals share a value; unknown where one of them has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure in both reports; None where a report does not have it."""

    scenario: str
    condition: str
    source: str
    name: str
    unit: str
    system: str
    """As A calls it, where it has it."""
    a: Figure | None
    b: Figure | None
    difference: float | None
    """B minus A."""
    intervals: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All rows, and what makes the two runs hard to compare."""

    a: str
    b: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()
    schema: str = SCHEMA

    @property
    def apart(self) -> tuple[Row, ...]:
        """The rows that are told apart."""
        return tuple(row for row in self.rows if row.intervals == "apart")


def compare(a: Report, b: Report, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Pair the figures of two reports, in the order of A, then what only B has.

    Systems are paired by name; where each report has a single one, these two are paired whatever
    they are called. Non-overlapping 95 % intervals are a strict test: overlapping ones do not show
    that two values are equal.
    """
    paired = {system.name: system.name for system in b.systems}
    if len(a.systems) == len(b.systems) == 1:
        paired = {b.systems[0].name: a.systems[0].name}
    left = {(figure.key, figure.system): figure for figure in a.figures}
    right = {(figure.key, paired.get(figure.system, figure.system)): figure for figure in b.figures}
    rows = tuple(
        _row(key[1], left.get(key), right.get(key)) for key in dict.fromkeys([*left, *right])
    )
    return Comparison(a=names[0], b=names[1], rows=rows, warnings=tuple(_warnings(a, b)))


def _row(system: str, a: Figure | None, b: Figure | None) -> Row:
    either = a or b
    assert either is not None
    has_both = a is not None and b is not None and a.value is not None and b.value is not None
    return Row(
        scenario=either.scenario,
        condition=either.condition,
        source=either.source,
        name=either.name,
        unit=either.unit,
        system=system,
        a=a,
        b=b,
        difference=b.value - a.value  # type: ignore[union-attr, operator]  # `has_both` says so
        if has_both
        else None,
        intervals=_verdict(a, b),
    )


def _verdict(a: Figure | None, b: Figure | None) -> Verdict:
    if a is None or b is None:
        return "unknown"
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return "unknown"
    return "overlap" if a.low <= b.high and b.low <= a.high else "apart"


def _warnings(a: Report, b: Report) -> list[str]:
    found = []
    if (a.machine.processor, a.machine.cores) != (b.machine.processor, b.machine.cores):
        found.append("the machines differ: times cannot be compared")
    if a.seed != b.seed:
        found.append(f"the seeds differ ({a.seed} and {b.seed}): not the same trials")
    if a.bench_version != b.bench_version:
        found.append(f"the benches differ ({a.bench_version} and {b.bench_version})")
    if a.limits != b.limits:
        found.append(
            "not the same limits decided which trials are void: write both reports again with "
            "bench report"
        )
    if a.intervals != b.intervals:
        found.append("the intervals were not made in the same way")
    return found


def to_json(comparison: Comparison) -> bytes:
    """The comparison as JSON."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=1) + b"\n"


def to_markdown(comparison: Comparison) -> str:
    """The comparison as a table in Markdown; rows that are told apart are in bold."""
    rows = []
    for row in comparison.rows:
        bold = "**" if row.intervals == "apart" else ""
        rows.append(
            (
                cell(words.plain(row.scenario)),
                cell(words.plain(row.name)),
                cell(words.condition(row.condition)),
                words.source(row.source),
                cell(row.system),
                cell(_value(row.a)),
                cell(_value(row.b)),
                f"{bold}{cell(change(row))}{bold}",
                row.intervals,
            )
        )
    head = ("scenario", "measure", "condition", "speech", "system")
    columns = (*head, cell(comparison.a), cell(comparison.b), "change", "intervals")
    parts = [f"# {cell(comparison.a)} and {cell(comparison.b)}", counts(comparison)]
    parts += [f"Beware: {cell(warning)}." for warning in comparison.warnings]
    return "\n\n".join([*parts, table(columns, rows, 4)]) + "\n"


def to_text(comparison: Comparison) -> str:
    """The comparison for a terminal: columns of a fixed width, `*` before what is told apart."""
    cells = [("", "measure", "speech", "system", comparison.a, comparison.b, "change", "intervals")]
    cells += [
        (
            "*" if row.intervals == "apart" else "",
            "/".join(filter(None, (row.scenario, row.condition, row.name))),
            row.source,
            row.system,
            _value(row.a),
            _value(row.b),
            change(row),
            row.intervals,
        )
        for row in comparison.rows
    ]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    warnings = [f"beware: {warning}" for warning in comparison.warnings]
    return "\n".join([*lines, "", counts(comparison), *warnings]) + "\n"


def counts(comparison: Comparison) -> str:
    """How many rows overlap, are apart, or cannot be told."""
    number = {
        verdict: sum(row.intervals == verdict for row in comparison.rows)
        for verdict in ("overlap", "apart", "unknown")
    }
    return (
        f"{len(comparison.rows)} figures: {number['overlap']} with overlapping intervals, "
        f"{number['apart']} apart, {number['unknown']} without an interval in both."
    )


def _value(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return words.NOT_MEASURED
    shown = words.number(figure.value, figure.unit)
    return shown if figure.low is None else f"{shown} ({words.interval(figure)}; n = {figure.n})"


def change(row: Row) -> str:
    """The difference with its sign, and in percent of A where that says something."""
    if row.difference is None:
        return words.NOT_MEASURED
    sign = "+" if row.difference > 0 else ""
    if row.unit in ("share", "fraction"):
        return f"{sign}{row.difference * 100:.2g} points"
    shown = f"{sign}{words.number(row.difference, row.unit)}"
    if row.a is not None and row.a.value is not None and row.a.value > 0:
        shown += f" ({sign}{row.difference / row.a.value * 100:.0f} %)"
    return shown
