"""The ears of a configuration, and what cleans their microphone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edge_assistant.audio.card import SoundCard
from edge_assistant.audio.echo.canceller import EchoCanceller
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.echo.system import system_cancels_echo
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import SampleClock
from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.pipeline.conductor import Conductor
from edge_assistant.pipeline.ears import Ears
from edge_assistant.pipeline.loading import Engines
from edge_assistant.trace import EventLog
from edge_assistant.vad.segmenter import Segmenter

Report = Callable[[EdgeAssistantError], None]

_UNTOLD_MS: Final = 500
"""More than what passes from a window of speech to a floor that knows of it."""


def open_canceller(config: Config, card: SoundCard) -> EchoCanceller | None:
    """The echo canceller that the configuration asks for; None for none.

    With `auto` it leaves the microphone alone where the sound system cancels echoes: two
    cancellers in series each take the other's work for a voice.

    Raises:
        AudioError: it cannot be loaded.
    """
    settings = config.audio
    mode = settings.echo_canceller
    if mode == "off":
        return None
    device = card.name.partition(" / ")[0]
    # What is in lock step is a file or a pipe, and passes no sound server.
    if (
        mode == "auto"
        and not card.is_lock_step
        and system_cancels_echo(settings.input_device, device)
    ):
        mode = "system"
    return EchoCanceller(
        EchoReference(card.playback_rate),
        mode=mode,
        noise_suppression=settings.noise_suppression,
        gain_control=settings.gain_control,
    )


def make_ears(
    config: Config,
    card: SoundCard,
    engines: Engines,
    *,
    playout: Playout,
    echo: EchoCanceller | None,
    clock: SampleClock,
    conductor: Conductor,
    on_error: Report,
    on_failure: Report,
) -> Ears:
    """Ears for the card; they post what they hear to the conductor."""
    rules, vad = config.turns, config.vad
    return Ears(
        capture_rate=card.capture_rate,
        clock=clock,
        playout=playout,
        vad=engines.vad,
        onset_vad=engines.onset_vad,
        segmenter=Segmenter(
            speech_threshold=vad.speech_threshold,
            silence_threshold=vad.silence_threshold,
            min_speech_ms=rules.min_speech_ms,
            pause_ms=rules.pause_ms,
            onset_ms=rules.onset_ms,
        ),
        echo=echo,
        history_ms=rules.max_utterance_ms + rules.preroll_ms + rules.max_wait_ms + 5_000,
        beginning_ms=rules.preroll_ms + rules.min_speech_ms + _UNTOLD_MS,
        post=conductor.post,
        post_playout=conductor.post,
        on_error=on_error,
        on_failure=on_failure,
    )


class EchoLog:
    """Makes an `echo` event of every stretch of sound that the canceller has worked through, and
    one at the start where the sound system cancels in its place."""

    def __init__(self, echo: EchoCanceller | None, log: EventLog, clock: SampleClock) -> None:
        self._echo, self._log, self._clock = echo, log, clock

    def tell(self) -> None:
        """Emit what has come up; called once a tick, on the `floor` thread."""
        report = self._echo.take_report() if self._echo is not None else None
        if report is not None:
            self._log.emit(
                "echo",
                self._clock.now_frames(),
                mode=report.mode,
                detected=report.is_echo,
                delay_ms=_rounded(report.delay_ms),
                erle_db=_rounded(report.erle_db),
                echo_dbfs=_rounded(report.echo_dbfs),
            )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
