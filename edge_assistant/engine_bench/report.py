"""From rounds to figures: medians with intervals, and one model or build against another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from edge_assistant.bench.machine import Machine
from edge_assistant.bench.metrics.statistics import (
    Interval,
    are_enough,
    bootstrap_quantiles,
    bootstrap_ratio,
    quantile,
)
from edge_assistant.bench.metrics.values import Sample
from edge_assistant.engine_bench.builds import THIS
from edge_assistant.engine_bench.readings import METRICS, STAGES, WER, Heard, Round, Stage, Unit
from edge_assistant.engine_bench.subjects import Subject

SCHEMA: Final = "edge-assistant-engines/1"
"""Grows by optional fields; the number changes where an old reader would go wrong."""


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """This row's B beside its A."""

    model: str
    """Of A; also its build, where that differs."""
    build: str
    value: float
    """B / A, median over the rounds that both have; for words wrong, B - A."""
    low: float | None
    high: float | None
    n: int
    """Rounds, or clips."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one engine."""

    stage: Stage
    metric: str
    """As in `METRICS`; for words wrong, with the kind of speech: `wer[read]`."""
    model: str
    build: str
    """Empty where there is but one."""
    unit: Unit
    value: float
    """Median; for words wrong, the rate over all clips."""
    low: float | None
    """Ends of the 95 % interval; None where there are too few rounds for one."""
    high: float | None
    worst: float | None
    """Slowest value; None for words wrong."""
    n: int
    """Values, or clips."""
    against: Against | None = None


class BuildFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A build that was measured."""

    name: str
    version: str
    python: str
    versions: dict[str, str]


class SpeechFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the recognisers heard."""

    is_made: bool
    """By espeak; otherwise recorded."""
    clips: int
    duration_s: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run; its JSON."""

    schema: str = SCHEMA
    started: str
    version: str
    machine: Machine
    builds: list[BuildFacts]
    """Empty where only this build was measured."""
    models: list[Subject]
    settings: dict[str, Any]
    speech: SpeechFacts
    seed: int
    repeats: int
    is_complete: bool
    """False: it was broken off; the rows are of what was measured until then."""
    rows: list[Row]
    rounds: list[Round]


def builds_of(rounds: Sequence[Round]) -> list[BuildFacts]:
    """What the rounds say of their builds, in the order of their names; this one comes first."""
    found = {
        each.build: BuildFacts(
            name=each.build,
            version=each.version,
            python=each.machine.python,
            versions=each.machine.versions,
        )
        for each in rounds
        if each.machine is not None
    }
    return [found[name] for name in sorted(found, key=lambda name: (name != THIS, name))]


_Key = tuple[str, str, str]
"""Metric, model, build."""


def rows(
    rounds: Sequence[Round],
    models: Sequence[str],
    builds: Sequence[str] = ("",),
    seed: int = 0,
) -> list[Row]:
    """All figures, by stage and metric; engines of one figure stand together, A first.

    A disturbed round does not count where others measured the same. Values of one round hang
    together, so rounds are what is resampled.

    Args:
        rounds: what was measured.
        models: names in the order of the report; the first one of a figure is A.
        builds: the same for builds.
        seed: of the resampling.
    """
    engines = [(model, build) for model in dict.fromkeys(models) for build in builds]
    found: list[Row] = []
    for stage in STAGES:
        samples = _samples(rounds, stage)
        heard = _heard(rounds) if stage == "stt" else {}
        for metric in METRICS[stage]:
            if metric == WER:
                found += _word_rows(heard, engines, seed)
            else:
                cells = {
                    engine: samples[metric, *engine]
                    for engine in engines
                    if (metric, *engine) in samples
                }
                found += _metric_rows(stage, metric, cells, seed)
    return found


def _samples(rounds: Sequence[Round], stage: Stage) -> dict[_Key, list[Sample]]:
    all_of: dict[_Key, list[Sample]] = defaultdict(list)
    calm: dict[_Key, list[Sample]] = defaultdict(list)
    for each in rounds:
        for reading in each.readings:
            if reading.stage == stage:
                key = (reading.metric, reading.model, each.build)
                sample = Sample(trial=str(each.index), value=reading.value)
                all_of[key].append(sample)
                if not each.disturbed:
                    calm[key].append(sample)
    return {key: calm[key] or values for key, values in all_of.items()}


def _metric_rows(
    stage: Stage, metric: str, cells: Mapping[tuple[str, str], list[Sample]], seed: int
) -> Iterator[Row]:
    about = METRICS[stage][metric]
    for (model, build), samples in cells.items():
        values = [sample.value for sample in samples]
        low, high = _interval_of_median(samples, seed)
        first = _first(list(cells), model, build)
        yield Row(
            stage=stage,
            metric=metric,
            model=model,
            build=build,
            unit=about.unit,
            value=quantile(values, 0.5),
            low=low,
            high=high,
            worst=min(values) if about.more_is_better else max(values),
            n=len(values),
            against=first and _ratio(first, cells[first], samples, seed),
        )


def _first(order: list[tuple[str, str]], model: str, build: str) -> tuple[str, str] | None:
    """What an engine is held against: the same model in the first build, else the first model."""
    same_model = [key for key in order if key[0] == model]
    if same_model[0] != (model, build):
        return same_model[0]
    return order[0] if order[0] != (model, build) else None


def _ratio(
    first: tuple[str, str], a: Sequence[Sample], b: Sequence[Sample], seed: int
) -> Against | None:
    """B / A within each round: whatever slowed the machine slowed both."""
    of_a, of_b = _medians(a), _medians(b)
    pairs = [
        Sample(trial=trial, value=of_b[trial] / of_a[trial])
        for trial in of_a
        if trial in of_b and of_a[trial]
    ]
    if not pairs:
        return None
    low, high = _interval_of_median(pairs, seed)
    return Against(
        model=first[0],
        build=first[1],
        value=quantile([pair.value for pair in pairs], 0.5),
        low=low,
        high=high,
        n=len(pairs),
    )


def _medians(samples: Sequence[Sample]) -> dict[str, float]:
    by_trial: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        by_trial[sample.trial].append(sample.value)
    return {trial: quantile(values, 0.5) for trial, values in by_trial.items()}


def _interval_of_median(samples: Sequence[Sample], seed: int) -> Interval | tuple[None, None]:
    if not are_enough(samples):
        return None, None
    (interval,) = bootstrap_quantiles(samples, [0.5], seed=seed)
    return interval


_Clips = dict[str, Heard]


def _heard(rounds: Sequence[Round]) -> dict[tuple[str, str, str], _Clips]:
    """By kind of speech, model and build: every clip once, as it was first heard."""
    found: dict[tuple[str, str, str], _Clips] = defaultdict(dict)
    for each in rounds:
        for heard in each.heard:
            found[heard.kind, heard.model, each.build].setdefault(heard.clip, heard)
    return found


def _word_rows(
    heard: Mapping[tuple[str, str, str], _Clips], engines: Sequence[tuple[str, str]], seed: int
) -> Iterator[Row]:
    for kind in sorted({key[0] for key in heard}):
        cells = {each: heard[kind, *each] for each in engines if (kind, *each) in heard}
        for (model, build), clips in cells.items():
            samples = [
                Sample(trial=name, value=each.edits, exposure=each.words)
                for name, each in clips.items()
            ]
            low, high = _interval_of_rate(samples, seed)
            first = _first(list(cells), model, build)
            yield Row(
                stage="stt",
                metric=f"{WER}[{kind}]",
                model=model,
                build=build,
                unit=METRICS["stt"][WER].unit,
                value=_rate(samples),
                low=low,
                high=high,
                worst=None,
                n=len(samples),
                against=first and _difference(first, cells[first], clips, seed),
            )


def _difference(first: tuple[str, str], a: _Clips, b: _Clips, seed: int) -> Against | None:
    """B - A over the clips that both heard."""
    samples = [
        Sample(trial=name, value=b[name].edits - a[name].edits, exposure=a[name].words)
        for name in a
        if name in b
    ]
    if not samples:
        return None
    low, high = _interval_of_rate(samples, seed)
    return Against(
        model=first[0], build=first[1], value=_rate(samples), low=low, high=high, n=len(samples)
    )


def _rate(samples: Sequence[Sample]) -> float:
    return sum(each.value for each in samples) / sum(each.exposure for each in samples)


def _interval_of_rate(samples: Sequence[Sample], seed: int) -> Interval | tuple[None, None]:
    return bootstrap_ratio(samples, seed=seed) if are_enough(samples) else (None, None)
