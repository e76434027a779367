"""The two callbacks that PortAudio calls, and the little they keep.

They run on PortAudio's threads every few milliseconds: no locks, no logging, no waiting, nothing
allocated but the views of the device's buffer. Every attribute has one writer, the callback; the
watchdog and the statistics only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.card import OnCapture, OnPlayback
from edge_assistant.audio.format import Samples

Blocks = NDArray[np.float32]
"""A device buffer: float32 (frames, channels)."""

_PULL: Final = 0.005
_OFF_TRACK_S: Final = 0.1
_PLAUSIBLE_S: Final = 2.0


class SteadyTime:
    """Smooth times for the blocks of one stream.

    The stamps of ALSA's PulseAudio plugin come in bursts: three blocks of 10 ms with the same
    capture time, then 30 ms of nothing. Frames pass at an even pace, so the time of a block is that
    of the last one plus its length, pulled by 1/200 of the difference towards the stamp (a running
    mean at first). A stamp 100 ms off the track, or a break in the stream, starts a new track.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._blocks = 0
        self.next_s = 0.0
        """When the next block is due."""

    def stamp(self, frames: int, measured_s: float, broken: bool) -> float:
        """The time of the first of `frames` frames, whose raw stamp is `measured_s`."""
        off_s = measured_s - self.next_s
        if broken or self._blocks == 0 or abs(off_s) > _OFF_TRACK_S:
            at_s, self._blocks = measured_s, 1
        else:
            self._blocks += 1
            at_s = self.next_s + off_s * max(1.0 / self._blocks, _PULL)
        self.next_s = at_s + frames / self._sample_rate
        return at_s


def lag_s(at_s: float, current_s: float, fallback_s: float) -> float:
    """PortAudio's `at_s` as seconds after its `current_s`; `fallback_s` if the two make no sense.

    Only the difference is used, and put onto the monotonic clock: PortAudio's own clock is the wall
    clock on Linux, which may jump, and some drivers leave the fields 0.
    """
    lag = at_s - current_s
    plausible = at_s > 0.0 and current_s > 0.0 and abs(lag) < _PLAUSIBLE_S  # False for NaN
    return lag if plausible else fallback_s


class Side:
    """What capture and playback have in common.

    Args:
        sample_rate: Hz.
        block_frames: frames in each block of the device.
        on_error: called from the callback when the user's callback raises.
    """

    def __init__(
        self, sample_rate: int, block_frames: int, on_error: Callable[[Exception], None]
    ) -> None:
        self.sample_rate = sample_rate
        self.block_frames = block_frames
        self.position_frames = 0
        """Of the next block."""
        self.last_s = time.monotonic()
        """When the device last called."""
        self.is_live = False
        """Whether blocks reach the user of the card."""
        self.overflows = 0
        self.underflows = 0
        self._on_error = on_error
        self._times = SteadyTime(sample_rate)
        self._mono: Samples = np.zeros(block_frames, dtype=np.float32)
        self._latency_s = 0.0
        self._reopened = False

    def opened(self, latency_s: float) -> None:
        """A new stream feeds this side; call it before that stream starts."""
        self._latency_s = latency_s
        self._reopened = self.position_frames > 0
        self.last_s = time.monotonic()

    def _call(
        self, user: OnCapture | OnPlayback, block: Samples, first_frame: int, at_s: float
    ) -> bool:
        """Call the card's user; False where that raised."""
        try:
            user(block, first_frame, at_s)
        except Exception as error:  # a border: sounddevice would end the stream and say nothing
            self._on_error(error)
            return False
        return True


class CaptureSide(Side):
    """Hands the microphone's blocks on, as mono."""

    def __init__(
        self,
        sample_rate: int,
        block_frames: int,
        on_capture: OnCapture,
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__(sample_rate, block_frames, on_error)
        self._on_capture = on_capture
        self.zero_frames = 0
        """Length of the run of exact zeros that ends now; a real microphone always has noise."""

    def callback(self, indata: Blocks, frames: int, stamps: Any, status: Any) -> None:
        """For `sounddevice.InputStream`."""
        now_s = self.last_s = time.monotonic()
        is_overflow = bool(status) and bool(status.input_overflow)
        self.overflows += is_overflow
        if bool(status) and status.input_underflow:
            self.underflows += 1
        if not self.is_live:
            return
        lag = lag_s(stamps.inputBufferAdcTime, stamps.currentTime, -self._latency_s)
        due_s = self._times.next_s
        at_s = self._times.stamp(frames, now_s + lag, self._reopened or is_overflow)
        if self._reopened or is_overflow:  # the frame count is the sample clock: keep it true
            lost_frames = round((at_s - due_s) * self.sample_rate)
            if self.position_frames and lost_frames >= self.block_frames:
                self.position_frames += lost_frames
            self._reopened = False
        first_frame = self.position_frames
        self.position_frames += frames
        block = self._to_mono(indata, frames)
        self.zero_frames = 0 if block.any() else self.zero_frames + frames
        self._call(self._on_capture, block, first_frame, at_s)

    def _to_mono(self, indata: Blocks, frames: int) -> Samples:
        channels = indata.shape[1]
        if channels == 1:
            return indata[:, 0]
        mono = self._mono[:frames]
        np.add.reduce(indata, axis=1, out=mono)
        mono *= 1.0 / channels
        return mono


class PlaybackSide(Side):
    """Asks for the loudspeaker's blocks, and gives every channel the same.

    Positions count what was asked for, so they never jump: what a lost device had not yet played is
    gone, and the time of the next block says when.
    """

    def __init__(
        self,
        sample_rate: int,
        block_frames: int,
        on_playback: OnPlayback,
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__(sample_rate, block_frames, on_error)
        self._on_playback = on_playback

    def callback(self, outdata: Blocks, frames: int, stamps: Any, status: Any) -> None:
        """For `sounddevice.OutputStream`."""
        now_s = self.last_s = time.monotonic()
        is_underflow = bool(status) and bool(status.output_underflow)
        self.underflows += is_underflow
        if bool(status) and status.output_overflow:
            self.overflows += 1
        if not self.is_live:
            outdata.fill(0.0)
            return
        lag = lag_s(stamps.outputBufferDacTime, stamps.currentTime, self._latency_s)
        at_s = self._times.stamp(frames, now_s + lag, self._reopened or is_underflow)
        self._reopened = False
        first_frame = self.position_frames
        self.position_frames += frames
        out = outdata[:, 0] if outdata.shape[1] == 1 else self._mono[:frames]
        if not self._call(self._on_playback, out, first_frame, at_s):
            out.fill(0.0)  # rather silence than half a block
        if outdata.shape[1] > 1:
            outdata[:] = out[:, np.newaxis]
