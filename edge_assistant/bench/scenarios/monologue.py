"""The user speaks for half a minute, with pauses of his own: the system should let him finish."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import (
    HEARD_S,
    make_trial,
    rng_of,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.sounds import room_tone
from edge_assistant.bench.trial import Trial

NAME: Final = "monologue"

LEAST_S: Final = 20.0
MOST_S: Final = 40.0
"""Speech of a monologue."""

AFTER_S: Final = 3.0


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """One monologue a trial: a clip that is one, else read passages of one speaker joined."""
    clips = shuffled(_monologues(pool, seed), seed, NAME)
    return [
        make_trial(
            NAME,
            condition,
            number,
            [stimulus(clips[number % len(clips)], "monologue")],
            pool=pool,
            seed=seed,
            after_s=AFTER_S,
            enough_s=HEARD_S,
        )
        for condition, number in rounds(["long"] if clips else [], count, only)
    ]


def _monologues(pool: Pool, seed: int) -> list[Clip]:
    whole = [clip for clip in pool.of("monologue") if clip.speech_frames]
    if whole:
        return whole
    by_speaker: dict[str, list[Clip]] = {}
    for clip in pool.of("read"):
        if clip.is_clear and clip.speaker:
            by_speaker.setdefault(clip.speaker, []).append(clip)
    joined = [join(clips, seed) for clips in by_speaker.values()]
    return [clip for clip in joined if clip.speech_s >= LEAST_S]


def join(clips: list[Clip], seed: int) -> Clip:
    """Clips of one speaker as one, up to 40 s, with 0.4 to 1.0 s of room tone between them."""
    rng = rng_of(seed, f"{NAME}/{clips[0].speaker}")
    parts = [clips[0].sound]
    frames = list(clips[0].speech_frames)
    length = len(clips[0].sound)
    for clip in clips[1:]:
        gap = round(float(rng.uniform(0.4, 1.0)) * SAMPLE_RATE) // BLOCK_FRAMES * BLOCK_FRAMES
        if (length + gap + len(clip.sound)) / SAMPLE_RATE > MOST_S:
            break
        parts += [room_tone(gap, seed), clip.sound]
        start = length + gap
        frames += [(a + start, b + start) for a, b in clip.speech_frames]
        length = start + len(clip.sound)
    return replace(
        clips[0],
        name=" + ".join(clip.name for clip in clips[: (len(parts) + 1) // 2]),
        sound=np.concatenate(parts),
        text=" ".join(clip.text for clip in clips[: (len(parts) + 1) // 2]).strip(),
        kind="monologue",
        speech_frames=tuple(frames),
    )
