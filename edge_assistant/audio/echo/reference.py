"""What left the loudspeaker, looked up by when it did.

Microphone and loudspeaker run on two clocks, so the order of two queues says nothing of which block
was heard when: only the cards' time stamps do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.resample import Resampler
from edge_assistant.audio.ring import FrameRing, HistoryRing

KEPT_MS: Final = 2_000
"""How far back the loudspeaker can be looked up."""

MAX_SLIP_MS: Final = 8
"""Time stamps tremble by a few milliseconds. A reading place that is further off than this jumps;
one that is nearer is led back by a frame a block, which is more than two clocks ever drift."""


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
        self._next: int | None = None
        """Where the next reading begins, in frames of 16 kHz, if time goes on evenly."""

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
        begin = self._place(time_s)
        if begin is None:
            return np.zeros(frames, dtype=np.float32)
        self._next = begin + frames
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

    def _place(self, time_s: float) -> int | None:
        """Frame of the line that was emitted at `time_s`; None before anything was."""
        anchor = self._anchor
        if anchor is None:
            return None
        frame, at_s = anchor
        exact = frame * SAMPLE_RATE / self._sample_rate + (time_s - at_s) * SAMPLE_RATE
        wanted = round(exact)
        if self._next is None or abs(wanted - self._next) > frames_of_ms(MAX_SLIP_MS):
            return wanted
        return self._next + int(np.sign(wanted - self._next))
