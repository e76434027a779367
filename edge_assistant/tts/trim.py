"""Silence at the edges of synthesised speech: where it begins and ends, and what pause to leave."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples, frames_of_ms

AUDIBLE: Final = 0.001
"""Linear amplitude, -60 dBFS: what lies below is taken for silence (16-bit steps are 0.00003)."""

LEAD_MS: Final = 5
"""Silence kept before the first audible frame, so that no onset is clipped."""

SENTENCE_PAUSE_MS: Final = 200
CLAUSE_PAUSE_MS: Final = 80
"""Silence left after a sentence, and after a clause that ends with a comma or so.

The same for every voice, so that sentences synthesised one by one do not run together; and short,
because it also stands at the end of a reply, where it keeps the floor busy.
"""

_SENTENCE_ENDS: Final = frozenset(".!?…\u3002\uff01\uff1f\u061f\u0964")
_CLAUSE_ENDS: Final = frozenset(",;:—\u2013\u3001\uff0c\uff1b\uff1a\u060c")
_CLOSERS: Final = "\"'\u2019\u201d\u00bb)]} \t\n"


def audible_span(samples: Samples, floor: float = AUDIBLE) -> tuple[int, int] | None:
    """First and one-past-last frame above `floor`, or None for silence."""
    loud = np.flatnonzero(np.abs(samples) > floor)
    return None if len(loud) == 0 else (int(loud[0]), int(loud[-1]) + 1)


def pause_after_ms(text: str) -> int:
    """The silence that belongs after `text`, by its last mark."""
    last = text.rstrip(_CLOSERS)[-1:]
    if last in _CLAUSE_ENDS:
        return CLAUSE_PAUSE_MS
    return SENTENCE_PAUSE_MS if last in _SENTENCE_ENDS else 0


def leading_cut(samples: Samples, sample_rate: int) -> tuple[int, int]:
    """(frames to drop at the front, frames of silence that stay there); (0, all) for silence."""
    span = audible_span(samples)
    if span is None:
        return 0, len(samples)
    kept = min(span[0], frames_of_ms(LEAD_MS, sample_rate))
    return span[0] - kept, kept


def with_pause(samples: Samples, text: str, sample_rate: int) -> Samples:
    """`samples` with its trailing silence replaced by the pause that belongs after `text`."""
    span = audible_span(samples)
    end = len(samples) if span is None else span[1]
    pause = np.zeros(frames_of_ms(pause_after_ms(text), sample_rate), dtype=np.float32)
    return np.concatenate((samples[:end], pause))
