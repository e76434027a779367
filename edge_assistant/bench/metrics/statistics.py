"""From samples to numbers with intervals. Everything is seeded; nothing is assumed normal.

Quantiles interpolate linearly between order statistics (Hyndman and Fan 1996, type 7, numpy's
default). Bootstrap intervals are the percentile ones (Efron 1979) and resample whole trials, since
what happens twice in one trial is not two independent events; with few trials the interval of a p95
says little, and it shows; with fewer than 5 there is none. Intervals are at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.bench.metrics.values import Sample

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000
LEAST_TRIALS: Final = 5
"""Fewer trials give no bootstrap interval: one trial drawn again and again would look exact."""

Z: Final = 1.959963984540054
"""Normal quantile of 0.975."""

Interval = tuple[float, float]
Values = NDArray[np.float64]


def quantile(values: Sequence[float] | Values, share: float) -> float:
    """Type 7. `values` must not be empty."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), share))


def wilson(hits: float, n: int) -> Interval:
    """Interval of a proportion (Wilson 1927, without continuity correction); (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = hits / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At the ends the bound is exact; the formula leaves a rounding error there.
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return low, high


def poisson_bounds(count: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact bounds of a Poisson mean (Garwood 1936), each one-sided at `confidence`.

    With no event the upper one is -ln(0.05) = 2.996, the rule of three.
    """
    tail = 1.0 - confidence
    high = _solve(lambda mean: poisson_cdf(count, mean) - tail, count)
    if count == 0:
        return 0.0, high
    low = _solve(lambda mean: poisson_cdf(count - 1, mean) - confidence, count)
    return low, high


def poisson_cdf(count: int, mean: float) -> float:
    """P(X <= count) of a Poisson variable."""
    if mean <= 0.0:
        return 1.0
    logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def _solve(falling: Callable[[float], float], count: int) -> float:
    """Root of a function that falls, by bisection; it lies below count + 10 sqrt(count) + 20."""
    low, high = 0.0, count + 10.0 * math.sqrt(count) + 20.0
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if falling(middle) > 0.0 else (low, middle)
    return (low + high) / 2.0


def by_trial(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples of one trial together, in the order of their first appearance."""
    trials: dict[str, list[Sample]] = {}
    for sample in samples:
        trials.setdefault(sample.trial, []).append(sample)
    return list(trials.values())


def are_enough(samples: Sequence[Sample]) -> bool:
    """Whether they come from so many trials that a bootstrap interval says something."""
    return len(by_trial(samples)) >= LEAST_TRIALS


def bootstrap_quantiles(
    samples: Sequence[Sample],
    shares: Sequence[float],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Percentile intervals of several quantiles; trials are drawn with replacement.

    No draw is sorted: all samples are, once, and each draw says how often every one of them is
    there. Memory is some 20 bytes for each sample of each draw.
    """
    trials = by_trial(samples)
    values = np.array([sample.value for trial in trials for sample in trial])
    owners = np.repeat(np.arange(len(trials)), [len(trial) for trial in trials])
    order = np.argsort(values)
    values, owners = values[order], owners[order]
    places = _draws(len(trials), seed, resamples) + len(trials) * np.arange(resamples)[:, None]
    times = np.bincount(places.ravel(), minlength=resamples * len(trials))
    ranks = times.reshape(resamples, -1)[:, owners].cumsum(axis=1)
    return [_percentiles(_quantiles(values, ranks, share)) for share in shares]


def _quantiles(values: Values, ranks: NDArray[np.int64], share: float) -> Values:
    """Type 7 of each draw. `values` ascend; `ranks` (draws, values) says how many of the draw are
    there up to each of them."""
    last = ranks[:, -1] - 1
    place = last * share
    below = np.floor(place).astype(np.int64)
    first, second = (
        values[(ranks <= each[:, None]).sum(axis=1)]
        for each in (below, np.minimum(below + 1, last))
    )
    return np.asarray(first + (second - first) * (place - below))


def bootstrap_ratio(
    samples: Sequence[Sample], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Percentile interval of sum of values by sum of exposures (a mean, where each is 1)."""
    trials = by_trial(samples)
    values = np.array([sum(s.value for s in trial) for trial in trials])
    exposures = np.array([sum(s.exposure for s in trial) for trial in trials])
    drawn = _draws(len(trials), seed, resamples)
    return _percentiles(values[drawn].sum(axis=1) / exposures[drawn].sum(axis=1))


def paired_difference(
    first: Mapping[str, float],
    second: Mapping[str, float],
    *,
    share: float = 0.5,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, Interval, int] | None:
    """Difference (first - second) of a quantile over the trials that both have, its interval, and
    their number; None without a common trial. The same trials are drawn for both."""
    common = sorted(first.keys() & second.keys())
    if not common:
        return None
    pair = np.array([[first[trial], second[trial]] for trial in common])
    drawn = _draws(len(common), seed, resamples)
    quantiles = np.quantile(pair[drawn], share, axis=1)
    whole = np.quantile(pair, share, axis=0)
    return float(whole[0] - whole[1]), _percentiles(quantiles[:, 0] - quantiles[:, 1]), len(common)


def _draws(count: int, seed: int, resamples: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, size=(resamples, count))


def _percentiles(estimates: Values) -> Interval:
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(estimates, [tail, 1.0 - tail])
    return float(low), float(high)
