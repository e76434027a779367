"""Levels in dBFS, where a full-scale square wave is 0."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples

SILENCE_DBFS: Final = -120.0
"""What digital silence is reported as."""

AUDIBLE_DBFS: Final = -50.0
"""A reply is audible from its first sample above this level (the response-gap definition)."""


def gain_of_db(level_db: float) -> float:
    """Amplitude factor of a level in dB."""
    return float(10.0 ** (level_db / 20.0))


def rms_dbfs(samples: Samples) -> float:
    """Root mean square level; `SILENCE_DBFS` for silence and for no samples."""
    if not len(samples):
        return SILENCE_DBFS
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DBFS, 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DBFS


def first_audible_frame(samples: Samples, threshold_dbfs: float = AUDIBLE_DBFS) -> int:
    """Frames before the first sample above `threshold_dbfs`; all of them where none is."""
    loud = np.flatnonzero(np.abs(samples) > gain_of_db(threshold_dbfs))
    return int(loud[0]) if len(loud) else len(samples)
