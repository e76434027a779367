"""Cut long audio where nobody speaks."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms

_STEP_FRAMES: Final = frames_of_ms(10)
_PAUSE_STEPS: Final = 20
"""A cut goes into the middle of the quietest 200 ms: shorter dips are the closures of p, t, k."""


def cut_at_pauses(audio: Samples, *, longest_s: float) -> list[tuple[int, int]]:
    """Spans (first frame, frame after the last) that cover `audio`, none longer than `longest_s`.

    Each cut is made at the quietest 200 ms in the second half of the allowed length, so that no
    piece is a crumb unless the audio ends there. Empty audio has no span.
    """
    longest = int(longest_s * SAMPLE_RATE)
    spans: list[tuple[int, int]] = []
    start = 0
    while len(audio) - start > longest:
        earliest = start + longest // 2
        end = earliest + _quietest(audio[earliest : start + longest])
        spans.append((start, end))
        start = end
    if start < len(audio):
        spans.append((start, len(audio)))
    return spans


def _quietest(audio: Samples) -> int:
    """Frame in the middle of the quietest 200 ms."""
    usable = len(audio) - len(audio) % _STEP_FRAMES
    power = np.square(audio[:usable].reshape(-1, _STEP_FRAMES)).sum(axis=1)
    pauses = np.convolve(power, np.ones(_PAUSE_STEPS), mode="valid")
    return int((int(pauses.argmin()) + _PAUSE_STEPS // 2) * _STEP_FRAMES)
