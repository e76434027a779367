"""Abort latency, on jobs whose end is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random

import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.engine_bench.abort import SAMPLES, latencies_s, latency_s, length_s
from edge_assistant.engine_bench.probe import Job

Begin = Callable[[], None]


def job(run: Callable[[CancelToken, Begin], None]) -> Job:
    return Job(name="stt", run=run)


def obedient(token: CancelToken, begin: Begin) -> None:
    """Works until it is told to stop."""
    begin()
    while True:
        token.raise_if_cancelled()
        time.sleep(0.0005)


def test_the_latency_begins_with_the_cancellation() -> None:
    """An engine that works on for 40 ms after it was cancelled."""

    def slow(token: CancelToken, begin: Begin) -> None:
        cancelled = threading.Event()
        token.on_cancel(cancelled.set)
        begin()
        assert cancelled.wait(10.0)
        time.sleep(0.04)
        token.raise_if_cancelled()

    found_s = latency_s(job(slow), 0.15, CancelToken())
    assert found_s is not None
    assert found_s >= 0.04
    began_s = time.perf_counter()
    again_s = latency_s(job(slow), 0.15, CancelToken())
    assert again_s is not None
    assert again_s <= time.perf_counter() - began_s - 0.15


def test_nothing_is_cancelled_before_the_part_begins() -> None:
    too_early: list[bool] = []

    def late(token: CancelToken, begin: Begin) -> None:
        time.sleep(0.05)
        too_early.append(token.is_cancelled)
        obedient(token, begin)

    assert latency_s(job(late), 0.0, CancelToken()) is not None
    assert too_early == [False]


def test_what_does_not_notice_works_to_its_end() -> None:
    ended: list[float] = []

    def deaf(token: CancelToken, begin: Begin) -> None:
        cancelled = threading.Event()
        token.on_cancel(cancelled.set)
        begin()
        assert cancelled.wait(10.0)
        time.sleep(0.03)
        ended.append(time.perf_counter())

    found_s = latency_s(job(deaf), 0.0, CancelToken())
    assert ended
    assert found_s is not None
    assert found_s >= 0.03


def test_what_was_over_before_gives_nothing_and_is_tried_again() -> None:
    runs: list[CancelToken] = []

    def short(token: CancelToken, begin: Begin) -> None:
        runs.append(token)
        if len(runs) % 2 == 0:
            obedient(token, begin)

    assert latency_s(job(lambda token, begin: begin()), 60.0, CancelToken()) is None
    found = list(latencies_s(job(short), 0.01, Random(0), CancelToken()))
    assert len(found) == SAMPLES
    assert len(runs) == 2 * SAMPLES


def test_the_whole_measurement_can_be_cancelled() -> None:
    outer = CancelToken()
    threading.Timer(0.05, outer.cancel, ["ctrl-c"]).start()
    with pytest.raises(TurnCancelled):
        latency_s(job(obedient), 3600.0, outer)


def test_a_failure_is_not_taken_for_an_abort() -> None:
    def broken(token: CancelToken, begin: Begin) -> None:
        raise RuntimeError("out of order")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="out of order"):
        latency_s(job(broken), 3600.0, CancelToken())
    assert threading.active_count() == before


def test_the_length_leaves_out_what_comes_before() -> None:
    def late(token: CancelToken, begin: Begin) -> None:
        time.sleep(0.2)
        begin()

    began_s = time.perf_counter()
    found_s = length_s(job(late), CancelToken())
    assert found_s <= time.perf_counter() - began_s - 0.2
