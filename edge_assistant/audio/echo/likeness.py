"""Whether two sounds have anything in common, at any delay: an answer within a second, where a
model of the way from one to the other is still being learnt.

The generalised cross-correlation, its spectrum whitened almost to the full (rho-PHAT): after
C. Knapp and G. Carter, "The generalized correlation method for estimation of time delay" (IEEE
Transactions on Acoustics, Speech and Signal Processing 24, 1976).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms

WHITENING: Final = 0.8
"""1 would give a bin that holds nothing but noise as much weight as one that holds a voice."""

BAND_HZ: Final = (300.0, 6000.0)
"""Below is hum, which is alike everywhere."""

LATEST_MS: Final = 400
EARLIEST_MS: Final = -200
"""Delays looked at; there is no echo before the sound, so those say what chance can do."""


def likeness(near: Samples, far: Samples) -> float:
    """How far the delay at which both are most alike stands out: its correlation over the median
    one. 5 to 15 for two voices that have nothing to do with each other, 17 and more for a
    voice and its echo. 1 to 2 ms for a second of sound; any thread.

    Args:
        near: float32 (frames,), 16 kHz.
        far: of the same time and length.
    """
    latest, earliest = frames_of_ms(LATEST_MS), frames_of_ms(-EARLIEST_MS)
    size = 1 << (len(near) + latest + earliest - 1).bit_length()
    cross = np.fft.rfft(near, size) * np.conj(np.fft.rfft(far, size))
    cross /= np.abs(cross) ** WHITENING + 1e-9
    hertz = np.arange(len(cross)) * (SAMPLE_RATE / size)
    cross[(hertz < BAND_HZ[0]) | (hertz > BAND_HZ[1])] = 0.0
    correlation = np.abs(np.fft.irfft(cross))
    after, before = correlation[:latest], correlation[-earliest:]
    return float(after.max() / (np.median(np.concatenate([after, before])) + 1e-12))
