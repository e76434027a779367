"""The recordings of the phrases."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from io import BytesIO
from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.notices.phrases import NAMES, PHRASES, Notice, language_of

SAMPLE_RATE: Final = 16_000
"""Hz of all recordings."""


@lru_cache(maxsize=len(NAMES) * len(PHRASES))
def recording(name: Notice, language: str) -> Samples:
    """The phrase as sound, in that language or else in English; needs no model and no espeak.

    Returns:
        Float32 mono, (frames,), 16000 Hz; read-only.

    Raises:
        OSError: the installation is broken, and the file is not there.
        RuntimeError: libsndfile cannot read it.
    """
    import soundfile

    file = resources.files("edge_assistant") / "notices" / language_of(language) / f"{name}.ogg"
    samples, sample_rate = soundfile.read(BytesIO(file.read_bytes()), dtype="float32")
    assert sample_rate == SAMPLE_RATE
    sound: Samples = np.ascontiguousarray(samples)
    sound.flags.writeable = False
    return sound
