"""Log-mel spectrograms, and how far two of them are apart when their times are aligned."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample

Mel = NDArray[np.float32]
"""(frames, bands), in dB; one frame every `HOP_FRAMES`."""

FFT_FRAMES: Final = 512
WINDOW_FRAMES: Final = SAMPLE_RATE * 25 // 1000
HOP_FRAMES: Final = SAMPLE_RATE * 10 // 1000
BANDS: Final = 80
LOWEST_HZ: Final = 50.0
HIGHEST_HZ: Final = 8_000.0
"""25 ms every 10 ms, 80 bands up to 8 kHz: what speech recognition and synthesis use."""

RANGE_DB: Final = 60.0
"""What is so far below the loudest spot of a sound counts as silence."""


def log_mel(samples: Samples, sample_rate: int) -> Mel:
    """Power in dB in mel bands, from the loudest spot down to `RANGE_DB` below it.

    The loudest spot itself is kept, so a voice that is quieter as a whole is far away.

    Args:
        samples: float32, (frames,), not empty.
        sample_rate: Hz; the sound is brought to 16 kHz first, so that voices of different rates
            can be held side by side.
    """
    sound = resample(samples, sample_rate, SAMPLE_RATE)
    sound = np.pad(sound, (0, max(0, WINDOW_FRAMES - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(sound, WINDOW_FRAMES)[::HOP_FRAMES]
    hann = np.hanning(WINDOW_FRAMES + 1)[:-1]
    power = np.abs(np.fft.rfft(windows * hann, FFT_FRAMES, axis=1)) ** 2
    level_db = 10.0 * np.log10(np.maximum(power @ _filters().T, 1e-12))
    return np.asarray(np.maximum(level_db, level_db.max() - RANGE_DB), dtype=np.float32)


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles that overlap by half, evenly spaced in mel (O'Shaughnessy 1987): (bands, bins)."""
    ends = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    corners = _hz(np.linspace(ends[0], ends[1], BANDS + 2))
    bins = np.fft.rfftfreq(FFT_FRAMES, 1.0 / SAMPLE_RATE)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    filters = np.maximum(0.0, np.minimum(rising, falling))
    # The lowest triangles are narrower than a bin: each has at least the one nearest to it.
    nearest = np.abs(bins - middle).argmin(axis=1)
    rows = np.arange(BANDS)
    filters[rows, nearest] = np.maximum(filters[rows, nearest], 1e-3)
    return np.asarray(filters)


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + hz / 700.0)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def distance_db(reference: Mel, other: Mel) -> float:
    """Mean absolute difference in dB over all bands, along the best alignment in time.

    Aligned by dynamic time warping with single steps (Sakoe and Chiba 1978, no slope limit), so
    that two voices that pause or hurry differently are not told apart by that alone; how long they
    take is a figure of its own.
    """
    costs = np.stack([np.abs(other - frame).mean(axis=1) for frame in reference])
    return warped(costs.astype(np.float64))


def warped(costs: NDArray[np.float64]) -> float:
    """Mean cost along the cheapest path from corner to corner.

    Args:
        costs: (n, m), of each frame of the one against each of the other.
    """
    n, m = costs.shape
    total = np.full((n + 1, m + 1), np.inf)
    steps = np.zeros((n + 1, m + 1))
    total[0, 0] = 0.0
    for diagonal in range(2, n + m + 1):  # all cells of one depend on the two before it only
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        before = np.stack([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        walked = np.stack([steps[i - 1, j - 1], steps[i - 1, j], steps[i, j - 1]])
        best, columns = before.argmin(axis=0), np.arange(len(i))
        total[i, j] = costs[i - 1, j - 1] + before[best, columns]
        steps[i, j] = 1.0 + walked[best, columns]
    return float(total[n, m] / steps[n, m])
