"""Plays the sweeps on a sound card and takes down what the microphone makes of them."""

from __future__ import annotations

import threading
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np

from edge_assistant.audio.card import SoundCard
from edge_assistant.audio.format import Samples
from edge_assistant.audio.room.sweep import DURATION_S, sweep
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import Clock, MonotonicClock
from edge_assistant.errors import AudioError

SWEEPS: Final = 2
"""Two, to see whether they come back alike."""

STEADY_S: Final = 1.0
"""Before anything counts, the time stamps of both streams must have kept the pace of their frames
for so long. PulseAudio's begin up to 2 s wrong, and the card smooths them over 2 s more."""

STEADY_MS: Final = 1.0
"""What keeps the pace has strayed by no more than this."""

SETTLE_S: Final = 10.0
"""Stamps that are not steady by then never will be: the measurement shows it."""

QUIET_S: Final = 1.0
"""Silence from us, to hear the room's own noise in."""

TAIL_S: Final = 1.3
"""Silence behind each sweep: its delay and the room's reverberation must end in it."""

PROGRAM_S: Final = QUIET_S + SWEEPS * (DURATION_S + TAIL_S)

_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that came from the microphone."""

    first_frame: int
    time_s: float
    """When its first frame was at the microphone, by the card."""
    received_s: float
    """When we were given it, by our clock."""
    samples: Samples
    """float32 (frames,) at the capture rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """One sweep that was played."""

    time_s: float
    """When its first frame left the loudspeaker, by the card."""
    handed_s: float
    """When we gave it away, by our clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Everything that was heard, and when what was played."""

    sample_rate: int
    """Hz of the blocks."""
    blocks: tuple[Block, ...]
    emissions: tuple[Emission, ...]
    breaks: int
    """How often sound was lost during the program (over- and underflows of the card)."""


def record(card: SoundCard, token: CancelToken, clock: Clock | None = None) -> Recording:
    """Play the program once: silence, then `SWEEPS` sweeps.

    Takes `PROGRAM_S` and the time in which the card's time stamps become steady. The card is
    started and stopped here. Cancelling the token stops the sound within a block.

    Raises:
        AudioError: the device cannot be opened, was lost, or stands still.
        TurnCancelled: the token.
    """
    clock = clock or MonotonicClock()
    session = _Session(card, clock)
    unsubscribe = token.on_cancel(session.hush)
    try:
        card.start(session.on_capture, session.on_playback, session.on_lost)
        give_up_s = clock.now_s() + SETTLE_S + PROGRAM_S + _PATIENCE_S
        while not session.changed.wait(_LOOK_S):
            token.raise_if_cancelled()
            if clock.now_s() > give_up_s:
                raise AudioError(
                    "sound-stalled",
                    f"{card.name} was opened but does not play or record steadily.",
                    "Restart the sound server, or choose: edge-assistant devices",
                )
    finally:
        unsubscribe()
        card.stop()
    token.raise_if_cancelled()
    return session.result()


class _Pace:
    """Whether the time stamps of a stream keep the pace of its frames."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._offset_s = float("inf")
        self._since_frame = 0
        self.is_steady = False

    def note(self, first_frame: int, time_s: float) -> None:
        offset_s = time_s - first_frame / self._sample_rate
        if abs(offset_s - self._offset_s) > STEADY_MS / 1000.0:
            self._offset_s, self._since_frame = offset_s, first_frame
        self.is_steady = first_frame - self._since_frame >= STEADY_S * self._sample_rate


class _Session:
    """The two callbacks, and what they write down. Neither waits."""

    def __init__(self, card: SoundCard, clock: Clock) -> None:
        self.changed = threading.Event()
        """The program is over, or the device is lost."""
        self._card, self._clock = card, clock
        self._rate = card.playback_rate
        self._paces = (_Pace(card.capture_rate), _Pace(card.playback_rate))
        self._program, self._starts = _program(self._rate)
        self._begin: int | None = None
        """The frame of the playback side with which the program begins."""
        self._breaks_before = 0
        self._is_hushed = False
        self._blocks: list[Block] = []
        self._emissions: list[Emission] = []
        self._end_s = float("inf")
        self._loss: Exception | None = None
        self._is_lost = False

    def hush(self) -> None:
        self._is_hushed = True

    def on_capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        now_s = self._clock.now_s()
        self._paces[0].note(first_frame, time_s)
        self._blocks.append(
            Block(first_frame=first_frame, time_s=time_s, received_s=now_s, samples=block.copy())
        )
        if time_s > self._end_s:
            self.changed.set()

    def on_playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        now_s = self._clock.now_s()
        self._paces[1].note(first_frame, dac_time_s)
        out[:] = 0.0
        if self._begin is None and self._is_settled(first_frame):
            self._begin = first_frame
            self._breaks_before = self._breaks()
        if self._begin is None or self._is_hushed:
            return
        at = first_frame - self._begin
        piece = self._program[at : at + len(out)]
        out[: len(piece)] = piece
        for start in self._starts:
            if at <= start < at + len(out):
                begins_s = dac_time_s + (start - at) / self._rate
                self._emissions.append(Emission(time_s=begins_s, handed_s=now_s))
                if len(self._emissions) == SWEEPS:
                    self._end_s = begins_s + DURATION_S + TAIL_S

    def on_lost(self, error: Exception | None) -> None:
        if not self.changed.is_set():  # what comes later takes nothing from the recording
            self._loss, self._is_lost = error, True
            self.changed.set()

    def result(self) -> Recording:
        if self._loss is not None:
            raise self._loss
        if self._is_lost:
            raise AudioError("sound-ended", f"{self._card.name} ended before the measurement did.")
        return Recording(
            sample_rate=self._card.capture_rate,
            blocks=tuple(self._blocks),
            emissions=tuple(self._emissions),
            breaks=self._breaks() - self._breaks_before,
        )

    def _breaks(self) -> int:
        return sum(astuple(self._card.xruns))

    def _is_settled(self, first_frame: int) -> bool:
        return all(pace.is_steady for pace in self._paces) or first_frame > SETTLE_S * self._rate


def _program(sample_rate: int) -> tuple[Samples, list[int]]:
    """What is played once all is steady, and at which of its frames the sweeps begin."""
    wave = sweep(sample_rate)
    round_s = DURATION_S + TAIL_S
    starts = [round((QUIET_S + n * round_s) * sample_rate) for n in range(SWEEPS)]
    program = np.zeros(round(PROGRAM_S * sample_rate), dtype=np.float32)
    for start in starts:
        program[start : start + len(wave)] = wave
    return program, starts
