"""The user speaks 2 s into a reply, and means it: the five interruptions of HumDial track 2.

Recordings count as what their kind says; plain requests over a reply are a change of topic.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import (
    HEARD_S,
    LEAST_CLIPS,
    make_trial,
    opener,
    requests,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.trial import Role, Trial

NAME: Final = "interruption"

CLASSES: Final = ("follow_up", "negation", "repeat_request", "topic_change", "stop")

INTO_REPLY_S: Final = 2.0

AFTER_S: Final = 4.0
"""A new reply counts as an answer within 3 s; the rest is for hearing that it is one."""

STOPPED_S: Final = 2.0
"""What sounds again within 1.5 s after "stop" is still the reply that was to stop."""

SILENT_S: Final = 3.2
"""Who has said nothing for so long has not answered."""

MOST_S: Final = 3.0
"""Longest request that serves as a change of topic."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """Classes in turn, of those for which the pool has at least three clips."""
    clips = {name: _clips(pool, seed, name) for name in CLASSES}
    trials = []
    for condition, number in rounds(
        [c for c in CLASSES if len(clips[c]) >= LEAST_CLIPS], count, only
    ):
        question = opener(pool, seed, NAME, number)
        if question is None:
            break
        clip = clips[condition][number % len(clips[condition])]
        role: Role = "stop" if condition == "stop" else "interruption"
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [stimulus(question, "question"), stimulus(clip, role, "into_reply", INTO_REPLY_S)],
                pool=pool,
                seed=seed,
                after_s=AFTER_S,
                tail_s=SILENT_S,
                enough_s=HEARD_S if role == "interruption" else STOPPED_S,
            )
        )
    return trials


def _clips(pool: Pool, seed: int, name: str) -> list[Clip]:
    if name == "topic_change" and not pool.of(name):
        return shuffled(requests(pool, most_s=MOST_S), seed, f"{NAME}/{name}")
    return shuffled([clip for clip in pool.of(name) if clip.speech_frames], seed, f"{NAME}/{name}")
