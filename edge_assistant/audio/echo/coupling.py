"""How much of the loudspeaker is left in the microphone at the most, band by band.

A young model of the way does not know how wrong it may be, and must fear that it is all wrong. What
was left so far, while nobody spoke, says how wrong it really was.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from edge_assistant.audio.echo.path import PIECES, Values

MARGIN: Final = 3.0
"""What is left varies; it is three times what it was at the most."""

FREE_BLOCKS: Final = 60
"""For 0.6 s of the loudspeaker every block counts in full."""

RISE: Final = 10.0**0.03
"""Later a block adds 0.3 dB at the most: who begins to talk is 10 dB louder in 50 ms."""

RISE_OPEN: Final = 10.0**0.005
"""While somebody talks, 0.05 dB: enough for a loudspeaker that is moved, in seconds."""

FALL: Final = 10.0**-0.008
"""8 dB a second: the model gets better."""

KNOWN_BLOCKS: Final = 20
"""Less of a band was not enough to say anything of it."""

OLD_BLOCKS: Final = 400
"""After 4 s of the loudspeaker the model knows itself how wrong it is, and notices sooner than this
limit would that the way has changed (a device that comes later: 0.4 s instead of 2.2 s)."""

LOUD: Final = 1e-7
"""Power of a band from which the loudspeaker counts as sounding in it."""

DECAY: Final = 0.9
"""A block, of what the room keeps longer than 400 ms: 60 dB in 1.3 s, a hall."""


class Coupling:
    """Learns the most that is left of the loudspeaker. One block after the other."""

    def __init__(self, bands: int) -> None:
        self._lately: deque[Values] = deque(maxlen=PIECES)
        self._reach: Values = np.zeros(bands)
        self._share: Values = np.zeros(bands)
        self._blocks: Values = np.zeros(bands)

    @property
    def is_needed(self) -> bool:
        """Whether `most` may still limit anything: some band is not old yet."""
        return bool(self._blocks.min() < OLD_BLOCKS)

    def most(self, far: Values) -> Values:
        """What may be left of the loudspeaker in this block: power, (bands,); infinite where too
        little was heard of it so far, or so much that the model needs no limit.

        Args:
            far: power of the loudspeaker in each band, of this block.
        """
        self._lately.append(far)
        self._reach = np.maximum(np.max(self._lately, axis=0), DECAY * self._reach)
        known = (self._blocks >= KNOWN_BLOCKS) & (self._blocks < OLD_BLOCKS)
        return np.where(known, MARGIN * self._share * self._reach, np.inf)

    def learn(self, rest: Values, is_open: bool) -> None:
        """Take in what was left in this block; after `most`.

        Args:
            rest: power in each band, without what the model foresaw.
            is_open: somebody talks.
        """
        heard = self._reach > LOUD
        share = rest / np.maximum(self._reach, LOUD)
        most = np.where(
            self._blocks < FREE_BLOCKS, np.inf, self._share * (RISE_OPEN if is_open else RISE)
        )
        risen = np.maximum(self._share * FALL, np.minimum(share, most))
        self._share = np.where(heard, risen, self._share)
        self._blocks = self._blocks + heard
