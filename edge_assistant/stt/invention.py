"""When a recogniser has made words up: the rules that turn silence, noise and loops into no text."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples, frames_of_ms

SILENCE_DBFS: Final = -60.0
"""Nobody speaks in audio whose loudest 30 ms stay below this."""

_LOUDNESS_FRAMES: Final = frames_of_ms(30)


def loudest_dbfs(audio: Samples) -> float:
    """Level of the loudest 30 ms (RMS), -inf for digital silence or no audio at all."""
    if len(audio) == 0:
        return float("-inf")
    padded = np.zeros(-(-len(audio) // _LOUDNESS_FRAMES) * _LOUDNESS_FRAMES, dtype=np.float32)
    padded[: len(audio)] = audio
    power = float(np.square(padded.reshape(-1, _LOUDNESS_FRAMES)).mean(axis=1).max())
    return float(10.0 * np.log10(power)) if power > 0.0 else float("-inf")


def is_silent(audio: Samples) -> bool:
    """True where the audio is too quiet to hold speech at all."""
    return loudest_dbfs(audio) < SILENCE_DBFS
