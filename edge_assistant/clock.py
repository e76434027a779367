"""Time, injected: the product never asks the wall clock for a duration."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only go forward."""

    def now_s(self) -> float:
        """Monotonic seconds from an arbitrary origin; callable from any thread."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        return time.monotonic()


class SampleClock:
    """The time of the conversation: frames captured so far, at `sample_rate`.

    `anchor` is called by the thread that captures, `now_frames` by any other. Between two
    blocks the position is extrapolated with the monotonic clock, but never by more than
    `max_ahead_frames`: a caller of the pipe card paces the blocks himself and may be slower
    than real time.
    """

    def __init__(self, sample_rate: int, max_ahead_frames: int, clock: Clock) -> None:
        self.sample_rate = sample_rate
        self._max_ahead_frames = max_ahead_frames
        self._clock = clock
        self._anchor = (0, clock.now_s())

    def anchor(self, frames: int) -> None:
        """Note that `frames` frames have been captured just now."""
        self._anchor = (frames, self._clock.now_s())  # one store: no lock in a card callback

    def now_s(self) -> float:
        """Seconds of the clock beneath, for durations."""
        return self._clock.now_s()

    @property
    def captured_frames(self) -> int:
        """Frames captured, without what has passed since."""
        return self._anchor[0]

    def now_frames(self) -> int:
        """Frames captured, plus what has passed since (at most `max_ahead_frames`)."""
        frames, at_s = self._anchor
        ahead = int((self._clock.now_s() - at_s) * self.sample_rate)
        return frames + min(max(ahead, 0), self._max_ahead_frames)
