"""Where a failure of any kind is met."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from edge_assistant.borders import failing_as, on_daemon_thread, telling
from edge_assistant.cancel import TurnCancelled
from edge_assistant.errors import EngineError, ModelNotFound


def ours(error: Exception) -> EngineError:
    return EngineError("engine-failed", f"it failed: {error}")


def test_any_failure_becomes_ours_and_keeps_its_cause() -> None:
    with pytest.raises(EngineError, match="it failed: 7") as caught, failing_as(ours):
        raise KeyError(7)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [ModelNotFound("none", "no"), TurnCancelled("new turn")])
def test_what_is_ours_already_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, failing_as(ours):
        raise error
    assert caught.value is error


def test_any_error_is_told_and_goes_no_further() -> None:
    told: list[Exception] = []
    error = ModelNotFound("none", "no")
    with telling(told.append):
        raise error
    assert told == [error]
    with pytest.raises(TurnCancelled), telling(told.append):
        raise TurnCancelled("new turn")
    assert told == [error]


def test_a_thread_gives_what_its_call_gives_and_never_keeps_the_process() -> None:
    future: Future[threading.Thread] = Future()
    on_daemon_thread(future, threading.current_thread, "some-call")
    thread = future.result()
    assert (thread.name, thread.daemon) == ("some-call", True)


@pytest.mark.parametrize("error", [ValueError("no"), TurnCancelled("new turn"), SystemExit(3)])
def test_whoever_waits_gets_the_error(error: BaseException) -> None:
    def call() -> None:
        raise error

    future: Future[None] = Future()
    on_daemon_thread(future, call, "some-call")
    assert future.exception() is error
