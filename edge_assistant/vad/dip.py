"""Where the level of running speech falls: the first sign of a pause. Pure: no model, no clock."""

from __future__ import annotations

import math
from typing import Final

from edge_assistant.audio.format import BLOCK_MS

DIP_MS: Final = 20
"""So long must it be low."""

DIP_DB: Final = 35.0
"""And so far below the speech. 21 of 27 recordings end with a dip: 20 ms behind the last sample
that can be heard (median; one in ten at 0 ms or before), 58 ms before the pause of Silero; and
there was one dip in a second of speech. In a louder room there are none: nothing is lost."""

FALL_DB_PER_S: Final = 5.0
"""How fast a loud moment is forgotten."""


class DipDetector:
    """Compares every block with the loudest of the speech so far. One thread (`ears`)."""

    def __init__(self) -> None:
        self._peak_dbfs = -math.inf
        self._low_ms = 0
        self.is_low = False
        """The newest block is far below the speech of the last seconds, whatever it sounds like."""
        self.since_frames: int | None = None
        """Where the present dip was noticed; None while there is none."""

    def block(self, level_dbfs: float, at_frames: int, *, is_speech: bool) -> bool:
        """Take the 10 ms that end at `at_frames`; True where a dip is noticed with them.

        Args:
            level_dbfs: root mean square of them.
            at_frames: position on the sample clock.
            is_speech: whether the detector of speech takes it for speech that runs on.
        """
        self._peak_dbfs = max(self._peak_dbfs - FALL_DB_PER_S * BLOCK_MS / 1000, level_dbfs)
        self.is_low = level_dbfs < self._peak_dbfs - DIP_DB
        if not (is_speech and self.is_low):
            self._low_ms, self.since_frames = 0, None
            return False
        self._low_ms += BLOCK_MS
        if self._low_ms != DIP_MS:
            return False
        self.since_frames = at_frames
        return True
