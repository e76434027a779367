"""All public metrics, and how outcomes become the numbers of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from edge_assistant.bench.metrics import full_duplex_bench as fdb
from edge_assistant.bench.metrics import (
    log,
    overlap,
    pauses,
    stages,
    statistics,
    steadiness,
    turn_taking,
)
from edge_assistant.bench.metrics.overlap import INTERRUPTIONS, NOT_FOR_THE_FLOOR, OTHERS
from edge_assistant.bench.metrics.values import (
    Context,
    Group,
    Kind,
    Measure,
    Metric,
    Observation,
    Sample,
    Void,
)
from edge_assistant.bench.trial import Outcome, Trial

SHARES: Final = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95))


def _has_others(trial: Trial) -> bool:
    return any(s.role in OTHERS for s in trial.stimuli)


def _metric(
    name: str,
    unit: str,
    kind: Kind,
    observe: Callable[[Outcome, Context], list[Observation]],
    applies: Callable[[Trial], bool],
    scale: float = 1.0,
    is_pooled: bool = True,
) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        kind=kind,
        observe=observe,
        applies=applies,
        scale=scale,
        is_pooled=is_pooled,
    )


_INTERRUPTED: Final = overlap.has_role(INTERRUPTIONS)
_ANSWERABLE: Final = overlap.has_role(frozenset({"interruption"}))

_ALL: Final = (
    _metric("response_gap", "s", "quantiles", turn_taking.response_gap, turn_taking.applies),
    _metric(
        "gap_by_length",
        "s",
        "quantiles",
        turn_taking.gap_by_length,
        turn_taking.applies,
        is_pooled=False,
    ),
    _metric("false_start", "share", "share", turn_taking.false_start, turn_taking.applies),
    _metric("takeover", "share", "share", turn_taking.takeover, turn_taking.applies),
    _metric("pause_take_any", "share", "share", pauses.pause_any, pauses.applies),
    _metric("pause_take_tor", "share", "share", pauses.pause_tor, pauses.applies),
    _metric("ducked", "share", "share", overlap.ducked, _INTERRUPTED),
    _metric("duck_latency", "s", "quantiles", overlap.duck_latency, _INTERRUPTED),
    _metric("duck_latency_logged", "s", "quantiles", overlap.duck_latency_logged, _INTERRUPTED),
    _metric("stop_latency", "s", "quantiles", overlap.stop_latency, _INTERRUPTED),
    _metric(
        "stop_after_word",
        "s",
        "quantiles",
        overlap.stop_after_word,
        overlap.has_role(frozenset({"stop"})),
    ),
    _metric("stopped", "share", "share", overlap.stopped, _INTERRUPTED),
    _metric("answered_audibly", "share", "share", overlap.answered_audibly, _ANSWERABLE),
    _metric("answered", "share", "share", overlap.answered, _ANSWERABLE),
    _metric(
        "floor_kept",
        "share",
        "share",
        overlap.floor_kept,
        overlap.has_role(NOT_FOR_THE_FLOOR),
        is_pooled=False,
    ),
    _metric(
        "floor_kept_under_echo",
        "share",
        "share",
        steadiness.floor_kept_under_echo,
        steadiness.with_echo,
    ),
    _metric(
        "floor_kept_over_others",
        "share",
        "share",
        overlap.floor_kept_over_others,
        overlap.has_role(OTHERS),
        is_pooled=False,
    ),
    _metric(
        "others_answered", "share", "share", overlap.others_answered, _has_others, is_pooled=False
    ),
    _metric(
        "self_interruptions",
        "per 1,000 s of reply",
        "rate",
        steadiness.self_interruptions,
        steadiness.anything,
        scale=1_000.0,
    ),
    _metric(
        "phantom_replies",
        "per hour",
        "rate",
        steadiness.phantom_replies,
        steadiness.without_user,
        scale=3_600.0,
    ),
    _metric(
        "phantom_turns",
        "per hour",
        "rate",
        steadiness.phantom_turns,
        steadiness.without_user,
        scale=3_600.0,
    ),
    _metric(
        "heard_exact",
        "share",
        "share",
        steadiness.heard_exact,
        stages.has_user_turn,
        is_pooled=False,
    ),
    _metric("heard_error", "s", "quantiles", steadiness.heard_error, _INTERRUPTED, is_pooled=False),
    _metric("gap_logged", "s", "quantiles", stages.gap_logged, stages.has_user_turn),
    _metric("gap_logged_error", "s", "quantiles", stages.gap_logged_error, turn_taking.applies),
    _metric("gap_stage", "s", "quantiles", stages.gap_stage, stages.has_user_turn, is_pooled=False),
    _metric(
        "tokens_computed",
        "tokens per user turn",
        "ratio",
        stages.tokens_computed,
        stages.has_user_turn,
    ),
    _metric(
        "tokens_discarded",
        "tokens per user turn",
        "ratio",
        stages.tokens_discarded,
        stages.has_user_turn,
    ),
    _metric("cpu_talk", "s per minute", "ratio", stages.cpu, stages.is_talk),
    _metric("cpu_silence", "s per minute", "ratio", stages.cpu, stages.is_silence),
    _metric("peak_rss", "bytes", "maximum", stages.peak_rss, steadiness.anything),
    _metric("time_to_listening", "s", "quantiles", stages.time_to_listening, steadiness.anything),
    _metric("lateness", "s", "maximum", stages.lateness, steadiness.anything),
    _metric("xruns", "per hour", "rate", stages.xruns, steadiness.anything, scale=3_600.0),
    _metric("fdb_pause_tor", "share", "share", fdb.pause_tor, fdb.applies_to_pauses),
    _metric("fdb_turn_tor", "share", "share", fdb.turn_tor, fdb.applies_to_turns),
    _metric("fdb_turn_latency", "s", "mean", fdb.turn_latency, fdb.applies_to_turns),
    _metric(
        "fdb_interruption_tor", "share", "share", fdb.interruption_tor, fdb.applies_to_interruptions
    ),
    _metric(
        "fdb_interruption_latency",
        "s",
        "mean",
        fdb.interruption_latency,
        fdb.applies_to_interruptions,
    ),
    _metric(
        "fdb_backchannel_tor", "share", "share", fdb.backchannel_tor, fdb.applies_to_monologues
    ),
    _metric(
        "fdb_backchannel_frequency",
        "per second",
        "mean",
        fdb.backchannel_frequency,
        fdb.applies_to_monologues,
    ),
    _metric(
        "fdb_backchannel_jsd", "distance", "mean", fdb.backchannel_jsd, fdb.applies_to_monologues
    ),
    _metric("fdb_stop_latency", "s", "quantiles", fdb.stop_latency, fdb.applies_to_overlaps),
    _metric(
        "fdb_response_latency", "s", "quantiles", fdb.response_latency, fdb.applies_to_overlaps
    ),
)

METRICS: Final[dict[str, Metric]] = {metric.name: metric for metric in _ALL}
"""Every public metric by name; docs/bench-metrics.md defines each."""


def context_of(outcomes: Iterable[Outcome]) -> Context:
    """What the metrics may know besides one outcome: here, the pace of each system's voice."""
    return Context(pace=log.pace(outcomes))


def observe(outcome: Outcome, metric: Metric, context: Context) -> list[Observation]:
    """What one trial gives for one metric: nothing if it does not apply, one void if the trial is
    void."""
    if not metric.applies(outcome.trial):
        return []
    if outcome.void:
        return [Void(trial=outcome.trial.id, reason=outcome.void)]
    return metric.observe(outcome, context)


def trial_values(outcome: Outcome, context: Context) -> dict[str, float]:
    """Means (sums by exposure for rates) of what one trial gave, for a table of trials; a metric
    without samples is absent."""
    values: dict[str, float] = {}
    for metric in METRICS.values():
        rows: dict[str, list[Sample]] = {}
        for one in observe(outcome, metric, context):
            if isinstance(one, Sample):
                rows.setdefault("" if metric.is_pooled else one.row, []).append(one)
        for row, samples in rows.items():
            exposure = sum(s.exposure for s in samples)
            if exposure > 0.0:
                value = metric.scale * sum(s.value for s in samples) / exposure
                values[_named(metric.name, row)] = value
    return values


def groups(outcomes: Iterable[Outcome], *, by_condition: bool = True) -> dict[Group, list[Outcome]]:
    """Outcomes that may be summarised together, in the order of their appearance.

    System and source always part them; `by_condition` False puts a scenario's conditions together.
    """
    found: dict[Group, list[Outcome]] = {}
    for outcome in outcomes:
        trial = outcome.trial
        group = Group(
            system=outcome.system,
            source=trial.source,
            scenario=trial.scenario,
            condition=trial.condition if by_condition else "",
        )
        found.setdefault(group, []).append(outcome)
    return found


def summarise(
    outcomes: Sequence[Outcome],
    *,
    names: Sequence[str] = tuple(METRICS),
    by_condition: bool = True,
    context: Context | None = None,
    seed: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> dict[Group, list[Measure]]:
    """The measures of every group. A metric that applies to no trial of a group is absent there.

    Thread: any; pure. The same outcomes, seed and resamples give the same numbers.
    """
    known = context or context_of(outcomes)
    table: dict[Group, list[Measure]] = {}
    for group, members in groups(outcomes, by_condition=by_condition).items():
        measures: list[Measure] = []
        for name in names:
            metric = METRICS[name]
            seen = [one for member in members for one in observe(member, metric, known)]
            measures += measured(metric, seen, seed=seed, resamples=resamples)
        table[group] = measures
    return table


def measured(
    metric: Metric,
    observations: Sequence[Observation],
    *,
    seed: int = 0,
    resamples: int = statistics.RESAMPLES,
) -> list[Measure]:
    """Measures of one group: of all rows together where they may be pooled, and of each row.

    A void that names no row stands in every row. A single row of what is pooled says nothing new.
    """
    if not observations:
        return []
    rows = sorted({one.row for one in observations if one.row})
    found: list[Measure] = []
    if metric.is_pooled or not rows:
        found += _summary(metric, "", observations, seed, resamples)
    for row in rows if len(rows) > 1 or not metric.is_pooled else ():
        its = [o for o in observations if o.row == row or (isinstance(o, Void) and not o.row)]
        found += _summary(metric, row, its, seed, resamples)
    return found


def _summary(
    metric: Metric, row: str, observations: Sequence[Observation], seed: int, resamples: int
) -> list[Measure]:
    samples = [one for one in observations if isinstance(one, Sample)]
    voids = tuple(one for one in observations if isinstance(one, Void))

    def measure(
        value: float | None, suffix: str = "", interval: tuple[float, float] | None = None
    ) -> Measure:
        return Measure(
            name=_named(metric.name + suffix, row),
            value=value,
            unit=metric.unit,
            n=len(samples),
            low=interval[0] if interval else None,
            high=interval[1] if interval else None,
            voids=voids,
        )

    if metric.kind == "quantiles":
        if not samples:
            return [measure(None, f"_{name}") for name, _ in SHARES]
        values = [sample.value for sample in samples]
        shares = [share for _, share in SHARES]
        intervals: Sequence[statistics.Interval | None] = (
            statistics.bootstrap_quantiles(samples, shares, seed=seed, resamples=resamples)
            if statistics.are_enough(samples)
            else [None] * len(shares)
        )
        return [
            measure(statistics.quantile(values, share), f"_{name}", interval)
            for (name, share), interval in zip(SHARES, intervals, strict=True)
        ]
    if not samples:
        return [measure(None)]
    if metric.kind == "maximum":
        return [measure(max(sample.value for sample in samples))]
    return [measure(*_ratio(metric, samples, seed, resamples))]


def _ratio(
    metric: Metric, samples: Sequence[Sample], seed: int, resamples: int
) -> tuple[float | None, str, tuple[float, float] | None]:
    total = sum(sample.value for sample in samples)
    exposure = sum(sample.exposure for sample in samples)
    if exposure <= 0.0:
        return None, "", None
    value, per = metric.scale * total / exposure, metric.scale / exposure
    if metric.kind == "share":
        return value, "", statistics.wilson(total, len(samples))
    if metric.kind == "rate":
        low, high = statistics.poisson_bounds(round(total))
        return value, "", (low * per, high * per)
    if not statistics.are_enough(samples):
        return value, "", None
    low, high = statistics.bootstrap_ratio(samples, seed=seed, resamples=resamples)
    return value, "", (low * metric.scale, high * metric.scale)


def _named(name: str, row: str) -> str:
    return f"{name}[{row}]" if row else name
