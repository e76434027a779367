"""What a chart or a headline takes from a report; the names of the figures stand here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.metrics import turn_taking
from edge_assistant.bench.report.model import Figure, Report, TrialRow
from edge_assistant.bench.report.words import counted

GAP_MEDIAN: Final = "response_gap_p50"
GAP_SCENARIO: Final = "turn_taking"
LENGTHS: Final = turn_taking.SPOKEN
PAUSE_SCENARIO: Final = "pauses"
TAKE_OVER: Final = "pause_take_any"
"""By any audible start; `pause_take_tor`, the laxer rule of Full-Duplex-Bench, is in the tables."""

WORTH_A_LOOK: Final = 0.25
"""Least fault of a trial that is shown among the worst."""

HEADLINES: Final = (
    ("median response gap", GAP_SCENARIO, GAP_MEDIAN),
    ("90th percentile of the gap", GAP_SCENARIO, "response_gap_p90"),
    ("questions answered", GAP_SCENARIO, "takeover"),
    ("pauses taken for the end", PAUSE_SCENARIO, TAKE_OVER),
    ("silent within 1.5 s of an interruption", "interruption", "stopped"),
    ("kept talking under a backchannel", "backchannel", "floor_kept[backchannel]"),
    ("kept talking under noise", "noises", "floor_kept[noise]"),
)
"""(label, scenario, figure), the first of them in big."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """What one system does in pauses, and how quick it is, for one source."""

    system: str
    source: str
    gap_s: float
    gap_low: float
    gap_high: float
    figures: tuple[Figure, ...]
    """Share of pauses that it took, one figure for each length."""


def groups(report: Report) -> list[tuple[str, str]]:
    """(system, source), the systems in the order of the command line, real before synthetic."""
    return [(system.name, source) for system in report.systems for source in ("real", "synthetic")]


def gap_groups(report: Report) -> list[tuple[str, str, tuple[TrialRow, ...]]]:
    """The trials that ask for a reply and count, by system and source; empty groups left out."""
    rows = [row for row in counted(report.trials) if row.expects_gap]
    found = [
        (system, source, tuple(r for r in rows if r.system == system and r.source == source))
        for system, source in groups(report)
    ]
    return [each for each in found if each[2]]


def figure(
    report: Report, scenario: str, name: str, system: str, source: str, condition: str = ""
) -> Figure | None:
    """The figure of a condition, or over all of a scenario, where it has a value."""
    for each in report.figures:
        if (each.scenario, each.condition, each.name) == (scenario, condition, name) and (
            each.system,
            each.source,
        ) == (system, source):
            return each if each.value is not None else None
    return None


def row_of(name: str) -> str:
    """`0.3 s` of `pause_take_any[0.3 s]`; empty without a row."""
    return name.partition("[")[2].removesuffix("]")


def lengths(report: Report) -> list[tuple[str, str, list[tuple[Figure | None, Figure | None]]]]:
    """(system, source, median and 90th percentile of the gap for each length of the request)."""
    found = []
    for system, source in groups(report):
        cells = [
            tuple(
                figure(report, GAP_SCENARIO, f"gap_by_length_{share}[{row}]", system, source)
                for share in ("p50", "p90")
            )
            for row in LENGTHS
        ]
        if any(cell[0] for cell in cells):
            found.append((system, source, [(cell[0], cell[1]) for cell in cells]))
    return found


def pauses(report: Report) -> list[Pauses]:
    """Points of the trade-off: only where both axes were measured, and not for a source of which
    `Report.trade_offs` shows more."""
    shown = {
        point.across.source
        for plane in report.trade_offs
        for panel in plane.panels
        for point in panel.points
        if point.across.name == GAP_MEDIAN
    }
    found = []
    for system, source in groups(report):
        if source in shown:
            continue
        gap = figure(report, GAP_SCENARIO, GAP_MEDIAN, system, source)
        taken = tuple(
            each
            for each in report.figures
            if each.name.startswith(f"{TAKE_OVER}[")
            and (each.scenario, each.condition) == (PAUSE_SCENARIO, "")
            and (each.system, each.source) == (system, source)
            and each.value is not None
        )
        if gap is None or gap.value is None or not taken:
            continue
        found.append(
            Pauses(
                system=system,
                source=source,
                gap_s=gap.value,
                gap_low=gap.value if gap.low is None else gap.low,
                gap_high=gap.value if gap.high is None else gap.high,
                figures=taken,
            )
        )
    return found


def stage_means(report: Report) -> list[tuple[str, str, int, dict[str, float]]]:
    """(system, source, n, mean seconds of each stage); means, because they add up."""
    found = []
    for system, source in groups(report):
        logs = [
            row.stages
            for row in counted(report.trials)
            if row.system == system and row.source == source and row.stages and row.expects_gap
        ]
        if logs:
            means = {
                stage: sum(log.get(stage, 0.0) for log in logs) / len(logs)
                for stage in dict.fromkeys(stage for log in logs for stage in log)
            }
            found.append((system, source, len(logs), means))
    return found


def worst(report: Report, at_most: int) -> list[TrialRow]:
    """The worst trials that count, worst first.

    One that stands for each scenario and system comes before the second of any.
    """
    rows = sorted(
        (row for row in counted(report.trials) if row.fault >= WORTH_A_LOOK),
        key=lambda row: (-row.fault, row.id, row.system),
    )
    seen: dict[tuple[str, str], int] = {}
    order: list[tuple[int, int, TrialRow]] = []
    for at, row in enumerate(rows):
        turn = seen.get((row.scenario, row.system), 0)
        seen[row.scenario, row.system] = turn + 1
        order.append((turn, at, row))
    return [row for _, _, row in sorted(order, key=lambda each: each[:2])[:at_most]]


def headed(report: Report, system: str) -> list[str]:
    """Sources of speech that deserve a card: those with the first headline, else any with one.

    Noises that are made by a recipe count as synthetic in any run; alone they are no conversation.
    """
    found = {source: headlines(report, system, source) for source in ("real", "synthetic")}
    first = HEADLINES[0][0]
    whole = [source for source, lines in found.items() if lines and lines[0][0] == first]
    return whole or [source for source, lines in found.items() if lines]


def headlines(report: Report, system: str, source: str) -> list[tuple[str, Figure]]:
    """The few figures that stand above everything."""
    found = []
    for label, scenario, name in HEADLINES:
        each = figure(report, scenario, name, system, source)
        if each is not None:
            found.append((label, each))
    return found
