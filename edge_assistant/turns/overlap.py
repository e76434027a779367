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


EARLY_MS: Final = 800
"""Who speaks on before so much of a reply was to be heard is not responding to it: listeners
respond to 0.7 s of speech or more, and a while after it (Ward and Tsukahara 2000)."""


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
    early_barge_in_ms: int,
    by_duration: bool,
) -> Overlap:
    """Decide from how long the user has been speaking over the reply.

    Args:
        speech_ms: from the first speech frame until now, without a pause in between.
        barge_in_ms: no listener's response is that long.
        probe_ms: the first look at the words, and the time until the next; 0 for none.
        probes: how often they were looked at already.
        is_wordless: the last look found no words.
        is_hasty: he goes on with his sentence, within `HASTY_MS` of his own last word.
        early_barge_in_ms: he goes on with his sentence, within `EARLY_MS` of the reply's first
            sound: so much speech is enough; 0 where he does not.
        by_duration: False where words must decide at the end (barge-in off, or the wake phrase is
            needed).
    """
    if not by_duration:
        return Overlap.UNDECIDED
    if is_hasty:
        barge_in_ms = min(barge_in_ms, HASTY_BARGE_IN_MS)
    if early_barge_in_ms:
        barge_in_ms = min(barge_in_ms, early_barge_in_ms)
    if speech_ms >= barge_in_ms * (WORDLESS if is_wordless else 1):
        return Overlap.INTERRUPTION
    if probe_ms and speech_ms >= probe_ms * (probes + 1):
        return Overlap.PROBE
    return Overlap.UNDECIDED
