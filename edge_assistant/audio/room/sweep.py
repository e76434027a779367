"""A sweep, and the way back from its recording to the impulse response of the room.

Exponential sweep and inverse filter after A. Farina, "Simultaneous measurement of impulse response
and distortion with a swept-sine technique", AES 108 (2000). What a loudspeaker adds in harmonics
ends up before the response and not in it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db

DURATION_S: Final = 1.0
LOW_HZ: Final = 100.0
HIGH_HZ: Final = 7_000.0
"""Speech is in between, and the ears end at 8 kHz."""

PEAK_DBFS: Final = -12.0
"""Below the peaks of a spoken reply: nobody is startled, and what carries speech carries this."""

FADE_IN_S: Final = 0.03
FADE_OUT_S: Final = 0.01
"""Without fades the response would ring at both ends of the band, and the loudspeaker click."""

_OCTAVE_S: Final = DURATION_S / math.log(HIGH_HZ / LOW_HZ)
"""Time in which the frequency grows by the factor e."""

Response = NDArray[np.float64]
"""Impulse response: float64 (lags,), 16 kHz."""


def sweep(sample_rate: int) -> Samples:
    """The sweep at `sample_rate` Hz: float32 (frames,), `DURATION_S` long."""
    at_s = np.arange(round(DURATION_S * sample_rate)) / sample_rate
    wave = np.sin(2.0 * np.pi * LOW_HZ * _OCTAVE_S * np.expm1(at_s / _OCTAVE_S))
    wave *= _rise(at_s / FADE_IN_S) * _rise((DURATION_S - at_s) / FADE_OUT_S)
    return np.asarray(gain_of_db(PEAK_DBFS) * wave, dtype=np.float32)


def impulse_response(recording: Samples) -> Response:
    """The response, whose value k is what comes of a sweep that begins at frame k of `recording`.

    A way that changes nothing gives a pulse of energy 1, so the energy of a response is the gain of
    its way, between `LOW_HZ` and `HIGH_HZ`.

    Args:
        recording: float32 (frames,), 16 kHz.
    """
    inverse = _inverse()
    return _convolve(np.asarray(recording, dtype=np.float64), inverse)[len(inverse) - 1 :]


@cache
def _inverse() -> NDArray[np.float64]:
    """The sweep backwards, as much louder at each frequency as the sweep was quick to pass it."""
    wave = sweep(SAMPLE_RATE).astype(np.float64)
    falling = np.exp(-np.arange(len(wave)) / SAMPLE_RATE / _OCTAVE_S)
    inverse = wave[::-1] * falling
    return np.asarray(inverse / np.sqrt(np.sum(np.square(_convolve(wave, inverse)))))


def _convolve(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(left) + len(right) - 1
    bins = 1 << (size - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(left, bins) * np.fft.rfft(right, bins), bins)[:size]


def _rise(progress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a cosine, from 0 up to 1."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(progress, 0.0, 1.0)))
