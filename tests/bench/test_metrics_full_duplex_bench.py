"""The published rules, flaws included."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_assistant.bench.metrics import full_duplex_bench as fdb
from edge_assistant.bench.metrics.channels import audible_runs
from edge_assistant.bench.metrics.values import Context
from tests.bench.metrics_makers import (
    NOTHING,
    Span,
    channel,
    only,
    outcome,
    played,
    reasons,
    spoken,
    values,
)

QUESTION = played("question", (1.0, 3.0))
INTERRUPTION = played("interruption", (5.0, 6.0), into_reply=True)


@pytest.mark.parametrize(
    ("spans", "is_taken"),
    [
        ((), False),
        (((4.0, 4.99),), False),
        (((4.0, 5.0),), True),
        (((4.0, 4.1), (4.9, 5.0)), True),  # from the first word to the last, silence included
    ],
)
def test_tor(spans: tuple[Span, ...], is_taken: bool) -> None:
    case = outcome(channel(9.0, *spans), QUESTION)
    assert fdb.takes_over(audible_runs(case.reply), case) is is_taken


@pytest.mark.parametrize(("said", "is_taken"), [("a b c", False), ("a b c d", True)])
def test_tor_counts_words_where_the_log_tells(said: str, is_taken: bool) -> None:
    case = outcome(channel(9.0, (4.0, 4.9)), QUESTION, events=spoken(1, 4.0, 4.9, said))
    assert fdb.takes_over(audible_runs(case.reply), case) is is_taken


def test_turn_latency_is_clipped_and_takes_the_first_sound_of_the_file() -> None:
    early = outcome(channel(9.0, (0.1, 0.2), (3.5, 6.0)), QUESTION)
    assert only(fdb.turn_latency(early, NOTHING)) == 0.0
    late = outcome(channel(9.0, (3.5, 6.0)), QUESTION)
    assert only(fdb.turn_latency(late, NOTHING)) == pytest.approx(0.5)
    short = outcome(channel(9.0, (3.5, 4.0)), QUESTION)
    assert reasons(fdb.turn_latency(short, NOTHING)) == ["TOR is 0"]
    assert only(fdb.turn_tor(short, NOTHING)) == 0.0


@pytest.mark.parametrize(("begin_s", "is_taken"), [(2.5, 1.0), (3.69, 1.0), (3.7, 0.0)])
def test_pause_tor_looks_at_what_begins_before_the_users_end(
    begin_s: float, is_taken: float
) -> None:
    case = outcome(channel(9.0, (begin_s, 6.0)), played("pause", (1.0, 2.0), (2.7, 3.7)))
    assert only(fdb.pause_tor(case, NOTHING)) == is_taken


def test_an_interruption_is_answered_at_once_by_who_never_stops() -> None:
    """The flaw: talking on is a latency of 0."""
    never = outcome(channel(12.0, (4.0, 12.0)), QUESTION, INTERRUPTION)
    assert only(fdb.interruption_tor(never, NOTHING)) == 1.0
    assert only(fdb.interruption_latency(never, NOTHING)) == 0.0
    good = outcome(channel(12.0, (4.0, 5.2), (6.4, 9.0)), QUESTION, INTERRUPTION)
    assert only(fdb.interruption_latency(good, NOTHING)) == pytest.approx(0.4)
    silent = outcome(channel(12.0, (4.0, 5.2)), QUESTION, INTERRUPTION)
    assert only(fdb.interruption_tor(silent, NOTHING)) == 0.0


@pytest.mark.parametrize(
    ("spans", "is_taken", "count"),
    [
        ((), False, 0),
        (((1.0, 1.5),), False, 1),
        (((1.0, 2.0),), True, 1),
        (((1.0, 2.5), (4.0, 4.3)), False, 2),  # the flaw: the last short one decides
        (((1.0, 1.5), (3.0, 6.1), (7.0, 7.2)), True, 1),  # over 3 s: the search ends
        (((1.0, 4.0),), True, 1),
    ],
)
def test_backchannels_as_published(spans: tuple[Span, ...], is_taken: bool, count: int) -> None:
    assert fdb.backchannels(channel(9.0, *spans))[0] is is_taken
    assert len(fdb.backchannels(channel(9.0, *spans))[1]) == count


def test_backchannel_frequency_and_jsd() -> None:
    monologue = played("monologue", (0.5, 9.5))
    case = outcome(channel(10.0, (2.0, 2.4), (6.0, 6.3)), monologue)
    assert only(fdb.backchannel_frequency(case, NOTHING)) == pytest.approx(0.2)
    assert reasons(fdb.backchannel_jsd(case, NOTHING)) == [
        "no reference histogram of backchannels was given"
    ]
    same = np.zeros(50)
    same[10:12] = same[30:32] = 1.0
    same_context = Context(backchannel_reference=same)
    assert only(fdb.backchannel_jsd(case, same_context)) == pytest.approx(0.0, abs=1e-4)
    silent = outcome(channel(10.0), monologue)
    assert only(fdb.backchannel_jsd(silent, same_context)) == 1.0


def test_js_distance_against_its_closed_form() -> None:
    apart = fdb.js_distance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert apart == pytest.approx(math.sqrt(math.log(2.0)), abs=1e-6)
    half = fdb.js_distance(np.array([1.0, 1.0]), np.array([0.0, 1.0]))
    p = 0.5 * (0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75))
    q = 0.5 * math.log(1.0 / 0.75)
    assert half == pytest.approx(math.sqrt(p + q), abs=1e-6)


def test_stop_latencies_are_all_overlaps() -> None:
    case = outcome(channel(12.0, (2.8, 5.4), (7.0, 9.0)), QUESTION, INTERRUPTION)
    assert values(fdb.stop_latency(case, NOTHING)) == pytest.approx([0.2, 0.4])
    apart = outcome(channel(12.0, (3.5, 4.5)), QUESTION, INTERRUPTION)
    assert reasons(fdb.stop_latency(apart, NOTHING)) == ["nothing overlapped"]


def test_every_overlap_of_a_user_segment_counts() -> None:
    case = outcome(channel(12.0, (2.0, 2.2), (2.9, 3.5)), QUESTION)
    assert values(fdb.stop_latency(case, NOTHING)) == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize(("gap_s", "count"), [(0.6, 1), (0.601, 2)])
def test_gaps_of_the_user_up_to_600_ms_are_closed(gap_s: float, count: int) -> None:
    case = outcome(channel(12.0), played("pause", (1.0, 2.0), (2.0 + gap_s, 4.0)))
    assert len(fdb.user_segments(case)) == count


def test_response_latencies_take_the_latest_end_before_a_start() -> None:
    case = outcome(channel(12.0, (7.0, 9.0)), QUESTION, INTERRUPTION)
    assert values(fdb.response_latency(case, NOTHING)) == pytest.approx([1.0])
    both = outcome(channel(12.0, (3.5, 5.5), (7.0, 9.0)), QUESTION, INTERRUPTION)
    assert values(fdb.response_latency(both, NOTHING)) == pytest.approx([0.5, 1.0])
    none = outcome(channel(12.0, (1.0, 2.0)), QUESTION)
    assert len(reasons(fdb.response_latency(none, NOTHING))) == 1
