"""Is this build worse than its baseline? Judged on pairs of trials of one run, never on times.

Both builds meet the same trials in turn on the same machine, so what the machine did, it did to
both. Of every trial each build has one value (the mean, where it has several); a trial without a
value of both is left out. The pairs are drawn again with replacement (Efron 1979: percentile
intervals, 2,000 draws, seeded), and each draw gives one change: for a `ratio`, that of the two
medians (or of the quantile in the measure's name; never of means or maxima, whose intervals are too
narrow where a few trials are far off); for a `drop` or `rise`, the difference of the two mean
shares. Shares get two made-up pairs, one that only the baseline wins and one that only the
candidate does (Bonett and Price 2012, J. Educ. Behav. Stat. 37:479): without them 20 faultless
trials of both would prove, with an interval of no width, that no build ever fails.

worse    The whole interval lies beyond the limit, and not only at 95 %: the end towards the limit
         is taken so far out that m measures, all of them exactly at their limits, give a false
         alarm in 5 runs of 100 at most (Bonferroni: 0.05 / m beyond that end, at most 0.025).
better   The whole 95 % interval lies on the good side of no change.
same     The whole 95 % interval lies within the limit.
unknown  None of them, or too few pairs.

`better` and `same` fail no build, so they are not corrected for the number of measures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_assistant.bench.examiner import FAILED
from edge_assistant.bench.metrics import METRICS, Context, context_of, trial_values
from edge_assistant.bench.metrics.registry import SHARES
from edge_assistant.bench.metrics.statistics import CONFIDENCE, RESAMPLES
from edge_assistant.bench.storage import BenchError
from edge_assistant.bench.trial import Outcome, Trial
from edge_assistant.errors import ConfigError

SCHEMA: Final = "edge-assistant-bench-gate/1"
DEFAULT: Final = Path(__file__).with_name("gate.toml")

FALSE_ALARM: Final = 0.05
"""Chance that a build is called worse in any measure, if it is exactly at every limit."""

LEAST_PAIRS: Final = 10
"""With fewer, simulated bootstrap intervals of a median miss more often than they claim."""

FAILURES: Final = "failed"
"""The one measure that is no metric: 1 for a trial that the program itself spoiled, 0 for one that
counts. The machine's doing is left out."""

_QUANTILE: Final = re.compile(rf"_({'|'.join(name for name, _ in SHARES)})(?=\[|$)")

Verdict = Literal["worse", "better", "same", "unknown"]
Kind = Literal["ratio", "drop", "rise"]
Pairs = NDArray[np.float64]
"""(trials, 2): the baseline's and the candidate's value."""


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much worse a measure may get. One of `ratio`, `drop` and `rise` is given."""

    measure: str
    """`failed`, or a metric, with `_p50` and the like and with its row where it has them."""
    scenario: str = ""
    """Empty: all of them."""
    ratio: Annotated[float, msgspec.Meta(gt=1)] | None = None
    """Candidate / baseline, at most."""
    drop: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """Baseline - candidate, at most, of a share that should be high."""
    rise: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """Candidate - baseline, at most, of a share that should be low."""

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.ratio, self.drop, self.rise)) != 1:
            raise ValueError(f"{self.measure} needs one of `ratio`, `drop` and `rise`")
        if fault := self._fault():
            raise ValueError(f"{self.measure}: {fault}")

    def _fault(self) -> str:
        """Why there can be no such limit."""
        metric = METRICS.get(self.metric)
        if _QUANTILE.search(self.measure) and (metric is None or metric.kind != "quantiles"):
            return "it has no quantiles"
        if metric is None and self.measure != FAILURES:
            return "there is no such measure"
        if metric is not None and metric.kind == "rate":
            return "pairs of trials cannot judge a rate of rare events"
        if metric is not None and metric.is_pooled == self.measure.endswith("]"):
            return "only all rows together" if metric.is_pooled else "name its row, in brackets"
        if metric is None or metric.kind == "share":
            return "a share takes `drop` or `rise`" if self.kind == "ratio" else ""
        return "only a share takes `drop` or `rise`" if self.kind != "ratio" else ""

    @property
    def kind(self) -> Kind:
        """Which of the three is given."""
        if self.ratio is not None:
            return "ratio"
        return "drop" if self.drop is not None else "rise"

    @property
    def most(self) -> float:
        """The number that is given."""
        return next(each for each in (self.ratio, self.drop, self.rise) if each is not None)

    @property
    def value_name(self) -> str:
        """What `trial_values` calls it."""
        return _QUANTILE.sub("", self.measure)

    @property
    def metric(self) -> str:
        """Its key in METRICS."""
        return self.value_name.partition("[")[0]

    @property
    def share(self) -> float:
        """Of the trials, which quantile a ratio is taken of."""
        found = _QUANTILE.search(self.measure)
        return dict(SHARES)[found[1]] if found else 0.5

    def applies(self, trial: Trial) -> bool:
        """Whether the trial is meant to give a value."""
        is_meant = self.measure == FAILURES or METRICS[self.metric].applies(trial)
        return is_meant and self.scenario in ("", trial.scenario)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limits: Annotated[tuple[Limit, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure on one source of speech."""

    scenario: str
    measure: str
    unit: str
    kind: Kind
    limit: float
    pairs: int
    verdict: Verdict
    source: str = ""
    left_out: int = 0
    """Trials that were to give a value and did not, of one build or both."""
    baseline: float | None = None
    candidate: float | None = None
    change: float | None = None
    """Ratio, drop or rise, as `kind` says: more is worse."""
    low: float | None = None
    """Ends of the 95 % interval of `change`."""
    high: float | None = None
    reason: str = ""
    """Why it is unknown, or what else there is to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All rows, and how sure they are together."""

    baseline: str
    candidate: str
    rows: tuple[Row, ...]
    tests: int
    """Rows with enough pairs to be told: as many chances of a false alarm."""
    false_alarm: float = FALSE_ALARM
    """Chance of any `worse` at all, if every measure is exactly at its limit; at most."""
    schema: str = SCHEMA

    def with_verdict(self, verdict: Verdict) -> tuple[Row, ...]:
        """The rows of that verdict."""
        return tuple(row for row in self.rows if row.verdict == verdict)


def read_limits(path: Path = DEFAULT) -> tuple[Limit, ...]:
    """The limits of a file like gate.toml.

    Raises:
        ConfigError: it cannot be read, or is not such a file.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File).limits
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(
            "bench-limits", f"{path}: {error}", f"write it after the pattern of {DEFAULT}"
        ) from error


def sides(
    systems: Sequence[str], baseline: str | None = None, candidate: str | None = None
) -> tuple[str, str]:
    """Names of the baseline and the candidate among the systems of a run.

    Without a name, the baseline is the system `baseline`, and the candidate the only other one, or
    else `candidate`.

    Raises:
        BenchError: a name that no system has, or no two systems.
    """
    if len(systems) < 2:
        raise BenchError(
            "bench-gate-one-system",
            f"the run holds only {', '.join(systems) or 'nothing'}: a gate needs two builds",
            "run both: edge-assistant bench --system baseline=... --system candidate=...",
        )
    first = baseline or "baseline"
    others = [name for name in systems if name != first]
    second = candidate or (others[0] if len(others) == 1 else "candidate")
    for name, flag in ((first, "--baseline"), (second, "--candidate")):
        if name not in systems:
            raise BenchError(
                "bench-gate-system-unknown",
                f"no system of the run is called {name}",
                f"choose {flag} from: {', '.join(systems)}",
            )
    if first == second:
        raise BenchError(
            "bench-gate-one-system",
            f"{first} would be judged against itself",
            f"name another with --baseline or --candidate: {', '.join(systems)}",
        )
    return first, second


def judge(
    outcomes: Sequence[Outcome],
    limits: Sequence[Limit],
    baseline: str,
    candidate: str,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Judgement:
    """Judge the candidate by every limit, on each source of speech for itself.

    Thread: any; pure. The same outcomes, seed and resamples give the same verdicts.

    Raises:
        BenchError: the two have no trial in common.
    """
    context = context_of(outcomes)
    first, second = (_values(outcomes, name, context) for name in (baseline, candidate))
    if not first.keys() & second.keys():
        raise BenchError(
            "bench-gate-no-pairs",
            f"{baseline} and {candidate} have no trial in common",
            "run both in one go: edge-assistant bench --system baseline=... --system candidate=...",
        )
    trials = {o.trial.id: o.trial for o in outcomes if o.system in (baseline, candidate)}
    sources = sorted({trial.source for trial in trials.values()})
    todo = []
    for limit in limits:
        for source in sources:
            meant = [t.id for t in trials.values() if t.source == source and limit.applies(t)]
            both = [(first.get(each, {}), second.get(each, {})) for each in meant]
            name = limit.value_name
            pairs = [(a[name], b[name]) for a, b in both if name in a and name in b]
            todo.append((limit, source, np.array(pairs).reshape(-1, 2), len(meant) - len(pairs)))
    tests = sum(len(pairs) >= LEAST_PAIRS for _, _, pairs, _ in todo)
    rows = [
        replace(
            judge_pairs(limit, pairs, tests, seed=seed, resamples=resamples),
            source=source,
            left_out=left_out,
        )
        for limit, source, pairs, left_out in todo
    ]
    return Judgement(baseline=baseline, candidate=candidate, rows=tuple(rows), tests=tests)


def judge_pairs(
    limit: Limit, pairs: Pairs, tests: int = 1, *, seed: int = 0, resamples: int = RESAMPLES
) -> Row:
    """Judge one measure.

    Args:
        limit: of it.
        pairs: (trials, 2), the values of the baseline and of the candidate.
        tests: how many measures are judged together.
        seed: of the draws.
        resamples: number of draws.
    """
    row = Row(
        scenario=limit.scenario,
        measure=limit.measure,
        unit=METRICS[limit.metric].unit if limit.metric in METRICS else "share",
        kind=limit.kind,
        limit=limit.most,
        pairs=len(pairs),
        verdict="unknown",
    )
    if not len(pairs):
        return replace(row, reason="no pair of trials in this run")
    whole = _values_of(limit, pairs[np.newaxis])[0]
    row = replace(row, baseline=float(whole[0]), candidate=float(whole[1]))
    tail = min((1.0 - CONFIDENCE) / 2.0, FALSE_ALARM / max(1, tests))
    least = least_pairs(limit.share, tail)
    if len(pairs) < least:
        return replace(row, reason=f"too few pairs: at least {least} are needed")
    if limit.kind != "ratio":  # the two made-up ones
        pairs = np.concatenate((pairs, [[1.0, 0.0], [0.0, 1.0]]))
    drawn = np.random.default_rng(seed).integers(0, len(pairs), size=(resamples, len(pairs)))
    values = _values_of(limit, pairs[drawn])
    if limit.kind == "ratio" and min(values[:, 0].min(), whole[0]) <= 0.0:
        return replace(row, reason="no ratio: the baseline's value is not safely above 0")
    changes = _change(limit, values)
    low, high, alarm = np.quantile(changes, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2, tail])
    verdict, reason = _verdict(limit, float(low), float(high), float(alarm))
    return replace(
        row,
        change=float(_change(limit, whole[np.newaxis])[0]),
        low=float(low),
        high=float(high),
        verdict=verdict,
        reason=reason,
    )


def least_pairs(share: float, tail: float) -> int:
    """Fewest pairs that can show anything of a quantile.

    With fewer, all trials lie on one side of the true quantile more often than `tail` allows.
    """
    return max(LEAST_PAIRS, math.ceil(math.log(tail) / math.log(max(share, 1.0 - share))))


def _values(
    outcomes: Iterable[Outcome], system: str, context: Context
) -> dict[str, dict[str, float]]:
    """What each trial of a system gave, by its id."""
    found = {}
    for outcome in outcomes:
        if outcome.system == system:
            values = trial_values(outcome, context)
            has_failed = outcome.void.startswith(FAILED)
            if has_failed or not outcome.void:
                values[FAILURES] = float(has_failed)
            found[outcome.trial.id] = values
    return found


def _values_of(limit: Limit, pairs: Pairs) -> Pairs:
    """(draws, 2): what the pairs of each draw, (draws, trials, 2), come to."""
    if limit.kind == "ratio":
        return np.asarray(np.quantile(pairs, limit.share, axis=1))
    return np.asarray(pairs.mean(axis=1))


def _change(limit: Limit, values: Pairs) -> NDArray[np.float64]:
    """Ratio, drop or rise of each draw."""
    baseline, candidate = values[:, 0], values[:, 1]
    if limit.kind == "ratio":
        return candidate / baseline
    return (baseline - candidate) if limit.kind == "drop" else (candidate - baseline)


def _verdict(limit: Limit, low: float, high: float, alarm: float) -> tuple[Verdict, str]:
    """From the ends of the interval; `alarm` is the lower one, corrected for all measures."""
    unchanged = 1.0 if limit.kind == "ratio" else 0.0
    if alarm > limit.most:
        return "worse", ""
    if low > limit.most:
        return "unknown", "beyond the limit, but among so many measures it can be chance"
    if high < unchanged:
        return "better", ""
    if high <= limit.most:
        return "same", "worse than the baseline, within the limit" if low > unchanged else ""
    return "unknown", "the interval holds the limit: more trials would tell"
