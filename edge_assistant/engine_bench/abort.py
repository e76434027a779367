"""How long an engine works on after it was told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Final

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.engine_bench.probe import Job

SAMPLES: Final = 3
"""Aborts of each job in a round."""

MAX_TRIES: Final = 3
"""A job that was over before it was stopped gives no latency and is tried again, so many times."""

EARLIEST: Final = 0.1
LATEST: Final = 0.7
"""Where in the job it is stopped, as shares of its length: anywhere in its middle."""


def length_s(job: Job, token: CancelToken) -> float:
    """How long the part takes that is to be aborted, left alone."""
    begun_s = time.perf_counter()

    def begin() -> None:
        nonlocal begun_s
        begun_s = time.perf_counter()

    job.run(token, begin)
    return time.perf_counter() - begun_s


def latencies_s(job: Job, length_s: float, random: Random, token: CancelToken) -> Iterator[float]:
    """Abort the job `SAMPLES` times, each time somewhere else in it.

    Args:
        job: what is aborted.
        length_s: from `length_s`.
        random: chooses the moments.
        token: stops the measuring itself.

    Raises:
        EngineError: the engine failed instead.
        TurnCancelled: `token` was cancelled.
    """
    for _ in range(SAMPLES):
        for _ in range(MAX_TRIES):
            found_s = latency_s(job, random.uniform(EARLIEST, LATEST) * length_s, token)
            if found_s is not None:
                yield found_s
                break


def latency_s(job: Job, wait_s: float, outer: CancelToken) -> float | None:
    """Cancel a job `wait_s` after it began, from another thread; time until its call has ended.

    It ends with TurnCancelled; an engine that does not notice works to its end, and that counts.

    Returns:
        None where the job was over before it was cancelled.
    """
    token = CancelToken()
    unsubscribe = outer.on_cancel(lambda: token.cancel("the measuring ends"))
    begun, over = threading.Event(), threading.Event()
    cancelled_s: list[float] = []

    def cancel() -> None:
        begun.wait()
        if not over.wait(wait_s):
            cancelled_s.append(time.perf_counter())
            token.cancel("abort latency")

    thread = threading.Thread(target=cancel, name="cancel", daemon=True)
    thread.start()
    try:
        with suppress(TurnCancelled):
            job.run(token, begun.set)
        ended_s = time.perf_counter()
    finally:
        over.set()
        begun.set()
        thread.join()
        unsubscribe()
    outer.raise_if_cancelled()
    return ended_s - cancelled_s[0] if cancelled_s and cancelled_s[0] < ended_s else None
