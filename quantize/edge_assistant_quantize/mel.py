"""Whisper's view of sound: mel filters and the log-mel picture of 30 seconds, in numpy alone.

The filters are librosa's (Slaney's mel scale and triangles of unit area, 0 to 8 kHz), which OpenAI
ships as `mel_filters.npz` and Hugging Face computes; whisper.cpp takes them from its model file.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples

SPAN_FRAMES: Final = 30 * SAMPLE_RATE
N_FFT: Final = 400
HOP_FRAMES: Final = 160

_HZ_PER_MEL: Final = 200.0 / 3.0
"""Below the knee."""
_KNEE_HZ: Final = 1000.0
_KNEE_MEL: Final = 15.0
_LOG_STEP: Final = np.log(6.4) / 27.0
"""Above it, 27 mels span a factor of 6.4 in frequency."""


def mel_filters(n_mels: int) -> NDArray[np.float32]:
    """Weights (n_mels, 201) of the bins of a 400-point transform at 16 kHz."""
    top_mel = _KNEE_MEL + np.log(SAMPLE_RATE / 2 / _KNEE_HZ) / _LOG_STEP
    mels = np.linspace(0.0, top_mel, n_mels + 2)
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL))
    corners = np.where(mels < _KNEE_MEL, mels * _HZ_PER_MEL, above)
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
    areas = 2.0 / (high - low)
    return np.asarray(np.maximum(0.0, triangles) * areas, dtype=np.float32)


def log_mel(audio: Samples, filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Picture (bands, 3000) of the first 30 s, one column every 10 ms; silence fills what is short.

    Audio: float32 mono, (frames,), 16000 Hz. Formula: Radford et al. 2022, as in OpenAI's
    `log_mel_spectrogram`: log10, at most 8 decades below the loudest cell, then (x + 4) / 4.
    """
    span = np.zeros(SPAN_FRAMES, dtype=np.float64)
    span[: len(audio)] = audio[:SPAN_FRAMES]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    padded = np.pad(span, N_FFT // 2, mode="reflect")
    windows = sliding_window_view(padded, N_FFT)[::HOP_FRAMES][: SPAN_FRAMES // HOP_FRAMES]
    power = np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2
    mels = np.log10(np.maximum(filters.astype(np.float64) @ power.T, 1e-10))
    return np.asarray((np.maximum(mels, mels.max() - 8.0) + 4.0) / 4.0, dtype=np.float32)
