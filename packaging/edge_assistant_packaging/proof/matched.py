"""Finds a known signal in samples of any scale: normalised cross-correlation, by FFT in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample

RATES: Final = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
WINDOW_S: Final = 0.4
"""The signal is cut into windows of this length, so that a piece of twice that is always found."""
THRESHOLD: Final = 0.6
"""Of the correlation coefficient; docs/shipping/prove.md has what was seen on both sides of it."""

_BLOCK: Final = 1 << 16
_FLOOR: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The best place in some samples."""

    score: float
    """Magnitude of the correlation coefficient, 0 to 1."""
    rate: int
    """At which the samples look like the signal."""
    at: int
    """Frame in the samples."""


class Finder:
    """Looks for one signal at every rate of `RATES`; templates are made once."""

    def __init__(self, signal: Samples) -> None:
        self._templates = {rate: _windows(signal, rate) for rate in RATES}

    def best(self, samples: npt.NDArray[Any]) -> Match:
        """The best match; score 0 where the samples are shorter than a window.

        Args:
            samples: shape (frames,), any real dtype; what is not finite counts as 0.
        """
        found = Match(score=0.0, rate=0, at=0)
        for rate in RATES:
            match = self._at_rate(samples, rate)
            if match.score > found.score:
                found = match
        return found

    def _at_rate(self, samples: npt.NDArray[Any], rate: int) -> Match:
        templates = self._templates[rate]
        count, size = templates.shape
        best = Match(score=0.0, rate=rate, at=0)
        if len(samples) < size or count == 0:
            return best
        bins = _BLOCK if len(samples) > _BLOCK // 2 else 1 << (len(samples) + size).bit_length()
        spectra = np.conj(np.fft.rfft(templates, bins))
        step = bins - size + 1
        for first in range(0, len(samples) - size + 1, step):
            block = _clean(samples[first : first + bins])
            norms = _norms(block, size)
            if not len(norms) or not np.any(norms > 0):
                continue
            sums = np.fft.irfft(np.fft.rfft(block, bins) * spectra, bins)[:, : len(norms)]
            scores = np.divide(np.abs(sums), norms, out=np.zeros_like(sums), where=norms > 0)
            score = float(scores.max())
            if score > best.score:
                place = int(np.unravel_index(int(scores.argmax()), scores.shape)[1])
                best = Match(score=min(score, 1.0), rate=rate, at=first + place)
        return best


def _windows(signal: Samples, rate: int) -> npt.NDArray[np.float64]:
    """Shape (windows, frames): each without its mean, and of length 1."""
    there = resample(signal, SAMPLE_RATE, rate) if rate != SAMPLE_RATE else signal
    size = round(WINDOW_S * rate)
    count = len(there) // size
    cut = there[: count * size].reshape(count, size).astype(np.float64)
    cut -= cut.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    loud = lengths[:, 0] > 0.1 * lengths.max()  # a window of silence would match any silence
    windows: npt.NDArray[np.float64] = cut[loud] / lengths[loud]
    return windows


def _clean(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """As float64, without what is no number; bytes that are no float32 give absurd ones."""
    with np.errstate(all="ignore"):
        block = samples.astype(np.float64)
        block[~(np.abs(block) < 1e6)] = 0.0
    return block


def _norms(block: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Of every window of `size` frames without its mean; 0 where there is only rounding."""
    ones = np.concatenate([[0.0], np.cumsum(block)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(block))])
    total = ones[size:] - ones[:-size]
    power = squares[size:] - squares[:-size] - np.square(total) / size
    floor = _FLOOR * max(float(squares[-1]), 1e-300)
    norms: npt.NDArray[np.float64] = np.sqrt(np.where(power > floor, power, 0.0))
    return norms
