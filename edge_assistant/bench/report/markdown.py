"""The report as a summary in Markdown, for a commit or an issue."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_assistant.bench.report import composite, pick, published, words
from edge_assistant.bench.report.model import Figure, Panel, Point, Report


def cell(text: str) -> str:
    """Text that cannot leave its cell of a table, nor become a link, code or HTML."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|#~!])", r"\\\1", flat)


def code(text: str) -> str:
    """Text as code, whatever back-ticks it holds itself, in a cell or outside."""
    flat = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    space = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{space}{flat}{space}{fence}" if flat else ""


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers: int = 0) -> str:
    """A table whose last `numbers` columns are aligned to the right; cells are escaped already."""
    rules = ["---"] * (len(head) - numbers) + ["---:"] * numbers
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, tuple(rules), *rows))


def summary(report: Report) -> str:
    """Everything but the single trials, of which only the worst are named."""
    parts = [f"# {cell(report.title)}", _about(report), *_headlines(report), *_lengths(report)]
    parts += [*_trade_offs(report), *_figures(report)]
    parts += [*_score(report), *_beside(report), *_worst(report), *_voids(report)]
    if report.notes:
        parts += ["## Notes", "\n".join(f"- {cell(note)}" for note in report.notes)]
    return "\n\n".join(parts) + "\n"


def _about(report: Report) -> str:
    machine = report.machine
    lines = [
        f"- Machine: {cell(machine.processor)}, {machine.cores} cores, "
        f"{machine.memory_bytes / 2**30:.1f} GiB; {cell(machine.system)}, {cell(machine.python)}; "
        f"highest load {machine.load:.1f}, {machine.steal_s:.2f} s stolen",
        f"- Run: {cell(report.date)}, bench {cell(report.bench_version)}, seed {report.seed}",
        f"- Intervals: {cell(report.intervals)}",
    ]
    for system in report.systems:
        models = ", ".join(f"{k}: {v}" for k, v in system.models.items())
        told = ", ".join(part for part in (system.version, models) if part)
        lines.append(
            f"- System {cell(system.name)}: {code(' '.join(system.command))}"
            + (f" ({cell(told)})" if told else "")
            + f"; {system.trials} trials, {system.voids} void"
        )
    return "\n".join(lines)


def _headlines(report: Report) -> list[str]:
    rows = [
        (
            cell(system),
            words.source(source),
            cell(label),
            cell(words.number(figure.value, figure.unit)),
            cell(words.interval(figure)),
            str(figure.n),
        )
        for system, source in pick.groups(report)
        for label, figure in pick.headlines(report, system, source)
    ]
    if not rows:
        return []
    return ["## In short", table(("system", "speech", "measure", "value", "95 %", "n"), rows, 3)]


def _lengths(report: Report) -> list[str]:
    rows = [
        (
            cell(system),
            words.source(source),
            *(
                f"{_value(middle)}, p90 {_value(far, short=True)}" if middle else _value(None)
                for middle, far in cells
            ),
        )
        for system, source, cells in pick.lengths(report)
    ]
    if not rows:
        return []
    head = ("system", "speech", *pick.LENGTHS)
    about = "Median response gap by the seconds of speech in the request."
    return ["## Gap by length of the request", about, table(head, rows)]


def _trade_offs(report: Report) -> list[str]:
    parts = ["## Trade-offs"] if report.trade_offs else []
    for plane in report.trade_offs:
        points = {
            system.name: [_point(panel, system.name) for panel in plane.panels]
            for system in report.systems
        }
        rows = []
        for name, its in points.items():
            any_ = next((point for point in its if point is not None), None)
            if any_ is not None:
                shares = (_value(point.up if point else None) for point in its)
                times = (_value(any_.across), _value(any_.far, short=True))
                rows.append((cell(name), *times, *shares))
        titles = (cell(panel.title) for panel in plane.panels)
        head = ("system", cell(plane.across), cell(plane.far), *titles)
        parts += [
            f"### {cell(plane.title)}, {words.source(plane.source)}",
            cell(plane.about),
            table(head, rows, len(head) - 1),
        ]
    return parts


def _point(panel: Panel, system: str) -> Point | None:
    return next((point for point in panel.points if point.system == system), None)


def _value(figure: Figure | None, *, short: bool = False) -> str:
    """A value with its interval and n, or alone, as a cell."""
    if figure is None:
        return words.NOT_MEASURED
    shown = words.number(figure.value, figure.unit)
    return cell(shown if short else f"{shown} ({words.interval_and_n(figure)})")


def _figures(report: Report) -> list[str]:
    parts = ["## Every figure"]
    ordered = words.by_row(report)
    for scenario in dict.fromkeys(figure.scenario for figure in ordered):
        rows = [
            (
                cell(words.plain(figure.name)),
                cell(words.condition(figure.condition)),
                words.source(figure.source),
                cell(figure.system),
                cell(words.number(figure.value, figure.unit)),
                cell(words.interval(figure)),
                str(figure.n),
                str(figure.voids),
            )
            for figure in ordered
            if figure.scenario == scenario
        ]
        head = ("measure", "condition", "speech", "system", "value", "95 %", "n", "void")
        parts += [f"### {cell(words.plain(scenario))}", table(head, rows, 4)]
    return parts


def _score(report: Report) -> list[str]:
    weights = tuple(part.weight for part in report.composite)
    rows = [
        (
            cell(each.system),
            words.source(each.source),
            words.NOT_MEASURED if score is None else f"{score:.0f}",
        )
        for each in composite.table(report)
        for score in (each.score(weights),)
    ]
    if not rows:
        return []
    used = [
        (
            cell(part.label),
            f"{part.weight:g}",
            cell(words.number(part.good, part.unit)),
            cell(words.number(part.bad, part.unit)),
        )
        for part in report.composite
    ]
    return [
        "## Composite",
        "A weighted mean of points, and none where a part was not measured. The page lets you "
        "change the weights.",
        table(("system", "speech", "score"), rows, 1),
        table(("part", "weight", "100 points at", "0 points at"), used, 3),
    ]


def _beside(report: Report) -> list[str]:
    found = [tuple(cell(each) for each in row) for row in published.ours(report)]
    if not found:
        return []
    rows = [*found, *published.PUBLISHED]
    caveats = "\n".join(f"- {caveat}" for caveat in published.CAVEATS)
    head = ["## Beside Full-Duplex-Bench v1.0", "Ours first, then as published by its authors."]
    return [*head, table(published.HEAD, rows, 6), caveats]


def _worst(report: Report) -> list[str]:
    rows = [
        (code(row.id), cell(row.system), cell(row.outcome), cell(words.number(row.gap_s, "s")))
        for row in pick.worst(report, 12)
    ]
    return ["## Worst cases", table(("trial", "system", "outcome", "gap"), rows, 1)] if rows else []


def _voids(report: Report) -> list[str]:
    rows = [(code(row.id), cell(row.system), cell(row.void)) for row in report.trials if row.void]
    return ["## Void trials", table(("trial", "system", "why"), rows)] if rows else []
