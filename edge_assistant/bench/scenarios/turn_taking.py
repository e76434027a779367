"""A finished request: how soon does the answer begin?"""

from __future__ import annotations

from typing import Final

from edge_assistant.bench.clips import Pool
from edge_assistant.bench.scenarios.common import (
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


def build(pool: Pool, seed: int, count: int) -> list[Trial]:
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
            after_s=ANSWER_S,
        )
        for condition, number in rounds(["request"] if clips else [], count)
    ]
