"""The one audio format of the product, and the way in and out of it.

Inside: mono float32 in [-1, 1], shape (frames,), 16000 Hz towards the ears. PCM16 exists at the
    edges only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio: float32, shape (frames,), nominally in [-1, 1]."""

SAMPLE_RATE: Final = 16_000
"""Hz of everything that listens: VAD, STT, turn detector, and the sample clock."""

BLOCK_MS: Final = 10
BLOCK_FRAMES: Final = SAMPLE_RATE * BLOCK_MS // 1000
"""Frames of one tick of the floor (10 ms), and the shortest window of webrtcvad."""


def frames_of_ms(duration_ms: int | float, sample_rate: int = SAMPLE_RATE) -> int:
    """Whole frames in `duration_ms`, rounded down."""
    return int(duration_ms * sample_rate // 1000)


def from_pcm16(data: bytes) -> Samples:
    """Little-endian PCM16 to float32. An odd last byte is dropped."""
    usable = len(data) - len(data) % 2
    return np.frombuffer(data[:usable], dtype="<i2").astype(np.float32) / 32768.0


def to_pcm16(samples: Samples) -> bytes:
    """Float32 to little-endian PCM16; what lies outside [-1, 1] is clipped, NaN becomes silence."""
    scaled = np.clip(np.nan_to_num(samples) * 32768.0, -32768, 32767)
    return bytes(np.rint(scaled).astype("<i2").tobytes())


def to_mono(samples: NDArray[np.float32]) -> Samples:
    """Average the channels of (frames, channels); (frames,) passes through."""
    if samples.ndim == 1:
        return samples
    return np.asarray(samples.mean(axis=1), dtype=np.float32)


def sanitize(samples: Samples) -> Samples:
    """NaN and infinities to 0, then into [-1, 1]: native engines must never see either.

    Sound that is in order, as nearly all is, comes back as it is and is not copied.
    """
    if len(samples) and not np.abs(samples).max() <= 1.0:  # a NaN fails every comparison
        samples = np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
    return samples.astype(np.float32, copy=False)
