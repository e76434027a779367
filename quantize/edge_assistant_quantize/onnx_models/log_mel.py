"""How far two sounds are apart to the ear, in numpy: the distance of their log-mel pictures."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

NUM_MELS: Final = 80
WINDOW_FRAMES: Final = 1024
HOP_FRAMES: Final = 256
FLOOR_DB: Final = 80.0
"""Cells that are further below the reference's loudest one count as silence."""


def log_mel_distance_db(
    reference: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int
) -> float:
    """Mean absolute difference of two log-mel pictures, dB; 0 is the same sound.

    80 mel bands (HTK's scale, triangles of peak 1, 0 to half the rate) of Hann windows of 1024
    frames every 256, power in dB. Of sounds of different length only the common beginning counts.
    """
    frames = min(len(reference), len(other))
    pictures = [_power(sound[:frames], sample_rate) for sound in (reference, other)]
    floor = max(float(pictures[0].max()) * 10 ** (-FLOOR_DB / 10), 1e-20)
    levels = [10 * np.log10(np.maximum(picture, floor)) for picture in pictures]
    return float(np.abs(levels[0] - levels[1]).mean())


def _power(sound: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """(columns, bands)."""
    padded = np.pad(sound.astype(np.float64), WINDOW_FRAMES // 2)
    windows = sliding_window_view(padded, WINDOW_FRAMES)[::HOP_FRAMES]
    turn = 2 * np.pi * np.arange(WINDOW_FRAMES) / WINDOW_FRAMES
    spectrum = np.fft.rfft(windows * (0.5 - 0.5 * np.cos(turn)), axis=1)
    return np.asarray((np.abs(spectrum) ** 2) @ _bands(sample_rate), dtype=np.float64)


@cache
def _bands(sample_rate: int) -> NDArray[np.float64]:
    """Weights (bins, bands)."""
    highest = 2595 * np.log10(1 + sample_rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, NUM_MELS + 2) / 2595) - 1)
    bins_hz = np.linspace(0, sample_rate / 2, WINDOW_FRAMES // 2 + 1)[:, None]
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), dtype=np.float64)
