"""What left the loudspeaker, looked up by when it did.

Microphone and loudspeaker run on two clocks, so the order of two queues says nothing of which block
was heard when: only the cards' time stamps do.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.resample import Resampler
from edge_assistant.audio.ring import FrameRing, HistoryRing

KEPT_MS: Final = 2_000
"""How far back the loudspeaker can be looked up."""

MAX_SLIP_MS: Final = 8
"""Time stamps tremble by a few milliseconds. A reading place that is further off than this jumps;
one that is nearer is led back by a frame a block at most, which is more than two clocks ever
drift."""

TRUSTED_READINGS: Final = 100
"""That the two clocks agree is believed as firmly as 1 s of stamps."""

MAX_DRIFT_FRAMES: Final = 0.1
"""Of a block, 600 ppm: no two crystals differ by more."""

EXACT_FRAMES: Final = 1e-4
"""Cards that count frames, files and pipes, have stamps without a fault but that of the floats."""

SETTLED_READINGS: Final = 800
"""The place and the pace of reading are those of the straight line through the stamps so far, by
least squares, and after 8 s one that forgets: stamps that tremble hardly move it, and clocks that
drift do not leave it behind."""


class EchoReference:
    """The loudspeaker's sound at 16 kHz, addressed by the time at which it was emitted.

    `note` belongs to the card's callback: it copies and stores one tuple, without a lock. `read`
    belongs to the `ears` thread.

    Args:
        sample_rate: of the playback side, Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._ring = FrameRing(frames_of_ms(KEPT_MS, sample_rate))
        self._resampler = Resampler(sample_rate, SAMPLE_RATE, "QQ")
        self._line = HistoryRing(frames_of_ms(KEPT_MS))
        self._anchor: tuple[int, float] | None = None
        """(frame, time): that frame of the playback side leaves the loudspeaker at that time."""
        self._scratch = np.zeros(frames_of_ms(KEPT_MS, sample_rate), dtype=np.float32)
        self._next: float | None = None
        """Where the next reading begins, in frames of 16 kHz, if time goes on evenly."""
        self._drift = 0.0
        """By how many frames more than it has a block of the microphone is read."""
        self._readings = 0
        """Since the reading place last jumped."""
        self.jumps = 0
        """How often it did; who has learnt when the echo comes has to learn it anew."""

    def note(self, out: Samples, dac_time_s: float) -> None:
        """Callback: `out`, float32 (frames,), leaves the loudspeaker from `dac_time_s` on."""
        self._anchor = (self._ring.written_frames, dac_time_s)
        self._ring.write(out)

    def read(self, time_s: float, frames: int) -> Samples:
        """What was emitted from `time_s` on: float32 (frames,) at 16 kHz.

        What is not known (too long ago, not yet written, nothing played) is silence.
        """
        given = self._ring.read_into(self._scratch)
        ready = self._resampler.process(self._scratch[:given])
        for first in range(0, len(ready), SAMPLE_RATE):  # the line takes less than it can hold
            self._line.append(ready[first : first + SAMPLE_RATE])
        begin, step = self._lead(time_s, frames)
        if begin is None:
            return np.zeros(frames, dtype=np.float32)
        self._next = begin + frames + step
        first = math.floor(begin)
        if begin == first and not step:
            return self._whole(first, frames)
        places = begin - first + np.arange(frames) * (1.0 + step / frames)
        return _interpolated(self._whole(first - 1, frames + 4), places + 1.0)

    def _lead(self, time_s: float, frames: int) -> tuple[float | None, float]:
        """(place, step): the frame of the line that was emitted at `time_s`, None before anything
        was; and by how much more than `frames` to go on from there."""
        anchor = self._anchor
        if anchor is None:
            return None, 0.0
        frame, at_s = anchor
        exact = frame * SAMPLE_RATE / self._sample_rate + (time_s - at_s) * SAMPLE_RATE
        if self._next is None or abs(exact - self._next) > frames_of_ms(MAX_SLIP_MS):
            self.jumps += self._next is not None
            self._readings, self._drift = 0, 0.0
            return float(round(exact)), 0.0
        off = exact - self._next
        if abs(off) < EXACT_FRAMES and not self._drift:
            return self._next, 0.0
        self._readings += 1
        count = min(self._readings + TRUSTED_READINGS, SETTLED_READINGS)
        drift = self._drift + 6.0 / (count * (count + 1)) * off
        self._drift = min(max(drift, -MAX_DRIFT_FRAMES), MAX_DRIFT_FRAMES)
        step = self._drift + 2.0 * (2 * count - 1) / (count * (count + 1)) * off
        return self._next, min(max(step, -1.0), 1.0)

    def _whole(self, begin: int, frames: int) -> Samples:
        """The line from `begin` on, silence where there is none: float32 (frames,)."""
        sound = self._line.read(max(0, begin), max(0, begin + frames))
        if len(sound) == frames:
            return sound
        # `read` gives what there is of the stretch: put it where it belongs.
        padded = np.zeros(frames, dtype=np.float32)
        if len(sound):
            oldest = max(0, self._line.end_frames - frames_of_ms(KEPT_MS))
            offset = max(0, oldest - begin, -begin)
            padded[offset : offset + len(sound)] = sound
        return padded


def _interpolated(sound: Samples, places: NDArray[np.floating[Any]]) -> Samples:
    """`sound` between its frames, by the cubic through the four around each place.

    A place may lie between 1 and len(sound) - 2.
    """
    first = np.floor(places).astype(np.intp)
    t = places - first
    before, here, there, beyond = (sound[first + k] for k in (-1, 0, 1, 2))
    value = (
        before * (-t * (t - 1.0) * (t - 2.0) / 6.0)
        + here * ((t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0)
        + there * (-(t + 1.0) * t * (t - 2.0) / 2.0)
        + beyond * ((t + 1.0) * t * (t - 1.0) / 6.0)
    )
    return np.asarray(value, dtype=np.float32)
