"""A listener's "mhm" in a reply: the system should go on speaking."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios.common import (
    make_trial,
    opener,
    rng_of,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.trial import Trial

NAME: Final = "backchannel"

AFTER_S: Final = 2.0
"""The floor is to be held, or held again, within 1 s."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """One response 1.5 to 2.5 s into a reply."""
    clips = shuffled([c for c in pool.of("backchannel") if c.speech_frames], seed, NAME)
    trials = []
    for condition, number in rounds(["response"] if clips else [], count, only):
        question = opener(pool, seed, NAME, number)
        if question is None:
            break
        delay_s = round(float(rng_of(seed, f"{NAME}/{number}").uniform(1.5, 2.5)), 2)
        clip = clips[number % len(clips)]
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [
                    stimulus(question, "question"),
                    stimulus(clip, "backchannel", "into_reply", delay_s),
                ],
                pool=pool,
                seed=seed,
                after_s=AFTER_S,
            )
        )
    return trials
