"""Sounds in a reply that are not meant for the system, and a TV.

Cough, knock, keyboard and tap are made (`sounds`) and count as synthetic in any pool; music needs a
recording; babble and the TV are made of the pool's own voices.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench import sounds
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import (
    make_trial,
    opener,
    rng_of,
    rounds,
    shuffled,
    sound_clip,
    stimulus,
)
from edge_assistant.bench.trial import Role, Trial

NAME: Final = "noises"

CONDITIONS: Final = ("cough", "knock", "keyboard", "tap", "music", "babble", "tv")

RECIPES: Final = {
    "cough": sounds.cough,
    "knock": sounds.knock,
    "keyboard": sounds.keyboard,
    "tap": sounds.tap,
}

BEHIND_DBFS: Final = -36.0
"""Music, babble and TV: 10 dB below the user's speech."""

LONG_S: Final = 3.0
"""Length of music, babble and TV."""

VOICES: Final = 6
"""People in the babble."""

AFTER_S: Final = 2.0
"""The floor is to be held, or held again, within 1 s."""

OTHERS_AFTER_S: Final = 3.2
"""An answer to the television is counted within 3 s."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """Conditions in turn, 1.5 to 2.5 s into a reply."""
    conditions = [c for c in CONDITIONS if make_noise(pool, c, seed, 0) is not None]
    trials = []
    for condition, number in rounds(conditions, count, only):
        question = opener(pool, seed, NAME, number)
        clip = make_noise(pool, condition, seed, number)
        if question is None or clip is None:
            break
        delay_s = round(float(rng_of(seed, f"{NAME}/{condition}/{number}").uniform(1.5, 2.5)), 2)
        role: Role = "tv" if condition == "tv" else "noise"
        noise = stimulus(clip, role, "into_reply", delay_s, is_user=False)
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [stimulus(question, "question"), noise],
                pool=pool,
                seed=seed,
                after_s=OTHERS_AFTER_S if role == "tv" else AFTER_S,
                clip=clip,
            )
        )
    return trials


def make_noise(pool: Pool, condition: str, seed: int, number: int) -> Clip | None:
    """One noise of that kind; None where the pool has nothing to make it of."""
    rng = rng_of(seed, f"{NAME}/sound/{condition}/{number}")
    noise_seed = int(rng.integers(0, 2**31))
    if condition in RECIPES:
        name = f"{condition} (recipe, seed {noise_seed})"
        return sound_clip(RECIPES[condition](noise_seed), None, name, condition)
    if condition == "music":
        return _music(pool, seed, number, rng)
    if condition == "babble":
        return make_babble(pool, seed, number, LONG_S, BEHIND_DBFS)
    return _television(pool, seed, number, rng)


def make_babble(pool: Pool, seed: int, number: int, length_s: float, dbfs: float) -> Clip | None:
    """Up to six different speakers of the pool at once; None where there are fewer than two."""
    spoken = [c for c in pool.of("read", "tv", "monologue", "side_talk") if c.speech_s >= 1.5]
    voices: dict[str, Clip] = {}
    for clip in shuffled(spoken, seed, f"{NAME}/babble/{number}"):
        voices.setdefault(clip.speaker or clip.name, clip)
    chosen = list(voices.values())[:VOICES]
    if len(chosen) < 2:
        return None
    name = f"babble of {len(chosen)} ({number})"
    frames = round(length_s * SAMPLE_RATE)
    mixed = sounds.babble([clip.sound for clip in chosen], seed + number, frames, dbfs)
    return replace(
        chosen[0], name=name, sound=sounds.faded(mixed), kind="babble", text="", speech_frames=()
    )


def _music(pool: Pool, seed: int, number: int, rng: np.random.Generator) -> Clip | None:
    pieces = shuffled(pool.of("music"), seed, f"{NAME}/music")
    if not pieces:
        return None
    piece = pieces[number % len(pieces)]
    length = round(LONG_S * SAMPLE_RATE)
    first = int(rng.integers(0, max(1, len(piece.sound) - length)))
    part = sounds.faded(sounds.at_level(piece.sound[first : first + length], BEHIND_DBFS))
    return replace(piece, name=f"{piece.name}@{first / SAMPLE_RATE:.1f}", sound=part)


def _television(pool: Pool, seed: int, number: int, rng: np.random.Generator) -> Clip | None:
    """A voice through a small loudspeaker across the room, cut after `LONG_S` of speech."""
    spoken = [c for c in pool.of("tv") or pool.of("read") if c.speech_s >= LONG_S]
    if not spoken:
        return None
    clip = shuffled(spoken, seed, f"{NAME}/tv")[number % len(spoken)]
    last = clip.speech_frames[0][0] + round(LONG_S * SAMPLE_RATE)
    far = sounds.room_impulse(int(rng.integers(0, 2**31)), 0.4, 3.0)
    heard = sounds.in_room(sounds.band_limited(clip.sound[:last], 200.0, 5000.0), far)
    return replace(
        clip,
        name=f"{clip.name} (TV)",
        kind="tv",
        sound=sounds.faded(sounds.at_level(heard[:last], BEHIND_DBFS)),
        speech_frames=tuple((a, min(b, last)) for a, b in clip.speech_frames if a < last),
    )
