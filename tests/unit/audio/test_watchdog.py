"""The watchdog without a device: every loss once, attempts until one works, no hang."""

from __future__ import annotations

import threading

import pytest

from edge_assistant.audio.cards.limited import CallHung, LimitedCalls
from edge_assistant.audio.cards.watchdog import Loss, Watchdog
from edge_assistant.errors import AudioError, DeviceLost

HUNG_S = 30.0


def loss(is_over: bool = False) -> Loss:
    return Loss(error=DeviceLost("microphone-lost", "It is gone."), is_over=is_over)


class Desk:
    """Loses its device when told to, and reopens at the attempt it was told."""

    def __init__(self, works_at_attempt: int = 1) -> None:
        self.losses: list[Loss] = []
        self.attempts = 0
        self.story: list[str] = []
        self.back = threading.Event()
        self._works_at_attempt = works_at_attempt
        self.watchdog = Watchdog(
            lambda: self.losses.pop() if self.losses else None,
            self._reopen,
            lambda error: self.story.append(f"lost {error}"),
            self._on_back,
            period_s=HUNG_S,
            retry_s=(0.001, 0.002),
        )
        self.watchdog.start()

    def _reopen(self) -> None:
        self.attempts += 1
        if self.attempts < self._works_at_attempt:
            raise AudioError("device-refused", "Not yet.")

    def _on_back(self) -> None:
        self.story.append("back")
        self.back.set()

    def lose(self, what: Loss) -> None:
        self.losses.append(what)
        self.watchdog.wake()


def test_it_tries_until_it_works_and_says_each_thing_once() -> None:
    desk = Desk(works_at_attempt=4)
    desk.lose(loss())
    assert desk.back.wait(HUNG_S)
    assert desk.watchdog.stop(HUNG_S)
    assert desk.attempts == 4
    assert desk.story == ["lost It is gone. [microphone-lost]", "back"]


def test_what_goes_on_by_itself_is_not_reopened() -> None:
    desk = Desk()
    desk.lose(loss(is_over=True))
    assert desk.back.wait(HUNG_S)
    assert desk.watchdog.stop(HUNG_S)
    assert desk.attempts == 0


def test_it_stops_in_the_middle_of_a_loss() -> None:
    desk = Desk(works_at_attempt=1_000_000)
    desk.lose(loss())
    while desk.attempts < 3:
        threading.Event().wait(0.001)
    assert desk.watchdog.stop(HUNG_S)
    assert desk.story == ["lost It is gone. [microphone-lost]"]
    assert desk.watchdog.stop(HUNG_S), "stopping twice is fine"


def test_a_listener_that_fails_does_not_end_the_watch() -> None:
    back = threading.Event()
    losses = [loss(is_over=True)]

    def fail(error: Exception | None) -> None:
        raise ValueError(str(error))

    watchdog = Watchdog(
        lambda: losses.pop() if losses else None,
        lambda: None,
        fail,
        back.set,
        period_s=0.001,
        retry_s=(0.001, 0.001),
    )
    watchdog.start()
    assert back.wait(HUNG_S)
    assert watchdog.stop(HUNG_S)


def test_a_listener_may_stop_the_watchdog_itself() -> None:
    done = threading.Event()
    losses = [loss()]

    def stop(error: Exception | None) -> None:
        del error
        assert watchdog.stop(HUNG_S)
        done.set()

    watchdog = Watchdog(
        lambda: losses.pop() if losses else None,
        lambda: None,
        stop,
        lambda: pytest.fail("nothing came back"),
        period_s=0.001,
        retry_s=(0.001, 0.001),
    )
    watchdog.start()
    assert done.wait(HUNG_S)
    assert watchdog.stop(HUNG_S)


def test_a_call_gives_its_result_or_its_error() -> None:
    calls = LimitedCalls("test-call")
    assert calls.run(lambda: 7, HUNG_S) == 7
    assert calls.run(lambda: None, HUNG_S) is None
    with pytest.raises(ZeroDivisionError):
        calls.run(lambda: 1 / 0, HUNG_S)
    assert not calls.is_hung


def test_a_call_that_hangs_is_left_behind_and_blocks_others() -> None:
    calls = LimitedCalls("test-call")
    release = threading.Event()
    with pytest.raises(CallHung):
        calls.run(release.wait, 0.01)
    assert calls.is_hung
    with pytest.raises(CallHung, match="earlier"):
        calls.run(lambda: 7, HUNG_S)
    release.set()
    while calls.is_hung:
        threading.Event().wait(0.001)
    assert calls.run(lambda: 7, HUNG_S) == 7
