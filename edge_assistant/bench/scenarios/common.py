"""What the families of scenarios share: choosing clips by seed, and laying out a trial.

Trial n of a condition does not depend on how many trials there are, so a quick run is the beginning
of the full one.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.sounds import room_tone
from edge_assistant.bench.trial import Role, Stimulus, Trial

LEAD_S: Final = 0.3
"""Room tone before the user's first word."""

REPLY_WAIT_S: Final = 4.0
"""How long a trial waits for the reply into which something is to be played."""

TONE_S: Final = 10
"""Length of the room tone that is repeated under every trial."""

HEARD_S: Final = 1.5
"""How much of an answer is listened to where only its beginning is measured: Full-Duplex-Bench
takes what sounds for less than 1 s for no take-over."""

LEAST_CLIPS: Final = 3
"""A class of interruptions with fewer clips would measure those clips, not the class."""


def rng_of(seed: int, name: str) -> np.random.Generator:
    """A generator that belongs to one trial or one choice, whatever else is drawn elsewhere."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def shuffled(clips: Sequence[Clip], seed: int, name: str) -> list[Clip]:
    """The clips in an order that seed and name decide."""
    return [clips[int(i)] for i in rng_of(seed, f"order/{name}").permutation(len(clips))]


def rounds(
    conditions: Sequence[str], count: int, only: Collection[str] = ()
) -> Iterator[tuple[str, int]]:
    """`count` times (condition, number within it), the conditions in turn.

    With `only`, those of them alone; trial n of a condition stays the same trial.
    """
    chosen = [each for each in conditions if not only or each in only]
    for index in range(count if chosen else 0):
        yield chosen[index % len(chosen)], index // len(chosen)


def requests(pool: Pool, least_s: float = 0.8, most_s: float = 5.0) -> list[Clip]:
    """Finished requests without an inner pause, whose end is beyond doubt.

    Read passages are not among them: they are no requests, and end in the middle of a story. Nor is
    a text of one word ("yes"), which requests nothing.
    """
    return [
        clip
        for clip in pool.of("question", "command", "topic_change")
        if clip.is_clear
        and len(clip.speech_frames) == 1
        and least_s <= clip.speech_s <= most_s
        and (not clip.text or " " in clip.text)
    ]


def opener(pool: Pool, seed: int, name: str, number: int) -> Clip | None:
    """A question that makes the system speak for long; a request of any kind where there is none.

    None where the pool has neither.
    """
    choice = pool.openers or pool.of("opener") or tuple(requests(pool))
    return shuffled(choice, seed, name)[number % len(choice)] if choice else None


def stimulus(
    clip: Clip,
    role: Role,
    begins: Literal["at", "into_reply", "after_reply"] = "at",
    delay_s: float = LEAD_S,
    *,
    is_user: bool = True,
) -> Stimulus:
    """A clip as a stimulus."""
    return Stimulus(
        role=role,
        sound=clip.sound,
        label=clip.name,
        text=clip.text,
        speech_frames=clip.speech_frames,
        begins=begins,
        delay_s=delay_s,
        is_user=is_user,
    )


def sound_clip(sound: Samples, like: Clip | None, name: str, kind: str) -> Clip:
    """A made sound as a clip; `like` gives text, speaker and source of what it was made from."""
    base = like or Clip(name=name, sound=sound, text="", speaker="", kind=kind, source="synthetic")
    return replace(base, name=name, sound=sound, kind=kind)


def without_lead(clip: Clip) -> Clip:
    """The clip from its first frame of speech, for what has to start at once."""
    onset = clip.speech_frames[0][0]
    return replace(
        clip,
        sound=clip.sound[onset:],
        speech_frames=tuple((a - onset, b - onset) for a, b in clip.speech_frames),
    )


def louder(clip: Clip, gain_db: float) -> Clip:
    """The clip at another level."""
    return replace(clip, sound=clip.sound * np.float32(10.0 ** (gain_db / 20.0)))


def make_trial(
    scenario: str,
    condition: str,
    number: int,
    stimuli: Sequence[Stimulus],
    *,
    pool: Pool,
    seed: int,
    after_s: float,
    tail_s: float | None = None,
    enough_s: float | None = None,
    clip: Clip | None = None,
    background: Samples | None = None,
    room: Samples | None = None,
    echo_db: float = -200.0,
) -> Trial:
    """Lay out a trial that ends `after_s` after its last stimulus.

    Args:
        scenario: name in the registry.
        condition: row of the report.
        number: of the trial within its condition.
        stimuli: in the order in which they are played.
        pool: gives the source, unless `clip` does.
        seed: of the run.
        after_s: what is left to the system once the last stimulus is over.
        tail_s: silence of the system that ends the trial earlier; None for `after_s`.
        enough_s: how long is watched once all was played and answered; None to hear the reply out.
        clip: the sound that is measured, where its source differs from the pool's.
        background: None for room tone.
        room: impulse response of the echo path.
        echo_db: its gain.
    """
    source = clip.source if clip is not None else pool.source
    return Trial(
        id=f"{scenario}/{condition}/{source}/{number:03d}",
        scenario=scenario,
        condition=condition,
        source=source,
        seed=seed,
        stimuli=tuple(stimuli),
        limit_s=round(sum(_lasts_s(item) for item in stimuli) + after_s, 2),
        tail_s=after_s if tail_s is None else tail_s,
        after_s=after_s,
        enough_s=enough_s,
        background=_tone(seed) if background is None else background,
        room=room,
        echo_db=echo_db,
    )


def _lasts_s(item: Stimulus) -> float:
    """Seconds that a stimulus adds to the trial at the most."""
    begin = item.speech_frames[0][0] if item.speech_frames else 0
    waits = 0.0 if item.begins == "at" else REPLY_WAIT_S
    return waits + item.delay_s + (len(item.sound) - begin) / SAMPLE_RATE


@lru_cache(maxsize=4)
def _tone(seed: int) -> Samples:
    tone = room_tone(TONE_S * SAMPLE_RATE, seed)
    tone.flags.writeable = False  # shared by all trials of the seed
    return tone
