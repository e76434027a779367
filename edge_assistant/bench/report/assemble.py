"""From a run on disk to the values of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from edge_assistant.bench import metrics, runner, storage
from edge_assistant.bench.metrics import turn_taking
from edge_assistant.bench.report import pick, scene, trade_off, words
from edge_assistant.bench.report.model import (
    Component,
    Examined,
    Figure,
    Machine,
    Report,
    TrialRow,
)
from edge_assistant.bench.report.verdict import fault_of, outcome_of
from edge_assistant.bench.scenarios import clips_in, missing_classes
from edge_assistant.bench.trial import Outcome

TITLE: Final = "How well does it hold a conversation?"
SHOWN_CASES: Final = 12
"""Trials whose sound goes into the page."""

_INTERVALS: Final = (
    "95 %; quantiles and ratios: percentile bootstrap over trials, 2,000 draws; "
    "shares: Wilson; rates: exact Poisson bounds"
)
_LABELS: Final = {
    "response_gap_p50": "Median response gap",
    "takeover": "Questions answered",
    "pause_take_any": "Pauses taken for the end",
    "stop_latency_p50": "Median time to fall silent",
    "stopped": "Silent within 1.5 s",
    "floor_kept[backchannel]": "Kept talking under a backchannel",
    "floor_kept[noise]": "Kept talking under noise",
}
"""What the terms of the composite are called; others by their own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a system besides its command line."""

    version: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


def build(
    run: storage.Run,
    terms: Sequence[metrics.Term],
    about: Mapping[str, About] | None = None,
    *,
    bench_version: str,
) -> Report:
    """Measure a run and put everything together; needs all its sound in memory once.

    Args:
        run: what `storage.load` gave.
        terms: of the composite.
        about: by name of the system.
        bench_version: of the program that measures.

    Raises:
        BenchError: a trial cannot be read.
    """
    outcomes = runner.outcomes_of(run)
    context = metrics.context_of(outcomes)
    rows = [row_of(outcome, metrics.trial_values(outcome, context), terms) for outcome in outcomes]
    report = Report(
        title=TITLE,
        date=run.info.started or datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=bench_version,
        seed=run.info.seeds[0] if run.info.seeds else 0,
        machine=_machine(run.info.machine, outcomes),
        systems=tuple(_systems(run, rows, about or {})),
        figures=tuple(_figures(outcomes, context)),
        trials=tuple(rows),
        composite=tuple(_component(term) for term in terms),
        notes=(*_notes(run, rows), *_repeats(outcomes)),
        intervals=_INTERVALS,
        limits=asdict(runner.Limits()),
    )
    report = replace(report, trade_offs=trade_off.found(report))
    return _with_scenes(report, outcomes)


def row_of(
    outcome: Outcome, values: Mapping[str, float], terms: Sequence[metrics.Term]
) -> TrialRow:
    """One trial, without its drawing."""
    trial = outcome.trial
    asks = trial.scenario == pick.GAP_SCENARIO and turn_taking.applies(trial)
    stages = {
        name.removeprefix("gap_stage[").removesuffix("]"): value
        for name, value in values.items()
        if name.startswith("gap_stage[")
    }
    return TrialRow(
        id=trial.id,
        scenario=trial.scenario,
        condition=trial.condition,
        source=trial.source,
        system=outcome.system,
        seed=trial.seed,
        outcome=outcome_of(values, asks=asks),
        fault=0.0 if outcome.void else fault_of(values, terms, trial.scenario),
        void=outcome.void,
        gap_s=values.get("response_gap"),
        expects_gap=asks,
        values=dict(values),
        stages=stages,
    )


def _with_scenes(report: Report, outcomes: Sequence[Outcome]) -> Report:
    shown = {(row.id, row.system) for row in pick.worst(report, SHOWN_CASES)}
    return replace(
        report,
        trials=tuple(
            replace(row, timeline=scene.timeline(outcome)) if (row.id, row.system) in shown else row
            for row, outcome in zip(report.trials, outcomes, strict=True)
        ),
    )


def _figures(outcomes: Sequence[Outcome], context: metrics.Context) -> list[Figure]:
    """Each scenario as a whole, then its conditions where it has several."""
    whole = metrics.summarise(outcomes, by_condition=False, context=context)
    parts = metrics.summarise(outcomes, by_condition=True, context=context)
    several = {
        scenario
        for scenario in {group.scenario for group in parts}
        if len({group.condition for group in parts if group.scenario == scenario}) > 1
    }
    parted = {group: found for group, found in parts.items() if group.scenario in several}
    return [
        Figure(
            scenario=group.scenario,
            condition=group.condition,
            source=group.source,
            system=group.system,
            name=measure.name,
            value=measure.value,
            unit=measure.unit,
            n=measure.n,
            low=measure.low,
            high=measure.high,
            voids=len(measure.voids),
        )
        for table in (whole, parted)
        for group, found in table.items()
        for measure in found
    ]


def _machine(told: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Machine:
    return Machine(
        processor=str(told.get("cpu") or "unknown processor"),
        cores=int(told.get("cores") or 0),
        memory_bytes=int(told.get("ram_bytes") or 0),
        system=str(told.get("system") or "unknown system"),
        python=str(told.get("python") or "unknown"),
        versions={str(k): str(v) for k, v in (told.get("versions") or {}).items()},
        load=max((outcome.load for outcome in outcomes), default=0.0),
        steal_s=sum(outcome.steal_s for outcome in outcomes),
    )


def _systems(
    run: storage.Run, rows: Sequence[TrialRow], about: Mapping[str, About]
) -> list[Examined]:
    found = []
    for name, command in run.info.systems.items():
        its = [row for row in rows if row.system == name]
        known = about.get(name, About())
        found.append(
            Examined(
                name=name,
                command=tuple(command),
                version=known.version,
                models=dict(known.models),
                trials=len(its),
                voids=sum(bool(row.void) for row in its),
            )
        )
    return found


def _component(term: metrics.Term) -> Component:
    is_time = term.measure.rpartition("_")[2] in ("p50", "p90", "p95")
    return Component(
        label=_LABELS.get(term.measure, term.measure.replace("_", " ")),
        name=term.measure,
        scenario=term.scenario,
        good=term.good,
        bad=term.bad,
        weight=term.weight,
        unit="s" if is_time else "share",
    )


def _notes(run: storage.Run, rows: Sequence[TrialRow]) -> list[str]:
    repeats = [reason for entry in run.entries for reason in entry.voided]
    notes = []
    if repeats:
        notes.append(f"{len(repeats)} disturbed attempts were made again, such as: {repeats[0]}")
    planned = sum(run.info.scenarios.values()) * len(run.info.systems)
    if planned > len(rows):
        notes.append(f"The run is not complete: {len(rows)} of {planned} trials are there.")
    for source in ("real", "synthetic"):
        if not any(row.source == source for row in rows):
            notes.append(f"There are no trials with speech of the source '{source}'.")
            continue
        its = [(row.scenario, row.condition) for row in rows if row.source == source]
        missing = missing_classes(its)
        if missing:
            notes.append(f"No trials with speech of the source '{source}': {', '.join(missing)}.")
    return notes


def _repeats(outcomes: Sequence[Outcome]) -> list[str]:
    """Where n is larger than the number of clips that it rests on."""
    again = [
        f"{scenario}, {condition}, {words.source(source)}: {clips} different in {trials} trials"
        for (scenario, condition, source), (trials, clips) in clips_in(
            outcome.trial for outcome in outcomes
        ).items()
        if clips < trials
    ]
    told = "Clips come round again, so that these have narrower intervals than they should: "
    return [f"{told}{'; '.join(again)}."] if again else []
