"""How long to wait in a pause before the turn is taken as over."""

from __future__ import annotations

import math


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
