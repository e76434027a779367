"""User and system start to speak within 100 ms of each other: one of them has to yield."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios.common import (
    HEARD_S,
    make_trial,
    opener,
    requests,
    rng_of,
    rounds,
    shuffled,
    stimulus,
    without_lead,
)
from edge_assistant.bench.trial import Trial

NAME: Final = "both_start"

MOST_LATE_S: Final = 0.1

AFTER_S: Final = 4.0


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """The user goes on 0 to 100 ms after the reply has begun.

    An examiner cannot know when a reply will begin, so the user is never the first.
    """
    clips = [without_lead(clip) for clip in shuffled(requests(pool, most_s=3.0), seed, NAME)]
    trials = []
    for condition, number in rounds(["within_100_ms"] if clips else [], count, only):
        question = opener(pool, seed, NAME, number)
        if question is None:
            break
        late_s = float(rng_of(seed, f"{NAME}/{number}").uniform(0.0, MOST_LATE_S))
        clip = clips[number % len(clips)]
        second = stimulus(clip, "interruption", "into_reply", round(late_s, 2))
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [stimulus(question, "question"), second],
                pool=pool,
                seed=seed,
                after_s=AFTER_S,
                enough_s=HEARD_S,
            )
        )
    return trials
