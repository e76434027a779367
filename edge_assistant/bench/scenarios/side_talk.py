"""The user speaks to somebody else, in a reply or out of the blue: reported, not graded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import (
    louder,
    make_trial,
    opener,
    rounds,
    shuffled,
    stimulus,
)
from edge_assistant.bench.sounds import band_limited
from edge_assistant.bench.trial import Trial

NAME: Final = "side_talk"

CONDITIONS: Final = ("in_reply", "alone")

AWAY_DB: Final = -6.0
"""A head that is turned away is softer, and dull above 4 kHz."""

MOST_S: Final = 4.0
AFTER_S: Final = 3.2
"""An answer to somebody else's words is counted within 3 s."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """Half of them 2 s into a reply, half with nobody speaking."""
    clips = [_turned_away(clip) for clip in shuffled(_sentences(pool), seed, NAME)]
    trials = []
    for condition, number in rounds(CONDITIONS if clips else (), count, only):
        clip = clips[number % len(clips)]
        if condition == "alone":
            stimuli = [stimulus(clip, "side_talk", is_user=False)]
        else:
            question = opener(pool, seed, NAME, number)
            if question is None:
                break
            aside = stimulus(clip, "side_talk", "into_reply", 2.0, is_user=False)
            stimuli = [stimulus(question, "question"), aside]
        trials.append(
            make_trial(NAME, condition, number, stimuli, pool=pool, seed=seed, after_s=AFTER_S)
        )
    return trials


def _sentences(pool: Pool) -> list[Clip]:
    """Made asides; else stretches of 1 to 4 s of recorded calls, meetings and free speech."""
    made = pool.of("side_talk")
    if made:
        return [clip for clip in made if clip.speech_frames]
    found: list[Clip] = []
    for clip in pool.of("call", "dialogue", "meeting", "spontaneous"):
        for first, last in clip.speech_frames:
            if 1.0 <= (last - first) / SAMPLE_RATE <= MOST_S:
                found.append(
                    replace(
                        clip,
                        name=f"{clip.name}@{first / SAMPLE_RATE:.2f}",
                        sound=clip.sound[first:last],
                        speech_frames=((0, last - first),),
                        text="",
                    )
                )
    return found


def _turned_away(clip: Clip) -> Clip:
    return louder(replace(clip, sound=band_limited(clip.sound, 0.0, 4000.0)), AWAY_DB)
