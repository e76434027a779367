"""The user speaks while the assistant does: what is it?"""

from __future__ import annotations

from enum import Enum


class Overlap(Enum):
    """What to make of speech over a reply."""

    UNDECIDED = "undecided"
    """Keep the voice ducked and go on listening."""
    INTERRUPTION = "interruption"
    """Yield."""


def judge(speech_ms: float, *, barge_in_ms: int, by_duration: bool) -> Overlap:
    """Decide from how long the user has been speaking over the reply.

    Args:
        speech_ms: from the first speech frame until now, without a pause in between.
        barge_in_ms: a listener's "mhm" is mostly shorter than a first word with intent.
        by_duration: False where words must decide (barge-in off, or the wake phrase is needed).
    """
    if by_duration and speech_ms >= barge_in_ms:
        return Overlap.INTERRUPTION
    return Overlap.UNDECIDED
