"""Stages, tokens and the machine."""

from __future__ import annotations

from typing import Any

import pytest

from edge_assistant.bench.metrics import stages
from edge_assistant.bench.metrics.registry import METRICS, summarise
from edge_assistant.bench.metrics.values import Sample
from tests.bench.metrics_makers import (
    NOTHING,
    Event,
    channel,
    event,
    only,
    outcome,
    played,
    reasons,
    values,
)

QUESTION = played("question", (1.0, 3.0))
REPLY = channel(9.0, (3.605, 5.0))


def latency(**changed: Any) -> Event:
    """Adds up to 0.6 s."""
    parts = {
        "gap_s": 0.6,
        "detect_s": 0.128,
        "wait_s": 0.1003,
        "not_ready_s": 0.3503,
        "out_s": 0.0164,
        "leading_silence_s": 0.005,
    }
    return event(3.6, "latency", 1, **{**parts, **changed})


def test_stages_are_rows() -> None:
    found = stages.gap_stage(outcome(REPLY, QUESTION, events=(latency(),)), NOTHING)
    told = {o.row: o.value for o in found if isinstance(o, Sample)}
    assert told == {
        "detect": 0.128,
        "wait": 0.1003,
        "not_ready": 0.3503,
        "out": 0.0164,
        "leading_silence": 0.005,
    }


@pytest.mark.parametrize(("gap_s", "adds_up"), [(0.6009, True), (0.6011, False), (0.5989, False)])
def test_stages_that_miss_the_gap_by_a_millisecond_are_void(gap_s: float, adds_up: bool) -> None:
    events = (latency(), latency(gap_s=gap_s))
    case = outcome(REPLY, QUESTION, events=events)
    assert len(values(stages.gap_logged(case, NOTHING))) == (2 if adds_up else 0)
    for metric in (stages.gap_stage, stages.gap_logged, stages.gap_logged_error):
        assert bool(reasons(metric(case, NOTHING))) is not adds_up


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((), "no event log"),
        ((event(0.0, "listening"),), "no `latency` in the log"),
        ((latency(wait_s=None, out_s="x"),), "`latency` lacks out_s, wait_s"),
        ((latency(gap_s=float("nan")),), "`latency` lacks gap_s"),
    ],
)
def test_what_is_not_there_is_void(events: tuple[Event, ...], reason: str) -> None:
    case = outcome(REPLY, QUESTION, events=events)
    assert reasons(stages.gap_stage(case, NOTHING)) == [reason]


def test_the_logs_gap_beside_the_truth() -> None:
    case = outcome(REPLY, QUESTION, events=(latency(),))
    assert only(stages.gap_logged_error(case, NOTHING)) == pytest.approx(0.6 - 0.605, abs=1e-4)
    other = outcome(REPLY, QUESTION, events=({**latency(), "t": 3.75},))
    assert reasons(stages.gap_logged_error(other, NOTHING)) == [
        "no `latency` belongs to the audible start"
    ]


def test_tokens_are_told_or_absent_never_zero() -> None:
    told = (event(1.0, "committed", 1, tokens_computed=40), event(2.0, "draft_discarded", 1))
    case = outcome(REPLY, QUESTION, played("stop", (6.0, 6.4)), events=told)
    (found,) = stages.tokens_computed(case, NOTHING)
    assert found == Sample(trial=case.trial.id, value=40.0, exposure=2.0)
    assert reasons(stages.tokens_discarded(case, NOTHING)) == [
        "the log tells no `tokens_discarded`"
    ]
    zero = outcome(REPLY, QUESTION, events=(event(1.0, "committed", 1, tokens_discarded=0),))
    assert only(stages.tokens_discarded(zero, NOTHING)) == 0.0
    (group,) = summarise([case], names=["tokens_computed", "tokens_discarded"]).values()
    assert [(m.value, m.n, len(m.voids)) for m in group] == [(20.0, 1, 0), (None, 0, 1)]


def test_cpu_is_by_the_minute_of_talk_and_of_silence_apart() -> None:
    talk = outcome(channel(30.0), QUESTION, cpu_s=4.0)
    silence = outcome(channel(120.0), id="silence//synthetic/001", cpu_s=3.0)
    unknown = outcome(channel(30.0), QUESTION, id="scenario/condition/synthetic/002")
    talked, silent = summarise([talk, silence, unknown], names=["cpu_talk", "cpu_silence"]).values()
    assert [(m.name, m.value, m.n) for m in talked] == [("cpu_talk", 8.0, 1)]
    assert [void.reason for void in talked[0].voids] == ["not measured"]
    assert [(m.name, m.value, m.n) for m in silent] == [("cpu_silence", 1.5, 1)]


def test_xruns_are_those_of_the_log_and_of_the_examiner() -> None:
    broken = (
        event(0.0, "listening"),
        event(1.0, "xrun", kind="playout_gap", count=2, gap_s=0.4),
        event(5.0, "xrun", kind="input_overflow", count=300),
        event(5.5, "xrun", kind="of a stranger"),
        event(6.0, "xrun", kind="odd", count=-5),
    )
    (told,) = stages.xruns(outcome(channel(9.0), events=broken), NOTHING)
    assert told == Sample(trial="scenario/condition/synthetic/001", value=303.0, exposure=9.0)
    both = outcome(channel(9.0), events=broken, notes={"xruns": 2.0})
    assert only(stages.xruns(both, NOTHING)) == 305.0
    assert only(stages.xruns(outcome(channel(9.0), events=broken[:1]), NOTHING)) == 0.0
    assert reasons(stages.xruns(outcome(channel(9.0)), NOTHING)) == ["not measured"]


def test_the_machine() -> None:
    one = outcome(channel(1.0), peak_rss_bytes=400, listening_s=1.5, lateness_s=0.01)
    two = outcome(
        channel(1.0),
        id="scenario/condition/synthetic/002",
        peak_rss_bytes=300,
        notes={"xruns": 2.0},
    )
    names = ["peak_rss", "time_to_listening", "lateness", "xruns"]
    (measures,) = summarise([one, two], names=names).values()
    told = {m.name: (m.value, m.n, len(m.voids)) for m in measures}
    assert told["peak_rss"] == (400.0, 2, 0)
    assert told["time_to_listening_p50"] == (1.5, 1, 1)
    assert told["lateness"] == (0.01, 2, 0)
    assert told["xruns"] == (7200.0, 1, 1)
    assert METRICS["xruns"].unit == "per hour"
