"""The lamps and the button themselves, through gpiozero."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from edge_assistant.errors import ConfigError
from edge_assistant.gpio.settings import Settings
from edge_assistant.gpio.state import Shown, Watcher

BLINK_S: Final = 0.3
"""Lit and dark, each, in trouble."""

_BOUNCE_S: Final = 0.03
_LAST_EVENTS_S: Final = 1.0


@contextmanager
def panel(
    settings: Settings,
    events: Iterable[Mapping[str, Any]],
    press: Callable[[], None],
    release: Callable[[], None],
    stop: Callable[[], None],
    *,
    is_push: bool,
) -> Iterator[None]:
    """Show `events` on the lamps, and let the button press and release, until the block ends.

    Args:
        settings: the pins; with none of them nothing happens, and gpiozero is not imported.
        events: ends, or is left behind on a daemon thread.
        press: the floor is the user's; never blocks.
        release: the user's turn is over; never blocks.
        stop: silence; never blocks.
        is_push: hold the button to talk; else a press stops what is being said.

    Raises:
        ConfigError: gpiozero is missing, or a pin cannot be used.
    """
    if not settings.lamp_pins and settings.button_pin is None:
        yield
        return
    with ExitStack() as stack:
        lamps = _open(settings, stack, press, release, stop, is_push)
        lock = threading.Lock()
        arguments = (events, lamps, lock)
        thread = threading.Thread(target=_show, args=arguments, name="gpio", daemon=True)
        thread.start()
        try:
            yield
            thread.join(_LAST_EVENTS_S)  # so that the lamps are dark
        finally:  # after a signal, events come while the assistant is stopped, when this has ended
            with lock:
                lamps.clear()


def _open(
    settings: Settings,
    stack: ExitStack,
    press: Callable[[], None],
    release: Callable[[], None],
    stop: Callable[[], None],
    is_push: bool,
) -> dict[Shown, Any]:
    try:
        import gpiozero
        from gpiozero.exc import GPIOZeroError
    except ImportError as error:
        raise ConfigError(
            "gpio-missing",
            "pins are named in [gpio], and gpiozero is not installed",
            "pip install 'edge-assistant[gpio]'",
        ) from error

    try:
        lamps = {}
        for state, pin in settings.lamp_pins.items():
            lamp = gpiozero.LED(pin, active_high=not settings.is_lit_by_low)
            lamps[Shown(state)] = stack.enter_context(lamp)
        if settings.button_pin is not None:
            button = gpiozero.Button(settings.button_pin, bounce_time=_BOUNCE_S)
            stack.enter_context(button)
            button.when_pressed = press if is_push else stop
            if is_push:
                button.when_released = release
    except (GPIOZeroError, OSError) as error:
        raise ConfigError(
            "gpio-unusable",
            f"a pin of [gpio] cannot be used: {type(error).__name__}: {error}",
            "check the numbers, and that this account may use the pins (group gpio)",
        ) from error
    return lamps


def _show(
    events: Iterable[Mapping[str, Any]], lamps: Mapping[Shown, Any], lock: threading.Lock
) -> None:
    watcher, before = Watcher(), Shown.OFF
    for event in events:
        shown = watcher.see(event)
        if shown is not before:
            _light(shown, lamps, lock)
        before = shown
    _light(Shown.OFF, lamps, lock)


def _light(shown: Shown, lamps: Mapping[Shown, Any], lock: threading.Lock) -> None:
    """Those of `lamps` that are not closed yet."""
    with lock:
        for state, lamp in lamps.items():
            if state is not shown:
                lamp.off()
            elif state is Shown.TROUBLE:
                lamp.blink(BLINK_S, BLINK_S)
            else:
                lamp.on()
