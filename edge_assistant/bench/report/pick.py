"""What a chart or a headline takes from a report; the names of the figures stand here only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.report.model import Figure, Report, TrialRow
from edge_assistant.bench.report.words import counted

GAP_MEDIAN: Final = ("response_gap_p50",)
TAKE_OVER: Final = ("pause_take_over",)

HEADLINES: Final = (
    ("median gap", GAP_MEDIAN),
    ("90th percentile of the gap", ("response_gap_p90",)),
    ("answered too early", ("response_gap_below_0",)),
    ("stopped within 1.5 s of an interruption", ("stopped_within",)),
    ("kept the floor under noise and backchannel", ("floor_kept",)),
)


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
    rows = [row for row in counted(report.trials) if row.expects_gap or row.gap_s is not None]
    found = [
        (system, source, tuple(r for r in rows if r.system == system and r.source == source))
        for system, source in groups(report)
    ]
    return [each for each in found if each[2]]


def figures(report: Report, names: tuple[str, ...], system: str, source: str) -> list[Figure]:
    """The figures of these names that have a value."""
    return [
        figure
        for figure in report.figures
        if figure.name in names
        and figure.system == system
        and figure.source == source
        and figure.value is not None
    ]


def gap_median(report: Report, system: str, source: str) -> Figure | None:
    """The median gap over the most trials: the one of all conditions, where there is such a row."""
    found = figures(report, GAP_MEDIAN, system, source)
    return max(found, key=lambda figure: figure.n, default=None)


def pauses(report: Report) -> list[Pauses]:
    """Points of the trade-off: only where both axes were measured."""
    found = []
    for system, source in groups(report):
        gap = gap_median(report, system, source)
        taken = figures(report, TAKE_OVER, system, source)
        if gap is None or gap.value is None or not taken:
            continue
        found.append(
            Pauses(
                system=system,
                source=source,
                gap_s=gap.value,
                gap_low=gap.value if gap.low is None else gap.low,
                gap_high=gap.value if gap.high is None else gap.high,
                figures=tuple(taken),
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
    """The worst trials that count and can be looked at, worst first; no two of one sort in a row.

    One that stands for each scenario and system comes before the second of any.
    """
    rows = sorted(
        (row for row in counted(report.trials) if row.timeline is not None and row.fault > 0),
        key=lambda row: (-row.fault, row.id, row.system),
    )
    seen: dict[tuple[str, str], int] = {}
    order: list[tuple[int, int, TrialRow]] = []
    for at, row in enumerate(rows):
        turn = seen.get((row.scenario, row.system), 0)
        seen[row.scenario, row.system] = turn + 1
        order.append((turn, at, row))
    return [row for _, _, row in sorted(order, key=lambda each: each[:2])[:at_most]]


def headlines(report: Report, system: str, source: str) -> list[tuple[str, Figure]]:
    """The few figures that stand above everything, each the one over the most trials."""
    found = []
    for label, names in HEADLINES:
        best = max(figures(report, names, system, source), key=lambda f: f.n, default=None)
        if best is not None:
            found.append((label, best))
    return found
