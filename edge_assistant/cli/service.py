"""`edge-assistant run --service`: talk without a terminal, looked after by systemd or another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_assistant.cli.output import note, report
from edge_assistant.cli.process import on_hangup
from edge_assistant.cli.run import LOOK_S, change_models
from edge_assistant.cli.session import running, spoken_language
from edge_assistant.errors import AudioError, DeviceLost, DeviceNotFound, PipelineError
from edge_assistant.notices.phrases import phrase
from edge_assistant.service.notify import Notifier, watchdog_interval_s
from edge_assistant.service.privacy import keep_words_out_of_the_log, make_undumpable
from edge_assistant.service.safe import safe
from edge_assistant.service.starts import HEALTHY_S, LOAD_S, MAX_UNCLEAN, Starts, default_path
from edge_assistant.service.watchdog import FrameWatchdog

if TYPE_CHECKING:
    from edge_assistant.audio.cards.portaudio import PortAudioCard
    from edge_assistant.audio.settings import Settings as AudioSettings
    from edge_assistant.config import Config
    from edge_assistant.pipeline.assistant import Assistant

_CARD_RETRY_S: Final = 2.0
_CARD_PATIENCE_US: Final = 60_000_000
"""Longest that one look for the card may take."""
_LOAD_PATIENCE: Final = f"EXTEND_TIMEOUT_USEC={LOAD_S * 1e6:.0f}"
"""Counts from when it is sent; without it, what loads longer than TimeoutStartSec never listens."""
_LOST: Final = ("microphone-lost", "loudspeaker-lost", "sound-lost")


def serve(config: Config, events: Path | None, reload: Callable[[], Config]) -> None:
    """Converse until a signal; whoever started us hears how it is, and nobody hears what was said.

    Raises:
        EdgeAssistantError: it cannot go on; whoever started us may try again.
    """
    make_undumpable()
    keep_words_out_of_the_log()
    notifier = Notifier.from_environ()
    notifier.status("loading", _LOAD_PATIENCE)
    starts = Starts(default_path())
    deaths = starts.begin()
    try:
        _converse(config, events, reload, starts, deaths, notifier)
    except (SystemExit, DeviceNotFound, DeviceLost):
        starts.ended()  # smaller models would not have helped
        raise


def _converse(
    config: Config,
    events: Path | None,
    reload: Callable[[], Config],
    starts: Starts,
    deaths: int,
    notifier: Notifier,
) -> None:
    from edge_assistant.store.store import Store
    from edge_assistant.trace import EventLog

    is_safe = deaths >= MAX_UNCLEAN
    if is_safe:
        config = safe(config, Store.default())
        note(f"safe mode: {deaths} starts have crashed, so this one is with small models")
    card = _wait_for_card(config.audio, notifier)
    starts.loading()
    notifier.status("loading", _LOAD_PATIENCE)
    wants_reload, mood = threading.Event(), "listening, in safe mode" if is_safe else "listening"
    lost, was_lost = threading.Event(), False
    log = EventLog(events)

    def tell(event: Mapping[str, Any]) -> None:
        _tell(event, notifier, mood)
        if event["event"] == "device_back":
            lost.clear()
        elif event["event"] == "error" and event["code"] in _LOST:
            lost.set()

    with on_hangup(wants_reload.set), running(config, card, events, tell, log=log) as assistant:
        starts.ready()
        if is_safe:
            log.emit("safe_mode", 0, crashes=deaths)
            with suppress(PipelineError):
                assistant.say(phrase("safe_mode", spoken_language(config)))
        healthy_at_s = time.monotonic() + HEALTHY_S
        with _looked_after(assistant, notifier, mood):
            while not assistant.wait_closed(LOOK_S):
                if time.monotonic() >= healthy_at_s:
                    starts.healthy()
                    healthy_at_s = float("inf")
                if lost.is_set() is not was_lost:
                    was_lost = not was_lost
                    starts.without_sound(was_lost)
                if wants_reload.is_set():
                    wants_reload.clear()
                    change_models(assistant, reload)
    raise PipelineError(
        "gave-up", "the assistant gave up; an error above says why", "it can be started again"
    )


@contextmanager
def _looked_after(assistant: Assistant, notifier: Notifier, mood: str) -> Iterator[None]:
    """Ready from here on, with signs of life, until it stops."""
    interval_s = watchdog_interval_s()
    watchdog = None
    if interval_s is not None:
        watchdog = FrameWatchdog(notifier, interval_s, lambda: assistant.heard_frames)
        watchdog.start()
    notifier.status(mood, "READY=1")
    note(mood)
    try:
        yield
    finally:
        if watchdog is not None:
            watchdog.stop()
        notifier.status("stopping", "STOPPING=1")


def _wait_for_card(settings: AudioSettings, notifier: Notifier) -> PortAudioCard:
    """The sound card, once there is one: to crash for want of it would only cost starts.

    Raises:
        DeviceNotFound: there is no PortAudio, and waiting brings none.
    """
    from edge_assistant.audio.cards.devices import load_sounddevice
    from edge_assistant.audio.cards.portaudio import PortAudioCard

    load_sounddevice()
    told = ""
    while True:
        try:
            return PortAudioCard(settings)
        except AudioError as error:
            if error.code != told:
                report(error)
                told = error.code
            patience = f"EXTEND_TIMEOUT_USEC={_CARD_PATIENCE_US}"
            notifier.status(f"waiting for a sound device: {error.code}", patience)
            time.sleep(_CARD_RETRY_S)


def _tell(event: Mapping[str, Any], notifier: Notifier, mood: str) -> None:
    """Log that something is wrong, by its code: the message may quote what was being spoken."""
    match event["event"]:
        case "error":
            note(f"error [{event['code']}]: {event.get('hint', '')}")
            notifier.status(f"{mood}; last error: {event['code']}")
        case "device_back":
            note("the sound device is back")
            notifier.status(mood)
        case "safe_mode":
            note("safe mode: said so aloud")
