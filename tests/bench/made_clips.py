"""Voices that the tests make: harmonic tones in words, so that every onset and end is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, Samples
from edge_assistant.bench.clips import Clip, Pool, make_clip

TONE = 10.0 ** (-75 / 20)
"""Noise under a made recording, far below the threshold of speech."""

KINDS = (
    "opener",
    "question",
    "follow_up",
    "negation",
    "repeat_request",
    "topic_change",
    "stop",
    "backchannel",
    "side_talk",
)


def voice(words: Sequence[tuple[int, int]], *, frames: int, hz: float = 120.0) -> Samples:
    """A recording of `frames` 10 ms frames that speaks in the given (first, after last) ones."""
    length = frames * BLOCK_FRAMES
    seconds = np.arange(length) / 16_000
    tone = sum(np.sin(2 * np.pi * hz * n * seconds) / n for n in range(1, 20))
    gate = np.zeros(length)
    for first, last in words:
        gate[first * BLOCK_FRAMES : last * BLOCK_FRAMES] = 0.2
    noise = np.random.default_rng(0).standard_normal(length) * TONE
    return np.asarray(np.asarray(tone) * gate + noise, dtype=np.float32)


def clip(
    words: Sequence[tuple[int, int]],
    *,
    frames: int,
    kind: str,
    number: int = 0,
    text: str = "two words",
) -> Clip:
    """A made clip; every number is another voice."""
    sound = voice(words, frames=frames, hz=100.0 + 17.0 * number)
    return make_clip(
        sound,
        name=f"{kind}/{number}",
        kind=kind,
        source="synthetic",
        text=text,
        speaker=f"voice-{number}",
    )


def pool() -> Pool:
    """Three or four clips of every kind that a scenario asks for."""
    clips = [
        clip([(30, 130 + 5 * n)], frames=200, kind=kind, number=n)
        for kind in KINDS
        for n in range(3)
    ]
    clips += [
        clip([(30, 100), (105, 190 + n)], frames=240, kind="clause", number=n) for n in range(4)
    ]
    clips += [clip([(30, 110), (160, 230)], frames=280, kind="command", number=n) for n in range(3)]
    clips += [clip([(10, 400)], frames=430, kind="tv", number=n) for n in range(3)]
    clips.append(
        clip([(20 + 250 * n, 220 + 250 * n) for n in range(9)], frames=2300, kind="monologue")
    )
    rng = np.random.default_rng(5)
    music = np.asarray(0.1 * rng.standard_normal(80_000), dtype=np.float32)
    clips.append(make_clip(music, name="music/0", kind="music", source="synthetic"))
    return Pool(source="synthetic", clips=tuple(clips))
