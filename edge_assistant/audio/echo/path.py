"""A model of the way from the loudspeaker to the microphone, learnt while the loudspeaker sounds.

It is a Kalman filter in the frequency domain: the way is a filter of 400 ms, cut into pieces of one
block, and of each of its numbers the model also knows how unsure of it it is. So the steps are
large while it knows nothing and small once it does, nobody needs to tell it when the user talks
too, and it can say how much echo it has *not* understood, which is what `gate` asks.

After G. Enzner and P. Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in
hands-free telephones" (Signal Processing 86, 2006), in the partitioned form of F. Kuech, E. Mabande
and G. Enzner, "State-space architecture of the partitioned-block-based acoustic echo controller"
(ICASSP 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples

Values = NDArray[np.floating[Any]]
Spectra = NDArray[np.complexfloating[Any, Any]]

PIECES: Final = 40
"""400 ms: what a card's time stamps may be wrong by, and the first of the reverberation."""

WINDOW_FRAMES: Final = 2 * BLOCK_FRAMES
BINS: Final = WINDOW_FRAMES // 2 + 1

FORGETTING: Final = 0.9995**2
"""A block, 10 ms, makes the model so much less sure of itself: rooms change in tens of seconds."""

NOISE_KEPT: Final = 0.8
"""What the microphone hears besides the echo is taken at once where it gets louder, and forgotten
in 50 ms where it gets softer: who begins to talk must not be learnt as echo."""

UNSURE: Final = 0.1
"""What a new model expects of a loudspeaker it has not heard: as loud as at the worst of desks."""

CONSTRAINED: Final = 4
"""Pieces a block that are brought back to the length of one block, each in its turn."""


LIFT: Final = 0.97
_FADING: Final = (LIFT ** np.arange(1, BLOCK_FRAMES + 1)).astype(np.float32)
_LOWERING: Final = np.tril(
    LIFT ** np.abs(np.subtract.outer(np.arange(BLOCK_FRAMES), np.arange(BLOCK_FRAMES)))
).astype(np.float32)
"""What one frame still adds to each of the later ones, as `lower` is a sum without an end."""


class Emphasis:
    """Lifts the high tones, and lowers them again: what is deep and strong (rumble, a microphone
    with an offset) would leak all over the spectrum of so short a block.

    One for the way there or for the way back of one signal; one block after the other.
    """

    def __init__(self) -> None:
        self._before = np.float32(0.0)

    def skip(self, block: Samples) -> None:
        """Go on after `block`, which went its way without us: else there would be a click."""
        self._before = block[-1]

    def lift(self, block: Samples) -> Samples:
        """float32 (160,) to the same."""
        shifted = np.concatenate([[self._before], block[:-1]])
        self._before = block[-1]
        return np.asarray(block - LIFT * shifted, dtype=np.float32)

    def lower(self, block: Samples) -> Samples:
        """What `lift` made, back again: float32 (160,) to the same."""
        lowered = _LOWERING @ block + _FADING * self._before
        self._before = lowered[-1]
        return np.asarray(lowered, dtype=np.float32)


class FarLine:
    """The spectra of the last 400 ms of the loudspeaker, which every model of it shares."""

    def __init__(self) -> None:
        self.spectra: Spectra = np.zeros((PIECES, BINS), dtype=np.complex64)
        self.powers: Values = np.zeros((PIECES, BINS), dtype=np.float32)
        self._window = np.zeros(WINDOW_FRAMES, dtype=np.float32)

    @property
    def newest(self) -> Samples:
        """The last block, float32 (160,)."""
        return self._window[BLOCK_FRAMES:].copy()

    def push(self, far: Samples) -> None:
        """Take the next block: float32 (160,)."""
        self._window[:BLOCK_FRAMES] = self._window[BLOCK_FRAMES:]
        self._window[BLOCK_FRAMES:] = far
        newest = np.fft.rfft(self._window)
        self.spectra[1:] = self.spectra[:-1]
        self.powers[1:] = self.powers[:-1]
        self.spectra[0] = newest
        self.powers[0] = np.abs(newest) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One block as the model understands it. Powers are those of 161 bins, 50 Hz apart."""

    rest: Samples
    """The block without the echo that the model foresaw, float32 (160,)."""
    rest_power: Values
    echo_power: Values
    """Of the echo that was foreseen."""
    unsure_power: Values
    """Of the echo that may well be in `rest`, the model being as unsure as it is."""
    far: Samples
    """What the loudspeaker gave meanwhile, float32 (160,)."""


class EchoPath:
    """Learns the way by explaining blocks. About 0.15 ms a block on a desktop; one thread."""

    def __init__(self) -> None:
        self._way: Spectra = np.zeros((PIECES, BINS), dtype=np.complex64)
        self._unsure: Values = np.full((PIECES, BINS), UNSURE, dtype=np.float32)
        self._noise: Values = np.full(BINS, 1e-3, dtype=np.float32)
        self._padded = np.zeros(WINDOW_FRAMES, dtype=np.float32)
        self._next_piece = 0

    def explain(self, near: Samples, line: FarLine) -> Explained:
        """Take the echo out of `near`, float32 (160,), and learn from what is left."""
        spectrum = (self._way * line.spectra).sum(axis=0)
        echo = np.fft.irfft(spectrum)[BLOCK_FRAMES:]
        rest = np.asarray(near - echo, dtype=np.float32)
        self._padded[BLOCK_FRAMES:] = rest
        error = np.fft.rfft(self._padded).astype(np.complex64)
        rest_power = np.abs(error) ** 2
        unsure_power = (self._unsure * line.powers).sum(axis=0)
        self._learn(error, rest_power, unsure_power, line)
        return Explained(
            rest=rest,
            rest_power=rest_power,
            echo_power=np.abs(spectrum) ** 2,
            unsure_power=unsure_power,
            far=line.newest,
        )

    def doubt(self) -> None:
        """The loudspeaker's clock jumped: what was learnt may be a way of another length."""
        self._unsure += np.float32(UNSURE / PIECES)

    def delay_ms(self) -> float:
        """When the strongest sound of the way comes, against what the card's time stamps say."""
        taps = np.fft.irfft(self._way, axis=1)[:, :BLOCK_FRAMES].reshape(-1)
        return float(np.argmax(np.abs(taps))) * 1000.0 / SAMPLE_RATE

    def _learn(
        self, error: Spectra, rest_power: Values, unsure_power: Values, line: FarLine
    ) -> None:
        smoothed = NOISE_KEPT * self._noise + (1.0 - NOISE_KEPT) * rest_power
        self._noise = np.maximum(rest_power, smoothed)
        # 2: a block fills half of the window, so the noise of a whole window is twice as much.
        step = self._unsure / (unsure_power + 2.0 * self._noise + 1e-6)
        self._way += step * np.conj(line.spectra) * error
        first, self._next_piece = self._next_piece, (self._next_piece + CONSTRAINED) % PIECES
        self._constrain(slice(first, first + CONSTRAINED))
        self._unsure *= FORGETTING * (1.0 - 0.5 * step * line.powers)
        self._unsure += (1.0 - FORGETTING) * (self._way.real**2 + self._way.imag**2)

    def settle(self) -> None:
        """Bring all pieces back to their length: the loudspeaker is silent, and what is too long
        would be heard as a click when it begins anew."""
        self._constrain(slice(0, PIECES))

    def _constrain(self, pieces: slice) -> None:
        """A piece is one block long; what a step added beyond is an artefact of the FFT."""
        taps = np.fft.irfft(self._way[pieces], axis=1)
        taps[:, BLOCK_FRAMES:] = 0.0
        self._way[pieces] = np.fft.rfft(taps, axis=1)
