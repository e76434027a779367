"""Who gets the cores: the table, what must hold in every situation, and what the trace is told."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.clock import SampleClock
from edge_assistant.pipeline.load import Load
from edge_assistant.pipeline.scheduler import (
    Engine,
    Limits,
    Plan,
    Scheduler,
    Situation,
    Work,
    decide,
)
from edge_assistant.trace import EventLog

ENGINES: tuple[Engine, ...] = get_args(Engine)
REFUSABLE = (Work.PARTIAL, Work.DRAFT)

Row = tuple[dict[str, Any], tuple[int, str]]

TWO_CORES: list[tuple[Work, dict[str, Any], tuple[int, str]]] = [
    # Alone, or one thread each.
    (Work.FINAL, {}, (2, "alone")),
    (Work.ANSWER_COMMITTED, {}, (2, "alone")),
    (Work.IDLE_PREFILL, {}, (1, "nobody-waits")),
    (Work.PARTIAL, {}, (1, "nobody-waits")),
    (Work.DRAFT, {}, (2, "alone")),
    (Work.FINAL, {"busy": {"llm"}}, (1, "shared")),
    (Work.FINAL, {"busy": {"judge"}}, (1, "shared")),
    (Work.ANSWER_COMMITTED, {"busy": {"tts"}}, (1, "shared")),
    (Work.ANSWER_COMMITTED, {"busy": {"stt", "tts"}}, (1, "shared")),
    (Work.ANSWER_COMMITTED, {"busy": {"llm"}}, (2, "alone")),  # its own engine
    (Work.DRAFT, {"busy": {"tts"}}, (1, "shared")),
    (Work.PARTIAL, {"busy": {"llm"}}, (1, "shared")),
    # No core is free for what stands low in the order; what somebody waits for still runs.
    (Work.DRAFT, {"busy": {"stt", "tts"}}, (0, "contended")),
    (Work.DRAFT, {"busy": {"judge", "tts"}}, (1, "shared")),
    (Work.PARTIAL, {"busy": {"llm", "tts"}}, (0, "contended")),
    (Work.IDLE_PREFILL, {"busy": {"stt", "tts"}}, (1, "shared")),
    # Late ears go before everything.
    (Work.PARTIAL, {"ears_lag_ms": 21.0}, (0, "ears-late")),
    (Work.DRAFT, {"ears_lag_ms": 21.0}, (0, "ears-late")),
    (Work.DRAFT, {"ears_lag_ms": 20.0}, (2, "alone")),
    (Work.FINAL, {"ears_lag_ms": 21.0}, (1, "ears-late")),
    (Work.ANSWER_COMMITTED, {"ears_lag_ms": 21.0}, (1, "ears-late")),
    # Heat.
    (Work.PARTIAL, {"is_throttled": True}, (0, "throttled")),
    (Work.DRAFT, {"is_throttled": True}, (0, "throttled")),
    (Work.FINAL, {"is_throttled": True}, (2, "alone")),
    # Other programs: drafts go before partials, threads with them.
    (Work.DRAFT, {"other_cores": 0.5}, (1, "other-load")),
    (Work.DRAFT, {"other_cores": 0.6}, (0, "other-load")),
    (Work.PARTIAL, {"other_cores": 0.6}, (1, "nobody-waits")),
    (Work.PARTIAL, {"other_cores": 0.9}, (0, "other-load")),
    (Work.DRAFT, {"pressure": 0.75}, (0, "other-load")),
    (Work.PARTIAL, {"pressure": 0.75}, (1, "nobody-waits")),
    (Work.PARTIAL, {"pressure": 0.85}, (0, "other-load")),
    (Work.FINAL, {"other_cores": 0.2}, (2, "alone")),
    (Work.FINAL, {"other_cores": 0.3}, (1, "other-load")),
    (Work.ANSWER_COMMITTED, {"other_cores": 5.0}, (1, "other-load")),
    # Partials: one at a time, and only with a quick recogniser (how often is the floor's affair).
    (Work.PARTIAL, {"busy": {"stt"}}, (0, "engine-busy")),
    (Work.PARTIAL, {"stt_rtf": 0.6}, (0, "slow-stt")),
    (Work.DRAFT, {"stt_rtf": 0.6}, (2, "alone")),
    # Drafts: bounded by the time spent and by how long the user speaks.
    (Work.DRAFT, {"speech_s": 30.0}, (2, "alone")),
    (Work.DRAFT, {"speech_s": 30.1}, (0, "long-speech")),
    (Work.DRAFT, {"speech_s": 2.0, "drafting_s": 2.0}, (2, "alone")),
    (Work.DRAFT, {"speech_s": 2.0, "drafting_s": 2.1}, (0, "draft-share")),
    (Work.ANSWER_COMMITTED, {"speech_s": 60.0, "drafting_s": 60.0}, (2, "alone")),
]

CORES: list[tuple[int, Work, dict[str, Any], int]] = [
    (1, Work.FINAL, {}, 1),
    (1, Work.DRAFT, {}, 1),
    (1, Work.DRAFT, {"busy": {"tts"}}, 0),
    (4, Work.FINAL, {}, 3),  # a Raspberry Pi 5: one core is the ears'
    (4, Work.ANSWER_COMMITTED, {"busy": {"tts"}}, 2),
    (4, Work.DRAFT, {}, 3),
    (4, Work.DRAFT, {"busy": {"stt", "tts"}}, 1),
    (8, Work.ANSWER_COMMITTED, {}, 4),  # decoding is bound by memory beyond
    (8, Work.ANSWER_COMMITTED, {"other_cores": 5.0}, 2),
]


def situation(work: Work, cores: int = 2, **facts: Any) -> Situation:
    return replace(Situation(work=work, cores=cores), **facts)


@pytest.mark.parametrize(("work", "facts", "expected"), TWO_CORES)
def test_the_table_for_two_cores(
    work: Work, facts: dict[str, Any], expected: tuple[int, str]
) -> None:
    plan = decide(situation(work, **facts))
    assert (plan.num_threads, plan.reason) == expected


@pytest.mark.parametrize(("cores", "work", "facts", "num_threads"), CORES)
def test_other_machines(cores: int, work: Work, facts: dict[str, Any], num_threads: int) -> None:
    assert decide(situation(work, cores, **facts)).num_threads == num_threads


numbers = st.floats(0.0, 20.0)
situations = st.builds(
    Situation,
    work=st.sampled_from(Work),
    cores=st.integers(1, 16),
    busy=st.frozensets(st.sampled_from(ENGINES)),
    ears_lag_ms=st.floats(0.0, 60.0),
    other_cores=numbers,
    pressure=st.floats(0.0, 1.0),
    is_throttled=st.booleans(),
    stt_rtf=st.floats(0.0, 2.0),
    drafting_s=numbers,
    speech_s=numbers,
)


@given(situations)
def test_every_plan_is_one_that_can_be_carried_out(s: Situation) -> None:
    plan = decide(s)
    assert plan.reason
    if plan.run:
        assert 1 <= plan.num_threads <= min(s.cores, Limits().max_threads)
    else:
        assert plan.num_threads == 0


@given(situations)
def test_only_what_is_speculative_is_refused(s: Situation) -> None:
    assert decide(s).run or s.work in REFUSABLE


@given(situations, situations)
def test_more_trouble_never_brings_more_threads(s: Situation, other: Situation) -> None:
    worse = replace(
        s,
        busy=s.busy | other.busy,
        ears_lag_ms=s.ears_lag_ms + other.ears_lag_ms,
        other_cores=s.other_cores + other.other_cores,
        pressure=max(s.pressure, other.pressure),
        is_throttled=s.is_throttled or other.is_throttled,
        stt_rtf=s.stt_rtf + other.stt_rtf,
        drafting_s=s.drafting_s + other.drafting_s,
    )
    assert decide(worse).num_threads <= decide(s).num_threads


@given(situations)
def test_a_partial_outlasts_a_draft_where_the_machine_is_short(s: Situation) -> None:
    """Of two that could both run in peace, the machine's troubles refuse the draft first."""
    mine = frozenset({"stt", "llm"})
    machine = replace(
        s,
        busy=s.busy - mine,
        stt_rtf=0.0,
        drafting_s=0.0,
        speech_s=0.0,
    )
    draft = decide(replace(machine, work=Work.DRAFT))
    partial = decide(replace(machine, work=Work.PARTIAL))
    assert partial.run or not draft.run


class HandClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.s = 100.0

    def now_s(self) -> float:
        return self.s


class Bench:
    """A scheduler with everything around it in the test's hand."""

    def __init__(self) -> None:
        self.time = HandClock()
        self.load = Load()
        self.lag_ms = 0.0
        log = EventLog()
        self._stream = log.subscribe()
        self._log = log
        self.scheduler = Scheduler(
            cores=2,
            read_load=lambda: self.load,
            ears_lag_ms=lambda: self.lag_ms,
            clock=SampleClock(SAMPLE_RATE, 320, self.time),
            log=log,
        )

    def cancelled_after(self, seconds: float, token: CancelToken) -> None:
        """A call that is broken off."""
        self.time.s += seconds
        token.raise_if_cancelled()

    def told(self) -> list[dict[str, Any]]:
        """All events, without their time; closes the log."""
        self._log.close()
        return [{k: v for k, v in event.items() if k != "t"} for event in self._stream]


def test_the_trace_is_told_of_changes_only() -> None:
    bench = Bench()
    plan = bench.scheduler.plan
    assert plan(Work.FINAL, turn=1).num_threads == 2
    assert plan(Work.FINAL, turn=2).num_threads == 2
    assert plan(Work.DRAFT, turn=2).run
    bench.load = Load(is_throttled=True)
    assert not plan(Work.DRAFT, turn=3).run
    assert plan(Work.FINAL, turn=3).num_threads == 2
    told = {"event": "scheduled"}
    final = {"work": "final", "threads": 2, "run": True, "reason": "alone"}
    draft = {"work": "draft", "threads": 2, "run": True, "reason": "alone"}
    refused = {"work": "draft", "threads": 0, "run": False, "reason": "throttled"}
    assert bench.told() == [
        {**told, "turn": 1, **final},
        {**told, "turn": 2, **draft},
        {**told, "turn": 3, **refused},
    ]


def test_an_engine_at_work_halves_the_threads_of_the_others() -> None:
    bench = Bench()
    with bench.scheduler.busy("tts"):
        assert bench.scheduler.plan(Work.ANSWER_COMMITTED) == Plan(
            run=True, num_threads=1, reason="shared"
        )
    assert bench.scheduler.plan(Work.ANSWER_COMMITTED).reason == "alone"


def test_an_engine_that_failed_is_no_longer_at_work() -> None:
    bench = Bench()
    with pytest.raises(ZeroDivisionError), bench.scheduler.busy("tts"):
        _ = 1 / 0
    assert bench.scheduler.plan(Work.FINAL).reason == "alone"


def test_an_engine_that_waits_takes_no_core_and_no_time() -> None:
    bench = Bench()
    with bench.scheduler.busy("llm", draft_of=1):
        bench.time.s += 0.5
        with bench.scheduler.resting("llm"):
            assert bench.scheduler.plan(Work.FINAL).reason == "alone"
            bench.time.s += 100.0
        assert bench.scheduler.plan(Work.FINAL).reason == "shared"
        bench.time.s += 0.4
    assert bench.scheduler.plan(Work.DRAFT, turn=1).run, "0.9 s of 1.0"


def test_drafts_of_one_turn_share_a_budget() -> None:
    bench = Bench()
    plan = bench.scheduler.plan
    for _ in range(2):
        with bench.scheduler.busy("llm", draft_of=1):
            bench.time.s += 0.6
    assert plan(Work.DRAFT, turn=1).reason == "draft-share"
    assert plan(Work.DRAFT, turn=1, speech_s=1.0).run, "more was said"
    assert plan(Work.ANSWER_COMMITTED, turn=1).run
    with bench.scheduler.busy("llm", draft_of=2):
        bench.time.s += 0.6
    assert plan(Work.DRAFT, turn=2).run, "another turn begins anew"


def test_a_partial_that_finds_the_recogniser_at_work_says_nothing_of_it() -> None:
    bench = Bench()
    plan = bench.scheduler.plan
    assert plan(Work.PARTIAL).run
    with bench.scheduler.busy("stt", audio_s=4.0):
        assert plan(Work.PARTIAL).reason == "engine-busy"
        bench.time.s += 1.0
    assert plan(Work.PARTIAL).run
    assert [event["reason"] for event in bench.told()] == ["nobody-waits"]


def test_a_recogniser_that_cannot_keep_up_gives_no_partials() -> None:
    bench = Bench()
    with bench.scheduler.busy("stt", audio_s=1.0):
        bench.time.s += 0.8
    bench.time.s += 10.0
    assert bench.scheduler.plan(Work.PARTIAL).reason == "slow-stt"


def test_a_pass_that_was_broken_off_tells_nothing_about_the_recogniser() -> None:
    bench = Bench()
    token = CancelToken()
    token.cancel("resumed")
    with bench.scheduler.busy("stt", audio_s=1.0):
        bench.time.s += 0.4
    with pytest.raises(TurnCancelled), bench.scheduler.busy("stt", audio_s=1.0):
        bench.cancelled_after(5.0, token)
    bench.time.s += 0.6
    assert bench.scheduler.plan(Work.PARTIAL).run


class Threaded:
    """An engine that can be told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def set_threads(self, num_threads: int) -> None:
        self.told.append(num_threads)


def test_an_engine_is_told_its_threads_unless_its_work_is_refused() -> None:
    bench, engine = Bench(), Threaded()
    bench.scheduler.give_threads(engine, Work.ANSWER_COMMITTED)
    with bench.scheduler.busy("tts"):
        bench.scheduler.give_threads(engine, Work.ANSWER_COMMITTED)
    bench.load = Load(is_throttled=True)
    bench.scheduler.give_threads(engine, Work.DRAFT, turn=1)
    assert engine.told == [2, 1]
    bench.scheduler.give_threads(object(), Work.ANSWER_COMMITTED)  # not one that can be told


def test_late_ears_are_asked_each_time() -> None:
    bench = Bench()
    bench.lag_ms = 30.0
    assert bench.scheduler.plan(Work.DRAFT).reason == "ears-late"
    bench.lag_ms = 10.0
    assert bench.scheduler.plan(Work.DRAFT).run


def test_many_threads_at_once_leave_nobody_at_work() -> None:
    bench = Bench()

    def work(engine: Engine) -> None:
        for _ in range(200):
            with bench.scheduler.busy(engine, audio_s=1.0, draft_of=1):
                bench.scheduler.plan(Work.DRAFT, turn=1)

    threads = [threading.Thread(target=work, args=(engine,)) for engine in ENGINES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.scheduler.plan(Work.FINAL).reason == "alone"
