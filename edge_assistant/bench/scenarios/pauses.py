"""A pause inside a turn: does the system take it for the end?

Made pauses have an exact length and stand where the speaker came nearest to pausing. That is harder
than a natural pause, before which a speaker slows down; natural ones are rows of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, BLOCK_MS, SAMPLE_RATE, Samples
from edge_assistant.bench.clips import Clip, Pool
from edge_assistant.bench.scenarios.common import HEARD_S, make_trial, rounds, shuffled, stimulus
from edge_assistant.bench.sounds import room_tone
from edge_assistant.bench.trial import Trial
from edge_assistant.bench.truth import active_dbfs, find_speech, is_loud, levels_dbfs

NAME: Final = "pauses"

LENGTHS_S: Final = (0.3, 0.5, 0.7, 1.0, 1.5)
NATURAL: Final = {"natural": ("clause", "question", "command"), "natural_read": ("read",)}
"""Conditions with the speakers' own pauses, and the kinds of their clips."""

CONDITIONS: Final = (*(f"{length_s:g}" for length_s in LENGTHS_S), *NATURAL)

AFTER_S: Final = 3.0
"""Who has not answered by then has let the turn pass."""

QUIET_FRAMES: Final = 12
"""The quietest 120 ms are the boundary, sought between 30 and 75 % of the speech."""

LEAST_GAP_FRAMES: Final = 3
"""Frames of 10 ms that are already quiet at the boundary; anything less would be a cut word."""

LEAST_SIDE_S: Final = 0.4
"""Speech on either side of the pause."""

MOST_S: Final = 6.0
"""Longest clip: a trial takes real time."""

NATURAL_S: Final = 0.3
"""Shortest inner pause that makes a clip a trial of natural pauses."""

TONE_BELOW_DB: Final = 45.0
"""The tone in a pause is at the level of the clip's own quietest frames, but this far below its
speech at the least."""


def build(pool: Pool, seed: int, count: int, only: Collection[str] = ()) -> list[Trial]:
    """Made pauses by length, natural ones of requests, and natural ones of read speech.

    Texts of two clauses have a boundary that is known to be one; where a pool has none, the
    quietest place of a request serves.
    """
    kinds = pool.of("clause") or pool.of("question", "command")
    whole = [clip for clip in kinds if clip.is_clear and clip.speech_s <= MOST_S]
    made = [clip for clip in shuffled(whole, seed, NAME) if boundary_frames(clip) is not None]
    natural = {name: _with_pauses(pool, seed, *kinds) for name, kinds in NATURAL.items()}
    conditions = [c for c in CONDITIONS if natural.get(c, made)]
    trials = []
    for condition, number in rounds(conditions, count, only):
        if condition in natural:
            clip = natural[condition][number % len(natural[condition])]
        else:
            clip = with_pause(made[number % len(made)], float(condition), seed)
        trials.append(
            make_trial(
                NAME,
                condition,
                number,
                [stimulus(clip, "pause")],
                pool=pool,
                seed=seed,
                after_s=AFTER_S,
                enough_s=HEARD_S,
            )
        )
    return trials


def _with_pauses(pool: Pool, seed: int, *kinds: str) -> list[Clip]:
    """Clips of 1.5 to 6 s that hold a natural pause."""
    least = NATURAL_S * SAMPLE_RATE
    return shuffled(
        [
            clip
            for clip in pool.of(*kinds)
            if clip.is_clear
            and 1.5 <= clip.speech_s <= MOST_S
            and any(b[0] - a[1] >= least for a, b in _neighbours(clip))
        ],
        seed,
        f"{NAME}/natural",
    )


def _neighbours(clip: Clip) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    return list(zip(clip.speech_frames, clip.speech_frames[1:], strict=False))


def boundary_frames(clip: Clip) -> tuple[int, int] | None:
    """(begin, end) of the silence at the one place where the clip may be parted.

    The only inner pause where there is one, else the quietest 120 ms. None where a clip has several
    pauses, none that is quiet, or not enough speech on either side.
    """
    stretches = clip.speech_frames
    if len(stretches) == 2:
        gap = (stretches[0][1], stretches[1][0])
    elif len(stretches) == 1:
        found = _quietest(clip)
        if found is None:
            return None
        gap = found
    else:
        return None
    least = LEAST_SIDE_S * SAMPLE_RATE
    is_inside = gap[0] - stretches[0][0] >= least and stretches[-1][1] - gap[1] >= least
    return gap if is_inside and _is_exact(clip, gap) else None


def _quietest(clip: Clip) -> tuple[int, int] | None:
    first, last = (frame // BLOCK_FRAMES for frame in clip.speech_frames[0])
    levels, loud = levels_dbfs(clip.sound), is_loud(clip.sound)
    length = last - first
    begin, end = first + round(0.3 * length), first + round(0.75 * length) - QUIET_FRAMES
    if end <= begin:
        return None
    power = 10.0 ** (levels / 10.0)
    means = [float(power[i : i + QUIET_FRAMES].mean()) for i in range(begin, end)]
    start = begin + int(np.argmin(means))
    middle = start + int(np.argmin(levels[start : start + QUIET_FRAMES]))
    if loud[middle]:
        return None
    left = int(np.flatnonzero(loud[:middle])[-1]) + 1
    right = middle + int(np.flatnonzero(loud[middle:])[0])
    if right - left < LEAST_GAP_FRAMES:
        return None
    return left * BLOCK_FRAMES, right * BLOCK_FRAMES


def _is_exact(clip: Clip, gap: tuple[int, int]) -> bool:
    """The parted clip reads as two stretches with nothing but the pause between them."""
    parted = _parted(clip, gap, int(LENGTHS_S[0] * SAMPLE_RATE), 0)
    return find_speech(parted.sound).frames == parted.speech_frames


def with_pause(clip: Clip, pause_s: float, seed: int) -> Clip:
    """The clip with a pause of exactly `pause_s` at its boundary.

    From the end of the last loud frame before it to the first loud frame after it there are
    `pause_s` seconds, whatever silence was there before.

    Raises:
        ValueError: the clip has no boundary, or the pause is no multiple of 10 ms.
    """
    gap = boundary_frames(clip)
    if gap is None:
        raise ValueError(f"{clip.name} has no place for a pause")
    pause_ms = round(pause_s * 1000)
    if pause_ms % BLOCK_MS or abs(pause_ms - pause_s * 1000) > 1e-6:
        raise ValueError(f"a pause of {pause_s} s is no multiple of {BLOCK_MS} ms")
    parted = _parted(clip, gap, pause_ms * SAMPLE_RATE // 1000, seed)
    return replace(parted, name=f"{clip.name} +{pause_s:g} s at {gap[0] / SAMPLE_RATE:.2f} s")


def _parted(clip: Clip, gap: tuple[int, int], pause: int, seed: int) -> Clip:
    """The clip with the silence `gap` made `pause` frames long; its own sound stays beside the
    words, room tone fills the middle."""
    left, right = gap
    keep = min(right - left, pause) // BLOCK_FRAMES // 2 * BLOCK_FRAMES
    fade = BLOCK_FRAMES // 2
    weight = np.zeros(pause, dtype=np.float32)
    own = np.zeros(pause, dtype=np.float32)
    if keep:
        ramp = np.linspace(1.0, 0.0, fade, dtype=np.float32)
        weight[:keep] = weight[-keep:] = 1.0
        weight[keep - fade : keep] = ramp
        weight[-keep : pause - keep + fade] = ramp[::-1]
        own[:keep] = clip.sound[left : left + keep]
        own[-keep:] = clip.sound[right - keep : right]
    tone = room_tone(pause, seed, _tone_dbfs(clip.sound))
    # A linear cross-fade of two sounds is never louder than the louder one: the pause stays quiet.
    middle = own * weight + tone * (1.0 - weight)
    shift = pause - (right - left)
    onset, end = clip.speech_frames[0][0], clip.speech_frames[-1][1]
    return replace(
        clip,
        sound=np.concatenate((clip.sound[:left], middle, clip.sound[right:])),
        speech_frames=((onset, left), (left + pause, end + shift)),
    )


def _tone_dbfs(sound: Samples) -> float:
    levels = levels_dbfs(sound)
    return min(float(np.percentile(levels, 2)), active_dbfs(sound) - TONE_BELOW_DB)
