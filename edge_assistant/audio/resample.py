"""From the rate a device or a voice has to the rate that the next room wants."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.errors import AudioFormatError

Quality = Literal["QQ", "LQ", "MQ", "HQ"]
"""soxr's recipes: QQ, cubic and without any lag, for what nobody listens to; LQ for the live
microphone, where lag counts; HQ for files and voices."""

MIN_RATE: Final = 8_000
MAX_RATE: Final = 192_000


class Resampler:
    """A stream of mono blocks from one sample rate to another (libsoxr).

    Position: output frame n is the sound at input frame n * from_rate / to_rate; nothing is
    shifted, and after `last` the output has round(frames_in * to_rate / from_rate) frames. Frames
    only come late, and in bursts, because soxr filters in blocks. Longest lag with 10 ms blocks:

        48000 -> 16000   LQ 20 ms   MQ 38 ms   HQ 37 ms
        44100 -> 16000   LQ 22 ms   MQ 40 ms   HQ 39 ms
        22050 -> 48000   LQ  9 ms   MQ 42 ms   HQ 42 ms

    With equal rates it costs nothing: `process` gives back the very block it was given.

    Args:
        from_rate: Hz of what goes in, 8000 to 192000.
        to_rate: Hz of what comes out, 8000 to 192000.
        quality: see `Quality`.

    Thread: any, one at a time. Allocates its result; a microphone's callback should leave it to the
    thread that reads the ring.

    Raises:
        AudioFormatError: a rate out of bounds.
    """

    def __init__(self, from_rate: int, to_rate: int, quality: Quality = "HQ") -> None:
        for rate in (from_rate, to_rate):
            if not MIN_RATE <= rate <= MAX_RATE:
                raise AudioFormatError(
                    "sample-rate-unsupported",
                    f"A sample rate of {rate} Hz cannot be converted.",
                    f"Use audio between {MIN_RATE} and {MAX_RATE} Hz.",
                )
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._stream: Any = None
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, "float32", quality)

    @property
    def pending_frames(self) -> int:
        """Frames at `to_rate` that are owed for what has gone in, and come later."""
        return 0 if self._stream is None else round(self._stream.delay())

    def process(self, block: Samples, last: bool = False) -> Samples:
        """The frames that are ready once `block` has gone in; often none, sometimes many.

        Audio: float32 (frames,) at `from_rate` in, float32 (frames,) at `to_rate` out. Where two
        frames differ by more than full scale the filter may overshoot [-1, 1] a little.
        With `last` the pending frames come too, and the next block begins a new stream.
        """
        if self._stream is None:
            return block
        ready = self._stream.resample_chunk(np.asarray(block, dtype=np.float32), last=last)
        if last:
            self._stream.clear()
        return np.asarray(ready, dtype=np.float32)


def resample(samples: Samples, from_rate: int, to_rate: int, quality: Quality = "HQ") -> Samples:
    """All of `samples` at another rate: round(frames * to_rate / from_rate) frames.

    Raises:
        AudioFormatError: a rate out of bounds.
    """
    return Resampler(from_rate, to_rate, quality).process(samples, last=True)
