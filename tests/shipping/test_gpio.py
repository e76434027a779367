"""Lamps and button on gpiozero's mock pins, with a real assistant behind them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from itertools import chain
from queue import SimpleQueue

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory

from edge_assistant.config import Config, load
from edge_assistant.errors import ConfigError, DeviceLost
from edge_assistant.gpio.panel import panel
from edge_assistant.gpio.settings import Settings
from edge_assistant.gpio.state import Shown, Watcher
from tests.fakes.engines import FakeLlm, FakeRecognizer, failing
from tests.pipeline.conftest import calm_machine
from tests.pipeline.test_assistant import Stage, stage

__all__ = ["calm_machine", "stage"]

PINS = Settings(
    idle_pin=5, listening_pin=6, thinking_pin=13, speaking_pin=19, trouble_pin=26, button_pin=21
)
LONG = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."


@pytest.fixture
def board() -> Iterator[MockFactory]:
    before = gpiozero.Device.pin_factory
    factory = gpiozero.Device.pin_factory = MockFactory()
    yield factory
    factory.reset()
    gpiozero.Device.pin_factory = before


def lit(board: MockFactory) -> set[str]:
    return {state for state, pin in PINS.lamp_pins.items() if board.pin(pin).state}


def shown_on(s: Stage, *, is_push: bool = False) -> AbstractContextManager[None]:
    """A panel of an assistant that listens already."""
    events = chain([{"event": "listening"}], s.assistant.events())
    a = s.assistant
    return panel(PINS, events, a.press, a.release, a.hush, is_push=is_push)


def test_the_lamps_follow_a_conversation(stage: Callable[..., Stage], board: MockFactory) -> None:
    s = stage(llm=FakeLlm(LONG, seconds_per_word=0.05))
    with shown_on(s):
        seen: list[str] = []

        def look() -> None:
            now = lit(board)
            assert len(now) <= 1, now
            if now and [*now] != seen[-1:]:
                seen.extend(now)

        def until(is_over: Callable[[], bool]) -> None:
            s.silence_until(lambda: look() or is_over())  # type: ignore[func-returns-value]

        for _ in range(50):
            s.card.speech(0.02)
            look()
        until(lambda: bool(s.named("turn_finished")))
        until(lambda: lit(board) == {"idle"})
        assert seen == ["idle", "listening", "thinking", "speaking", "idle"]
        s.assistant.stop()
    assert lit(board) == set()


def test_trouble_blinks_until_somebody_is_answered(
    stage: Callable[..., Stage], board: MockFactory
) -> None:
    s = stage(
        recognizer=FakeRecognizer("one", "two"), llm=FakeLlm(failing("llm"), failing("llm"), "Yes.")
    )
    with shown_on(s):
        s.card.speech(1.0)
        s.wait_for_turns(1)
        s.silence_until(lambda: lit(board) == {"trouble"})
        s.silence_until(lambda: lit(board) == set())  # it blinks
        s.ask()
        s.wait_for_turns(2)
        s.silence_until(lambda: lit(board) == {"idle"})
        s.card.on_lost(DeviceLost("microphone-lost", "The microphone has stopped."))
        s.silence_until(lambda: lit(board) == {"trouble"})
        assert s.card.on_back is not None
        s.card.on_back()
        s.silence_until(lambda: lit(board) == {"idle"})
        s.assistant.stop()


def test_the_button_stops_a_reply(stage: Callable[..., Stage], board: MockFactory) -> None:
    s = stage(llm=FakeLlm(LONG))
    with shown_on(s):
        s.ask()
        board.pin(21).drive_low()
        s.silence_until(lambda: bool(s.named("yielded")))
        board.pin(21).drive_high()
        s.silence_until(lambda: s.assistant.is_idle)
        assert len(s.named("playback_started")) == 1
        assert len(s.named("yielded")[0]["heard"]) < len(LONG)
        s.assistant.stop()


def test_the_button_is_held_to_talk(stage: Callable[..., Stage], board: MockFactory) -> None:
    config = Config().with_overrides({"turns.listen": "push"})
    s = stage(llm=FakeLlm("Yes."), config=config)
    with shown_on(s, is_push=True):
        s.card.speech(0.5)  # nobody listens
        board.pin(21).drive_low()
        s.silence_until(lambda: lit(board) == {"listening"})
        s.card.speech(1.0)
        assert not s.named("speech_ended")
        board.pin(21).drive_high()
        s.wait_for_turns(1)
        assert s.named("turn_finished")[0]["outcome"] == "answered"
        s.assistant.stop()


def test_lamps_to_the_supply_are_dark_at_a_high_level(board: MockFactory) -> None:
    settings = Settings(idle_pin=5, is_lit_by_low=True)
    with panel(settings, [{"event": "listening"}], print, print, print, is_push=False):
        pass
    levels = [state.state for state in board.pin(5).states]
    assert levels[-2:] == [False, True]


def test_events_after_a_signal_touch_no_closed_lamp(
    board: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal leaves the panel first, and the assistant tells of its end after that."""
    failed: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    told: SimpleQueue[str] = SimpleQueue()
    events = ({"event": name, "code": "x"} for name in iter(told.get, "end"))
    with suppress(SystemExit), panel(PINS, events, print, print, print, is_push=False):
        (thread,) = (each for each in threading.enumerate() if each.name == "gpio")
        raise SystemExit(143)
    for name in ("listening", "error", "closed", "end"):
        told.put(name)
    thread.join(10)
    assert not failed


def test_without_pins_gpiozero_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with panel(Settings(), [], print, print, print, is_push=False):
        pass
    with (
        pytest.raises(ConfigError) as caught,
        panel(PINS, [], print, print, print, is_push=False),
    ):
        pass
    assert caught.value.code == "gpio-missing"
    assert "edge-assistant[gpio]" in caught.value.hint


def test_a_pin_that_is_in_use_is_told(board: MockFactory) -> None:
    with (
        gpiozero.LED(5),
        pytest.raises(ConfigError) as caught,
        panel(PINS, [], print, print, print, is_push=False),
    ):
        pass
    assert caught.value.code == "gpio-unusable"


def test_a_pin_has_one_use() -> None:
    with pytest.raises(ConfigError, match="named twice"):
        load(overrides={"gpio.idle_pin": 5, "gpio.button_pin": 5}, environ={})


def test_before_it_listens_and_after_its_end_it_is_dark_or_in_trouble() -> None:
    watcher = Watcher()
    assert watcher.see({"event": "tokens"}) is Shown.OFF
    assert watcher.see({"event": "error", "code": "x"}) is Shown.TROUBLE
    assert watcher.see({"event": "listening"}) is Shown.TROUBLE
    assert watcher.see({"event": "device_back"}) is Shown.IDLE
    assert watcher.see({"event": "closed"}) is Shown.OFF
