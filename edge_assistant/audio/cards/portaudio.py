"""The machine's own microphone and loudspeaker."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from edge_assistant.audio.card import OnCapture, OnLost, OnPlayback, Xruns
from edge_assistant.audio.cards.alone import play_alone
from edge_assistant.audio.cards.devices import NOUN, Kind, load_sounddevice
from edge_assistant.audio.cards.limited import CallHung, LimitedCalls
from edge_assistant.audio.cards.pulse import Move, PulseRoutes, is_monitor
from edge_assistant.audio.cards.sides import CaptureSide, PlaybackSide
from edge_assistant.audio.cards.streams import Port, Streams, choose_port, restart_portaudio
from edge_assistant.audio.cards.watchdog import Loss, Watchdog
from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.settings import Settings
from edge_assistant.errors import AudioError, DeviceLost, DeviceNotFound

_LOGGER: Final = logging.getLogger(__name__)

_PLAYBACK_RATE: Final = 48_000
_OPEN_LIMIT_S: Final = 10.0
_CLOSE_LIMIT_S: Final = 1.0
_STOP_LIMIT_S: Final = 0.9
_LOOK_EVERY_S: Final = 0.25
_ASK_EVERY_S: Final = 1.0
_FIRST_ASKS: Final = 5
_TOGETHER_S: Final = 0.02
_WAIT_HINT: Final = "It is used again once it is back; for another one: edge-assistant devices"

Ports = tuple[Port, Port]
"""Capture, playback."""
Rates = tuple[int | None, ...]
"""Hz in the order of preference; None = the device's own."""


class PortAudioCard:
    """Two PortAudio streams that are kept open, and a watchdog over them.

    Formats: capture is mono at 16000 Hz and playback mono at 48000 Hz wherever the device allows
    it; otherwise at the device's own rate, which `capture_rate` and `playback_rate` tell: whoever
    listens resamples (`audio.resample`, quality LQ). Several channels are averaged into one, and
    one is given to all.

    Time: `time_s` and `dac_time_s` are on `time.monotonic`, with PortAudio's latencies applied.

    Loss: a stream that ends, that calls nobody for `watchdog_ms`, or that PulseAudio moves to
    another device (asked once a second, if `pactl` is there) is reported through `on_lost` once,
    from the thread `card-watchdog`. The devices are then reopened until it works, or until `stop`;
    callbacks go on, `on_back` is called, and capture jumps by the frames of the time that was lost.
    If PulseAudio replaces a microphone by the monitor of a loudspeaker, the card waits for a real
    one. Not detected: a muted or unplugged capsule (see `zero_input_s`), and a change of device
    inside other sound systems that keeps the stream running.

    A callback that raises costs its block; the first such error is reported through `on_lost`.

    One card at a time in a process: bringing a device back restarts PortAudio.

    Args:
        settings: which devices, and how patiently.

    Raises:
        DeviceNotFound: no PortAudio, no such device, no permission, or it is busy or takes no
            format that we can use.
        AudioError: PortAudio does not start.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._sounddevice = load_sounddevice()
        try:
            self._ports = self._choose_ports((SAMPLE_RATE, None), (_PLAYBACK_RATE, None))
        except DeviceNotFound:  # it may have come after PortAudio looked
            restart_portaudio(self._sounddevice)
            self._ports = self._choose_ports((SAMPLE_RATE, None), (_PLAYBACK_RATE, None))
        self.on_back: Callable[[], None] | None = None
        """Called from `card-watchdog` when sound flows again after a loss."""
        self._calls = LimitedCalls("card-portaudio")
        self._lock = threading.Lock()
        self._streams: Streams | None = None
        self._sides: tuple[CaptureSide, PlaybackSide] | None = None
        self._watchdog: Watchdog | None = None
        self._routes = PulseRoutes()
        self._next_ask_s = 0.0
        self._asks = 0
        self._microphone: str | None = None
        self._failure: Exception | None = None
        self._is_failure_told = False

    is_lock_step = False

    @property
    def name(self) -> str:
        """Microphone and loudspeaker, as PortAudio calls them."""
        return " / ".join(port.device.name for port in self._ports)

    @property
    def capture_rate(self) -> int:
        """Hz; fixed for the life of the card: a device that comes back must take it."""
        return self._ports[0].sample_rate

    @property
    def playback_rate(self) -> int:
        """Hz; fixed for the life of the card."""
        return self._ports[1].sample_rate

    @property
    def xruns(self) -> Xruns:
        """Counts since the last `start`."""
        if self._sides is None:
            return Xruns()
        capture, playback = self._sides
        return Xruns(
            input_overflows=capture.overflows,
            input_underflows=capture.underflows,
            output_overflows=playback.overflows,
            output_underflows=playback.underflows,
        )

    @property
    def zero_input_s(self) -> float:
        """For how long the microphone has given exact zeros, which a working one never does."""
        return 0.0 if self._sides is None else self._sides[0].zero_frames / self.capture_rate

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        """Open both streams; positions begin at 0.

        Raises:
            AudioError: a device cannot be opened, or the sound system hangs.
        """
        if self._watchdog is not None:
            raise RuntimeError("the card has been started already")
        rates, block_ms = (self.capture_rate, self.playback_rate), self._settings.block_ms
        blocks = tuple(rate * block_ms // 1000 for rate in rates)
        self._sides = (
            CaptureSide(rates[0], blocks[0], on_capture, self._note_failure),
            PlaybackSide(rates[1], blocks[1], on_playback, self._note_failure),
        )
        self._failure, self._is_failure_told = None, False
        self._asks, self._next_ask_s, self._microphone = 0, 0.0, None
        retry_ms = (self._settings.reopen_min_ms, self._settings.reopen_max_ms)
        self._watchdog = Watchdog(
            self._inspect,
            self._reopen,
            on_lost,
            self._tell_back,
            period_s=min(_LOOK_EVERY_S, self._settings.watchdog_ms / 4000),
            retry_s=(min(retry_ms) / 1000, max(retry_ms) / 1000),
        )
        self._set_live(True)
        with ExitStack() as undo:
            undo.callback(setattr, self, "_watchdog", None)
            self._calls.run(self._open, _OPEN_LIMIT_S)
            undo.pop_all()
        self._watchdog.start()

    def stop(self) -> None:
        """Close both streams; returns within 2 s even if PortAudio hangs. Idempotent."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return
        self._set_live(False)
        is_ended = watchdog.stop(_STOP_LIMIT_S)
        if is_ended:
            self._let_go()
        if not is_ended or self._calls.is_hung:
            _LOGGER.warning("PortAudio hangs; its thread is left behind")
            # sounddevice would call into the hung library once more when Python exits
            atexit.unregister(self._sounddevice._exit_handler)

    def speak_alone(self, samples: Samples, sample_rate: int) -> bool:
        """See `audio.card.SpeaksAlone`; ends early when the card is stopped meanwhile."""
        watchdog = self._watchdog
        if self._streams is not None:
            return False

        def play() -> bool:
            return play_alone(
                self._sounddevice,
                self._settings.output_device,
                samples,
                sample_rate,
                lambda: self._watchdog is watchdog,
            )

        try:
            return self._calls.run(play, len(samples) / sample_rate + _CLOSE_LIMIT_S * 3)
        except AudioError as error:
            _LOGGER.info("The loudspeaker does not play alone: %s", error)
            return False

    # What follows runs on `card-watchdog`, but for `_open`, which LimitedCalls puts on a thread.

    def _inspect(self) -> Loss | None:
        failure = self._failure
        if failure is not None and not self._is_failure_told:
            self._is_failure_told = True
            return Loss(error=_callback_failed(failure), is_over=True)
        if self._dead_kinds():
            time.sleep(_TOGETHER_S)  # two streams die together, but not in the same instant
            dead = self._dead_kinds()
            if not dead:  # it was late, not dead
                return None
            error = self._stopped(dead)
            self._let_go()
            return Loss(error=error, is_over=False)
        moves = self._moves()
        is_over = not any(move.hears_itself for move in moves)
        if is_over:
            self._microphone = self._routes.device_name("input")
        else:
            self._let_go()
        return Loss(error=_moved(moves), is_over=is_over) if moves else None

    def _dead_kinds(self) -> list[Kind]:
        if self._streams is None or self._sides is None:
            return []
        oldest_s = time.monotonic() - self._settings.watchdog_ms / 1000
        return [
            port.kind
            for port, side in zip(self._ports, self._sides, strict=True)
            if port.kind in self._streams.ended or side.last_s < oldest_s
        ]

    def _stopped(self, kinds: list[Kind]) -> DeviceLost:
        devices = {port.kind: port.device.name for port in self._ports}
        names = [f"the {NOUN[k]} ({self._routes.device_name(k) or devices[k]})" for k in kinds]
        code = f"{NOUN[kinds[0]]}-lost" if len(kinds) == 1 else "sound-lost"
        verb = "has" if len(kinds) == 1 else "have"
        text = " and ".join(names)
        return DeviceLost(code, f"{text[0].upper()}{text[1:]} {verb} stopped.", _WAIT_HINT)

    def _moves(self) -> list[Move]:
        now_s = time.monotonic()
        if self._streams is None or now_s < self._next_ask_s:
            return []
        self._next_ask_s = now_s + _ASK_EVERY_S
        if not self._routes.is_used:
            if self._asks == _FIRST_ASKS:
                return []
            self._asks += 1  # the server may list a new stream late, or never
        return self._routes.moves()

    def _reopen(self) -> None:
        watchdog = self._watchdog
        self._let_go()
        self._calls.run(self._open_anew, _OPEN_LIMIT_S)
        self._refuse_own_voice()
        if self._watchdog is None or self._watchdog is not watchdog:
            self._let_go()
            raise _stopped_meanwhile()
        self._set_live(True)

    def _open_anew(self) -> None:
        restart_portaudio(self._sounddevice)
        self._ports = self._choose_ports((self.capture_rate,), (self.playback_rate,))
        self._open()

    def _refuse_own_voice(self) -> None:
        """Raise if PulseAudio gives a loudspeaker's monitor in place of the microphone we had."""
        self._asks = 0
        if not self._routes.is_used:
            return
        before = self._microphone
        give_up_s = time.monotonic() + _ASK_EVERY_S
        self._routes.moves()
        while not self._routes.is_listed and time.monotonic() < give_up_s:
            if self._watchdog is None:
                return
            time.sleep(_TOGETHER_S)
            self._routes.moves()
        now = self._routes.device_name("input")
        if before and now and is_monitor(now) and not is_monitor(before):
            self._let_go()
            raise AudioError(
                "microphone-lost", f"In place of '{before}' there is only '{now}'.", _WAIT_HINT
            )
        self._microphone = now

    def _open(self) -> None:
        watchdog, sides = self._watchdog, self._sides
        if watchdog is None or sides is None:
            raise _stopped_meanwhile()
        streams = Streams(self._sounddevice, self._ports, sides, self._settings, watchdog.wake)
        with self._lock:
            is_wanted = self._watchdog is watchdog
            if is_wanted:
                self._streams = streams
        if not is_wanted:
            streams.close()
            raise _stopped_meanwhile()

    def _let_go(self) -> None:
        self._set_live(False)
        with self._lock:
            streams, self._streams = self._streams, None
        if streams is not None:
            try:
                self._calls.run(streams.close, _CLOSE_LIMIT_S)
            except CallHung as error:
                _LOGGER.warning("Closing the sound devices: %s", error)

    def _choose_ports(self, capture_rates: Rates, playback_rates: Rates) -> Ports:
        settings = self._settings
        return (
            choose_port(self._sounddevice, "input", settings.input_device, capture_rates),
            choose_port(self._sounddevice, "output", settings.output_device, playback_rates),
        )

    def _set_live(self, is_live: bool) -> None:
        for side in self._sides or ():
            side.is_live = is_live

    def _note_failure(self, error: Exception) -> None:
        """From an audio callback."""
        watchdog = self._watchdog
        if self._failure is None and watchdog is not None:
            self._failure = error
            watchdog.wake()

    def _tell_back(self) -> None:
        if self.on_back is not None:
            self.on_back()


def _stopped_meanwhile() -> AudioError:
    return AudioError("card-stopped", "The card was stopped while it opened its devices.")


def _callback_failed(error: Exception) -> DeviceLost:
    return DeviceLost(
        "audio-callback-failed",
        f"Sound was lost by a mistake in the program: {type(error).__name__}: {error}.",
        "Please report it; the conversation goes on.",
    )


def _moved(moves: list[Move]) -> DeviceLost:
    parts = []
    for move in moves:
        what = f"the {NOUN[move.kind]} '{move.old_name}'"
        change = f"is gone and '{move.new_name}' in its place"
        if not move.is_old_gone:
            change = f"was switched to '{move.new_name}'"
        elif move.hears_itself:
            change = f"is gone, and '{move.new_name}' in its place is what the loudspeaker plays"
        parts.append(f"{what} {change}")
    text = "; ".join(parts)
    is_lost = any(move.hears_itself for move in moves)
    code = "microphone-lost" if is_lost else f"{NOUN[moves[0].kind]}-moved"
    hint = _WAIT_HINT if is_lost else "To choose another one: edge-assistant devices"
    return DeviceLost(code, f"{text[0].upper()}{text[1:]}.", hint)
