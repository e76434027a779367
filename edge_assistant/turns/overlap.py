"""The user speaks while the assistant does: what is it?"""

from __future__ import annotations

from enum import Enum
from typing import Final

WORDLESS: Final = 2
"""What has no words in it may go on for so many times as long: music, a machine, a child."""

HASTY_MS: Final = 900
"""Who speaks on so soon after his own last word cannot have listened to the reply meanwhile."""

HASTY_BARGE_IN_MS: Final = 450
"""If he then speaks for longer than an "okay" takes, he goes on with his sentence."""


class Overlap(Enum):
    """What to make of speech over a reply."""

    UNDECIDED = "undecided"
    """Keep the voice ducked and go on listening."""
    PROBE = "probe"
    """Look at the words."""
    INTERRUPTION = "interruption"
    """Yield."""


def judge(
    speech_ms: float,
    *,
    barge_in_ms: int,
    probe_ms: int,
    probes: int,
    is_wordless: bool,
    is_hasty: bool,
    by_duration: bool,
) -> Overlap:
    """Decide from how long the user has been speaking over the reply.

    Args:
        speech_ms: from the first speech frame until now, without a pause in between.
        barge_in_ms: no listener's response is that long.
        probe_ms: the first look at the words, and the time until the next; 0 for none.
        probes: how often they were looked at already.
        is_wordless: the last look found no words.
        is_hasty: he began within `HASTY_MS` of his own last word.
        by_duration: False where words must decide at the end (barge-in off, or the wake phrase is
            needed).
    """
    if not by_duration:
        return Overlap.UNDECIDED
    if is_hasty:
        barge_in_ms = min(barge_in_ms, HASTY_BARGE_IN_MS)
    if speech_ms >= barge_in_ms * (WORDLESS if is_wordless else 1):
        return Overlap.INTERRUPTION
    if probe_ms and speech_ms >= probe_ms * (probes + 1):
        return Overlap.PROBE
    return Overlap.UNDECIDED
