"""Statistics against closed forms and published tables, without a statistics library."""

from __future__ import annotations

import math
import statistics as reference

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_assistant.bench.metrics import statistics
from edge_assistant.bench.metrics.values import Sample

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


def samples(*values: float) -> list[Sample]:
    return [Sample(trial=str(index), value=value) for index, value in enumerate(values)]


@given(st.lists(FINITE, min_size=2, max_size=40))
def test_quantiles_are_type_7(values: list[float]) -> None:
    """`inclusive` of the standard library is the same definition."""
    cuts = reference.quantiles(values, n=20, method="inclusive")
    for index, expected in enumerate(cuts):
        found = statistics.quantile(values, (index + 1) / 20)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_the_quantile_of_one_value_is_it() -> None:
    assert statistics.quantile([0.3], 0.95) == 0.3


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_intervals(hits: int, n: int, low: float, high: float) -> None:
    assert statistics.wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_its_own_equation(case: tuple[int, int]) -> None:
    """|p - hits/n| = z sqrt(p (1 - p) / n) at both ends, and the share lies between them."""
    hits, n = case
    low, high = statistics.wilson(hits, n)
    assert 0.0 <= low <= hits / n <= high <= 1.0
    for end in (low, high):
        expected = statistics.Z * math.sqrt(end * (1.0 - end) / n)
        assert abs(end - hits / n) == pytest.approx(expected, abs=1e-9)
    assert statistics.wilson(n - hits, n) == pytest.approx((1.0 - high, 1.0 - low), abs=1e-12)


def test_no_trial_says_nothing_about_a_share() -> None:
    assert statistics.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (0, 0.0, 2.9957),
        (1, 0.0513, 4.7439),
        (2, 0.3554, 6.2958),
        (5, 1.9701, 10.5130),
        (10, 5.4254, 16.9622),
    ],
)
def test_poisson_bounds_against_the_published_table(count: int, low: float, high: float) -> None:
    """Garwood 1936: half of chi-squared quantiles with 2k and 2k + 2 degrees of freedom."""
    assert statistics.poisson_bounds(count) == pytest.approx((low, high), abs=5e-5)


@given(st.floats(0.5, 0.999))
def test_no_event_is_bounded_by_the_rule_of_three(confidence: float) -> None:
    low, high = statistics.poisson_bounds(0, confidence)
    assert low == 0.0
    assert high == pytest.approx(-math.log(1.0 - confidence), rel=1e-9)


@given(st.integers(1, 300))
@settings(max_examples=50)
def test_poisson_bounds_are_where_the_tails_are_five_percent(count: int) -> None:
    low, high = statistics.poisson_bounds(count)
    assert low < count < high
    # The terms one after the other, not by logarithms: another way to the same sum.
    for mean, last, expected in ((high, count, 0.05), (low, count - 1, 0.95)):
        term = total = math.exp(-mean)
        for k in range(1, last + 1):
            term *= mean / k
            total += term
        assert total == pytest.approx(expected, abs=1e-8)


@given(st.lists(FINITE, min_size=1, max_size=30), st.integers(0, 5))
@settings(max_examples=40)
def test_bootstrap_stays_within_the_data_and_repeats(values: list[float], seed: int) -> None:
    given_samples = samples(*values)
    found = statistics.bootstrap_quantiles(given_samples, [0.5, 0.9], seed=seed, resamples=50)
    assert found == statistics.bootstrap_quantiles(
        given_samples, [0.5, 0.9], seed=seed, resamples=50
    )
    for low, high in found:
        assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_the_bootstrap_of_a_mean_is_near_its_normal_interval() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = statistics.bootstrap_ratio(samples(*values), seed=2)
    half = 1.96 * values.std() / 20.0
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_another_seed_gives_other_draws() -> None:
    values = samples(*np.random.default_rng(1).normal(size=40))
    first, second = (statistics.bootstrap_ratio(values, seed=s, resamples=200) for s in (1, 2))
    assert first != second


def test_whole_trials_are_drawn() -> None:
    """Two trials of five equal samples each: a resample is all 0, all 1, or half of each; were
    samples drawn, the interval would be narrower."""
    clustered = [Sample(trial=str(i // 5), value=float(i // 5)) for i in range(10)]
    alone = samples(*(float(i // 5) for i in range(10)))
    assert statistics.bootstrap_ratio(clustered) == (0.0, 1.0)
    assert statistics.bootstrap_ratio(alone) != (0.0, 1.0)
    assert statistics.bootstrap_quantiles(clustered, [0.5]) == [(0.0, 1.0)]


def test_exposures_weigh() -> None:
    pair = [Sample(trial="a", value=1.0, exposure=1.0), Sample(trial="b", value=1.0, exposure=3.0)]
    low, high = statistics.bootstrap_ratio(pair)
    assert (low, high) == pytest.approx((1 / 3, 1.0))


def test_the_same_trials_are_compared() -> None:
    first = {str(i): i / 10 + 0.3 for i in range(20)} | {"only here": 99.0}
    second = {str(i): i / 10 for i in range(20)}
    found = statistics.paired_difference(first, second)
    assert found is not None
    difference, (low, high), n = found
    assert n == 20
    assert (difference, low, high) == pytest.approx((0.3, 0.3, 0.3))
    assert statistics.paired_difference({"a": 1.0}, {"b": 1.0}) is None
