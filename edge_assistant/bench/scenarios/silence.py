"""Nobody speaks to the system for a minute: every turn that it takes is a phantom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench import sounds
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import make_trial, rounds, shuffled, sound_clip
from edge_assistant.bench.scenarios.noises import make_babble
from edge_assistant.bench.trial import Trial

NAME: Final = "silence"

CONDITIONS: Final = ("quiet", "noise", "babble")

LENGTH_S: Final = 60.0

NOISE_DBFS: Final = -45.0
"""19 dB below the user's speech."""

BABBLE_DBFS: Final = -45.0

_LOOP_S: Final = 20.0


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """A minute of room tone, of noise (recorded where there is any), of far voices."""
    conditions = [c for c in CONDITIONS if _background(pool, c, seed, 0) is not None]
    trials = []
    for condition, number in rounds(conditions, count, only):
        clip = _background(pool, condition, seed, number)
        if clip is None:
            break
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [],
                pool=pool,
                seed=seed,
                after_s=LENGTH_S,
                clip=clip,
                background=clip.sound,
            )
        )
    return trials


def _background(pool: Pool, condition: str, seed: int, number: int) -> Clip | None:
    frames = round(_LOOP_S * SAMPLE_RATE)
    if condition == "quiet":
        return sound_clip(sounds.room_tone(frames, seed + number), None, "room tone", "noise")
    if condition == "babble":
        return make_babble(pool, seed, number, _LOOP_S, BABBLE_DBFS)
    recorded = [c for c in pool.of("noise") if len(c.sound) >= 3 * SAMPLE_RATE]
    if not recorded:
        made = sounds.steady_noise(frames, seed + number, NOISE_DBFS)
        return sound_clip(made, None, "fan (recipe)", "noise")
    clip = shuffled(recorded, seed, NAME)[number % len(recorded)]
    return replace(clip, sound=sounds.at_level(clip.sound[:frames], NOISE_DBFS))
