"""The user speaks while the assistant does: what is it?"""

from __future__ import annotations

from enum import Enum
from typing import Final

PROBES: Final = 2
"""How often the words of one stretch of speech are looked at: the first look may come before the
first word is over."""


class Overlap(Enum):
    """What to make of speech over a reply."""

    UNDECIDED = "undecided"
    """Keep the voice ducked and go on listening."""
    PROBE = "probe"
    """Look at the words."""
    INTERRUPTION = "interruption"
    """Yield."""


def judge(
    speech_ms: float, *, barge_in_ms: int, probe_ms: int, probes: int, by_duration: bool
) -> Overlap:
    """Decide from how long the user has been speaking over the reply.

    Args:
        speech_ms: from the first speech frame until now, without a pause in between.
        barge_in_ms: nobody's "mhm" is that long.
        probe_ms: the first look at the words, and the time until the next; 0 for none.
        probes: how often they were looked at already.
        by_duration: False where words must decide at the end (barge-in off, or the wake phrase is
            needed).
    """
    if not by_duration:
        return Overlap.UNDECIDED
    if speech_ms >= barge_in_ms:
        return Overlap.INTERRUPTION
    if probe_ms and probes < PROBES and speech_ms >= probe_ms * (probes + 1):
        return Overlap.PROBE
    return Overlap.UNDECIDED
