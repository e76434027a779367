"""Keeps what is only the rest of an echo from being judged as speech."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.echo.coupling import Coupling
from edge_assistant.audio.echo.path import WINDOW_FRAMES, Explained, Values
from edge_assistant.audio.format import BLOCK_FRAMES, Samples

EDGES: Final = np.unique(np.round(np.geomspace(4, 140, 17)).astype(int))
"""Bins at which the bands begin: 16 of them from 200 to 7000 Hz. Two voices at a time rarely are
loudest in the same ones."""

BANDS: Final = len(EDGES) - 1

HANN: Final = np.hanning(WINDOW_FRAMES + 1)[:-1].astype(np.float32)

SMOOTHING: Final = 0.7
"""Share of a band's level that a new block makes: 20 ms, half a pitch period of the lowest bins."""

DECAY: Final = 0.85
"""Echo that the model does not reach dies away by so much a block: 60 dB in 0.85 s."""

UNSURE_FACTOR: Final = 2.0
"""The model is trusted to be no more unsure than twice what it says."""

LEAK_LIMITS: Final = (0.001, 0.3)
"""Share of an understood echo that is left nevertheless, -30 to -5 dB: loudspeakers distort, and
clocks tremble. What it is is learnt."""

LEAK_LEARNT: Final = 0.02
LEAK_FACTOR: Final = 3.0
"""What is left varies; three times its average covers it."""

IMMATURITY: Final = 2.5
"""A model that has explained 2 dB of late may be wrong by 5, one that has explained 10 by 25: who
talks over the very first words lets it learn a way that is none, without a doubt."""

DISTORTION: Final = 0.0001
"""Share of the whole echo that may turn up in any one band: loudspeakers distort."""

CLIPPED: Final = 0.97
OVERLOAD: Final = 0.01
"""The same for a block in which the microphone is beyond its range, and that much is true."""

NOISE_FACTOR: Final = 8.0
"""The quietest that a band is lies about 9 dB below the loudest that its noise gets."""

NOISE_RISE: Final = 1.005
"""A noise that has become louder is believed in at 2 dB a second."""

LEAST_POWER: Final = BLOCK_FRAMES * 1e-9
"""Of a bin, about -90 dBFS over all of them: no microphone is quieter."""

OPEN_DB: Final = 1.5
"""The gate opens where the bands are so much louder, on average, than any echo explains."""

MOST_DB: Final = 15.0
"""A band counts for no more than this, so that one of them alone opens nothing."""

HOLD_BLOCKS: Final = 20
"""It stays open for 200 ms after that: between two syllables too somebody is talking."""


class ResidualGate:
    """Open while the rest is more than the rest of an echo: somebody else makes a sound."""

    def __init__(self) -> None:
        self._rest: Values | None = None
        self._echo: Values = np.zeros(BANDS)
        self._unsure: Values = np.zeros(BANDS)
        self._noise: Values = np.zeros(BANDS)
        self._leak: Values = np.full(BANDS, LEAK_LIMITS[0])
        self._window = np.zeros(WINDOW_FRAMES, dtype=np.float32)
        self._far_window = np.zeros(WINDOW_FRAMES, dtype=np.float32)
        self._coupling = Coupling(BANDS)
        self._overload = 0.0
        self._open_blocks = 0

    def skip(self, near: Samples) -> None:
        """There was a block without any echo: what it was open for is over.

        Args:
            near: the block as the model would have been given it, which the next one goes on from.
        """
        self._open_blocks = 0
        self._window[BLOCK_FRAMES:] = near

    def is_open(self, block: Explained, *, peak: float, explained_db: float) -> bool:
        """Judge the next block; one after the other.

        Args:
            block: from the model.
            peak: the highest sample of the microphone, to see whether it was overloaded.
            explained_db: how much of the microphone the model has explained of late, at most 10.
        """
        rest = _bands(_spectrum(self._window, block.rest))
        self._overload = OVERLOAD if peak > CLIPPED else DECAY * self._overload
        if self._rest is None:
            self._rest = self._noise = rest
        self._rest = self._rest + SMOOTHING * (rest - self._rest)
        self._echo = np.maximum(_bands(block.echo_power), DECAY * self._echo)
        self._unsure = np.maximum(_bands(block.unsure_power), DECAY * self._unsure)
        risen = np.maximum(self._noise * NOISE_RISE, LEAST_POWER)
        self._noise = np.minimum(risen, np.maximum(self._rest, LEAST_POWER))
        immature = 10.0 ** (-IMMATURITY * explained_db / 10.0)
        total = self._echo.sum()
        doubt = UNSURE_FACTOR * self._unsure + immature * (self._echo + total / BANDS)
        is_young = self._coupling.is_needed
        if is_young:
            far = _bands(_spectrum(self._far_window, block.far))
            doubt = np.minimum(doubt, self._coupling.most(far))
        explained = (
            doubt
            + LEAK_FACTOR * self._leak * self._echo
            + (DISTORTION + self._overload) * total
            + NOISE_FACTOR * self._noise
        )
        excess_db = 10.0 * np.log10(np.maximum(self._rest, LEAST_POWER) / explained)
        if float(np.clip(excess_db, 0.0, MOST_DB).mean()) > OPEN_DB:
            self._open_blocks = HOLD_BLOCKS
        else:
            self._open_blocks = max(0, self._open_blocks - 1)
        is_open = self._open_blocks > 0
        if is_young:
            self._coupling.learn(self._rest, is_open)
        if not is_open:
            self._learn_leak()
        return is_open

    def _learn_leak(self) -> None:
        assert self._rest is not None
        is_loud = self._echo > NOISE_FACTOR * self._noise / LEAK_LIMITS[0]
        share = np.clip(self._rest / np.maximum(self._echo, LEAST_POWER), *LEAK_LIMITS)
        self._leak += np.where(is_loud, LEAK_LEARNT * (share - self._leak), 0.0)


def _spectrum(window: Samples, block: Samples) -> Values:
    """Power in each bin of the last 20 ms, which is smooth at both ends: deep tones do not leak
    into the bands above them. `window` has the last 20 ms, and gets `block`."""
    window[:BLOCK_FRAMES] = window[BLOCK_FRAMES:]
    window[BLOCK_FRAMES:] = block
    return np.abs(np.fft.rfft(HANN * window)) ** 2


def _bands(bins: Values) -> Values:
    """Power in each of the bands, (16,), of that in 161 bins."""
    return np.add.reduceat(bins, EDGES)[:-1].astype(np.float64)
