"""`edge-assistant bench gate`: is this build worse than its baseline?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_assistant.cli import output
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant.bench.gate import Judgement, Row


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--baseline", metavar="NAME", help="System to judge by; without it: baseline.")
@click.option("--candidate", metavar="NAME", help="System to judge; without it: the other one.")
@click.option(
    "--limits",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="What is judged and how much worse it may be; without it: our own gate.toml.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
@click.pass_context
def gate(
    context: click.Context,
    folder: Path,
    baseline: str | None,
    candidate: str | None,
    limits: Path | None,
    as_json: bool,
) -> None:
    """Judge a build by its baseline, both in the run in FOLDER. Exit code 1: it is worse.

    Only what both did in the same trials is compared; no time counts by itself.
    """
    from dataclasses import asdict

    from edge_assistant.bench import gate as gates
    from edge_assistant.bench import runner, storage

    wanted = gates.read_limits(limits or gates.DEFAULT)
    run = storage.load(folder)
    names = gates.sides(tuple(run.info.systems), baseline, candidate)
    found = gates.judge(runner.outcomes_of(run), wanted, *names)
    if as_json:
        output.emit(asdict(found))
    else:
        click.echo(to_text(found))
    if found.with_verdict("worse"):
        context.exit(1)
    if not found.tests:
        raise EdgeAssistantError(
            "bench-gate-too-few",
            f"nothing can be told: {max(row.pairs for row in found.rows)} pairs of trials at most, "
            f"and {gates.LEAST_PAIRS} are needed",
            "make a run with more trials, and look for void ones in its report.md",
        )


def to_text(found: Judgement) -> str:
    """A table for a terminal, the reasons, and what it comes to."""
    head = ("measure", "speech", "pairs", found.baseline, found.candidate)
    cells: list[tuple[str, ...]] = [(*head, "change (95 %)", "limit", "verdict")]
    cells += [_cells(row) for row in found.rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(cells[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([*lines, "", *_notes(found.rows), *_sum(found)])


def _cells(row: Row) -> tuple[str, ...]:
    from edge_assistant.bench.report import words

    change = words.NOT_MEASURED
    if row.change is not None and row.low is not None and row.high is not None:
        ends = f"{_amount(row, row.low)} to {_amount(row, row.high)}"
        change = f"{row.kind} {_amount(row, row.change)} ({ends})"
    return (
        _name(row),
        words.source(row.source),
        str(row.pairs),
        words.number(row.baseline, row.unit),
        words.number(row.candidate, row.unit),
        change,
        _amount(row, row.limit),
        row.verdict,
    )


def _amount(row: Row, value: float) -> str:
    """A ratio, or points of a share."""
    return f"{value:.2f}" if row.kind == "ratio" else str(round(value * 100))


def _name(row: Row) -> str:
    return "/".join(filter(None, (row.scenario, row.measure)))


def _notes(rows: tuple[Row, ...]) -> list[str]:
    notes = []
    for row in rows:
        left_out = (
            f"{row.left_out} trials left out, without a value of both" if row.left_out else ""
        )
        told = "; ".join(filter(None, (row.reason, left_out)))
        if told:
            notes.append(f"{_name(row)} ({row.source}): {told}")
    return [*notes, ""] if notes else []


def _sum(found: Judgement) -> list[str]:
    counts = {
        verdict: len(found.with_verdict(verdict))
        for verdict in ("worse", "better", "same", "unknown")
    }
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return [
        f"{found.candidate} against {found.baseline}: {told}. "
        "Ratios are candidate / baseline, drops and rises points of a share.",
        f"{found.tests} measures had enough pairs; the chance that any is called worse without "
        f"being beyond its limit is {found.false_alarm * 100:.0f} % at most.",
    ]
