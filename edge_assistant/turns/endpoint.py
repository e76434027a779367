"""How long to wait in a pause before the turn is taken as over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from edge_assistant.turns.settings import Settings

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


def end_probability(
    *, by_sound: float | None, by_words: float, is_closed: bool, weights: Sequence[float]
) -> float:
    """Probability that the turn ends here: a logistic regression over judges who hear different
    things. Where the recogniser closed the text, how it sounded adds nothing; where it did not, the
    sound tells a comma that is one from a last word that was misheard. (Held out by clip, 36 ends
    and 20 pauses: AUC 0.968 so, 0.951 where the sound always counts.)

    Args:
        by_sound: the turn detector's probability; None (or NaN) where it has said nothing.
        by_words: the language model's, of the transcript.
        is_closed: the recogniser closed the transcript like a sentence. Moonshine hears a comma at
            14 of 20 inner pauses and at 4 of 36 ends of recorded requests.
        weights: bias; weights of the log odds of the sound and of the words; weight of a transcript
            that is not closed.
    """
    bias, sound, words, unclosed = weights
    odds = bias + words * _log_odds(by_words)
    if not is_closed:
        odds += unclosed
        if by_sound is not None and not math.isnan(by_sound):
            odds += sound * _log_odds(by_sound)
    return 1.0 / (1.0 + math.exp(-odds))


def wait_of_all_ms(
    *, by_sound: float | None, by_words: float, is_closed: bool, rules: Settings
) -> int:
    """The wait when the words of the turn are known too: short as soon as its end is likely."""
    probability = end_probability(
        by_sound=by_sound, by_words=by_words, is_closed=is_closed, weights=rules.end_weights
    )
    unsure, sure = rules.end_range
    share = min(max((probability - unsure) / (sure - unsure), 0.0), 1.0)
    return wait_ms(share, min_wait_ms=rules.min_wait_ms, max_wait_ms=rules.max_wait_ms)


def _log_odds(probability: float) -> float:
    p = min(max(probability, LEAST), 1.0 - LEAST)
    return math.log(p / (1.0 - p))
