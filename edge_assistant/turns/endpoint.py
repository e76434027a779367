"""How long to wait in a pause before the turn is taken as over."""

from __future__ import annotations

import math
from typing import Final

BIAS: Final = 2.13
BY_SOUND: Final = 0.33
BY_WORDS: Final = 0.96
"""Log odds that the turn ends, from the log odds of the two judges: a logistic regression over 56
places of recorded requests (36 ends, 20 inner pauses, 36 speakers), with Smart Turn v3.2 and
SmolLM2-135M. Held out by speaker its AUC is 0.90, that of the sound 0.77, of the words 0.88.
`python -m tests.figures.endpoint` fits them again ("both, requests only")."""

OPEN: Final = 0.5
OVER: Final = 0.73
"""Chosen by looking at those same places, so what follows is a hope and no measurement.
Below the first the longest wait, above the second the shortest. In those recordings, held out by
speaker: 200 ms of wait in 75 of 100 ends, 830 ms or less in 90; and a fifth to a quarter of the
inner pauses of 0.3 to 1.0 s are taken for the end, mostly after what would have been a whole
sentence."""

LEAST: Final = 1e-3
"""A judge who says never, or always, is taken at a thousand to one."""


def wait_ms(probability: float | None, *, min_wait_ms: int, max_wait_ms: int) -> int:
    """Silence after the last speech frame that ends the turn.

    Args:
        probability: that the turn ends here, in [0, 1]; None (or NaN) while nobody has judged
            it.
        min_wait_ms: wait at probability 1.
        max_wait_ms: wait at probability 0.

    Straight between the two: with a calibrated probability this bounds the expected cost of
    waiting for a finished speaker and of cutting off an unfinished one, and it has no threshold
    to fall off. Unjudged pauses wait for the mean of the two, so that a late or absent detector
    costs neither promptness nor manners.
    """
    if probability is None or math.isnan(probability):
        return (min_wait_ms + max_wait_ms) // 2
    p = min(max(probability, 0.0), 1.0)
    return round(max_wait_ms - (max_wait_ms - min_wait_ms) * p)


def end_probability(*, by_sound: float | None, by_words: float) -> float:
    """Probability that the turn ends here, of two judges who hear different things.

    Args:
        by_sound: the turn detector's; None (or NaN) where it has said nothing.
        by_words: the language model's, of the transcript.
    """
    odds = BIAS + BY_WORDS * _log_odds(by_words)
    if by_sound is not None and not math.isnan(by_sound):
        odds += BY_SOUND * _log_odds(by_sound)
    return 1.0 / (1.0 + math.exp(-odds))


def wait_of_both_ms(
    *, by_sound: float | None, by_words: float, min_wait_ms: int, max_wait_ms: int
) -> int:
    """The wait when the words of the turn are known too: short as soon as its end is likely."""
    probability = end_probability(by_sound=by_sound, by_words=by_words)
    share = (probability - OPEN) / (OVER - OPEN)
    return wait_ms(min(max(share, 0.0), 1.0), min_wait_ms=min_wait_ms, max_wait_ms=max_wait_ms)


def _log_odds(probability: float) -> float:
    p = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(p / (1.0 - p))
