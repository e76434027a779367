"""The log-mel picture of eight seconds of sound that Smart Turn looks at, in numpy alone.

It is Whisper's input (80 mel bands, 25 ms windows every 10 ms) with two differences that Smart Turn
was trained on: only the last 8 s count, with silence put in FRONT of shorter audio, and the
waveform is brought to zero mean and unit variance first.

Formulas: Whisper (Radford et al. 2022) takes log10, lifts everything to 8 decades under the
loudest cell, and scales by (x + 4) / 4. The mel scale is the one of Slaney's Auditory Toolbox
(1998): linear to 1 kHz, logarithmic above, every triangle of unit area.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize

SPAN_FRAMES: Final = 8 * SAMPLE_RATE
"""Frames of audio in one picture."""

NUM_MELS: Final = 80
NUM_COLUMNS: Final = 800
"""Columns of the picture, one every 10 ms."""

_FFT_FRAMES: Final = 400
_HOP_FRAMES: Final = 160

_LINEAR_HZ_PER_MEL: Final = 200.0 / 3.0
_KNEE_HZ: Final = 1000.0
_KNEE_MEL: Final = _KNEE_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP: Final = np.log(6.4) / 27.0
"""Above the knee, 27 mels span a factor of 6.4 in frequency."""


def log_mel(audio: Samples) -> NDArray[np.float32]:
    """Picture of the last 8 s of `audio`: float32, (80, 800), bands by columns of 10 ms.

    Audio: float32 mono, (frames,), 16000 Hz, any length. Pure; takes about 10 ms on one core.
    """
    recent = sanitize(audio[-SPAN_FRAMES:])
    span = np.zeros(SPAN_FRAMES, dtype=np.float32)
    span[SPAN_FRAMES - len(recent) :] = recent
    # The small term keeps digital silence finite; it is the training pipeline's own (1e-7).
    span = (span - span.mean()) / np.sqrt(span.var() + np.float32(1e-7))
    edge = _FFT_FRAMES // 2
    windows = sliding_window_view(np.pad(span, edge, mode="reflect"), _FFT_FRAMES)[::_HOP_FRAMES]
    spectrum = np.fft.rfft(windows[:NUM_COLUMNS] * _hann(), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mels = np.log10(np.maximum(power @ _mel_bands(), 1e-10))
    return np.asarray((np.maximum(mels, mels.max() - 8.0) + 4.0).T / 4.0, dtype=np.float32)


@cache
def _hann() -> NDArray[np.float64]:
    """Periodic Hann window: one period is the window's length, not one frame less."""
    turn = 2.0 * np.pi * np.arange(_FFT_FRAMES) / _FFT_FRAMES
    return np.asarray(0.5 - 0.5 * np.cos(turn), dtype=np.float64)


@cache
def _mel_bands() -> NDArray[np.float64]:
    """Weights (201 bins, 80 bands): overlapping triangles of unit area, evenly spaced in mels."""
    bins_hz = np.linspace(0.0, SAMPLE_RATE / 2, _FFT_FRAMES // 2 + 1)
    corners = _hz_of_mel(np.linspace(0.0, _mel_of_hz(SAMPLE_RATE / 2), NUM_MELS + 2))
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins_hz[:, None] - low) / (peak - low)
    falling = (high - bins_hz[:, None]) / (high - peak)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (high - low)), dtype=np.float64)


def _mel_of_hz(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return float(_KNEE_MEL + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _hz_of_mel(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL))
    return np.where(mels < _KNEE_MEL, mels * _LINEAR_HZ_PER_MEL, above)
