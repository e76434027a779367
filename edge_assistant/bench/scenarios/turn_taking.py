"""A finished request: how soon does the answer begin?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios.common import (
    HEARD_S,
    make_trial,
    requests,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.trial import Trial

NAME: Final = "turn_taking"

ANSWER_S: Final = 4.0
"""A system that has not begun by then is counted as silent."""

HEARD_OUT_EVERY: Final = 5
"""Every fifth reply is heard to its end: the pace of the voice and what the history then holds are
taken from those."""

LONG_REPLY_S: Final = 15.0
"""Of such a trial, the longest wait for the end of the reply."""

SILENT_S: Final = 1.0
"""A reply is over after so much silence."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """One request a trial; clips come round again where there are fewer than `count`."""
    clips = shuffled(requests(pool), seed, NAME)
    return [
        make_trial(
            NAME,
            condition,
            number,
            [stimulus(clips[number % len(clips)], "question")],
            pool=pool,
            seed=seed,
            after_s=ANSWER_S if number % HEARD_OUT_EVERY else LONG_REPLY_S,
            tail_s=ANSWER_S if number % HEARD_OUT_EVERY else SILENT_S,
            enough_s=HEARD_S if number % HEARD_OUT_EVERY else None,
        )
        for condition, number in rounds(["request"] if clips else [], count, only)
    ]
