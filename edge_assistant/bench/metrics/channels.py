"""What one channel tells: where it is audible, how loud it is, when it becomes quieter for good.

Positions are frames at 16 kHz. Nothing here is a voice activity detector: the loudspeaker's channel
is digitally silent where the system is silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.level import AUDIBLE_DBFS, SILENCE_DBFS, gain_of_db

MERGE_S: Final = 0.5
"""Silence within a reply that does not end it (Full-Duplex-Bench v1.5, get_timing.py)."""

DUCK_DB: Final = 12.0
"""Attenuation that counts as a duck."""

HOLD_S: Final = 0.3
"""An attenuation lasts if nothing louder follows for so long: longer than gaps between words."""

REFERENCE_S: Final = 1.0
"""The level before is taken over so long before the onset."""

REFERENCE_QUANTILE: Final = 0.9
"""Of the audible 10 ms levels before the onset: the loud parts of syllables, which pauses do not
pull down."""

MIN_REFERENCE_S: Final = 0.2
"""With less audible sound before the onset there is no level to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stretch of sound, from its first audible sample to just after its last."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return seconds(self.end - self.start)


def seconds(frames: int) -> float:
    """Frames as seconds."""
    return frames / SAMPLE_RATE


def frames(at_s: float) -> int:
    """Seconds as frames, to the nearest."""
    return round(at_s * SAMPLE_RATE)


def audible_runs(samples: Samples, merge_s: float = MERGE_S) -> tuple[Run, ...]:
    """Where samples are above -50 dBFS (DESIGN's and perf.md 1.7's threshold, not an RMS).

    Runs that are apart by `merge_s` of silence or less are one. Exact to the frame.
    """
    loud = np.flatnonzero(np.abs(samples) > gain_of_db(AUDIBLE_DBFS))
    if not len(loud):
        return ()
    cuts = np.flatnonzero(np.diff(loud) - 1 > frames(merge_s))
    starts = [int(loud[0]), *(int(loud[cut + 1]) for cut in cuts)]
    ends = [*(int(loud[cut]) + 1 for cut in cuts), int(loud[-1]) + 1]
    return tuple(Run(start=a, end=b) for a, b in zip(starts, ends, strict=True))


def run_at(runs: tuple[Run, ...], frame: int) -> Run | None:
    """The run that `frame` lies in."""
    return next((run for run in runs if run.start <= frame < run.end), None)


def levels_dbfs(samples: Samples) -> NDArray[np.float64]:
    """RMS level of each 10 ms frame; what is left over at the end is a frame too."""
    if not len(samples):
        return np.zeros(0)
    missing = -len(samples) % BLOCK_FRAMES
    padded = np.pad(np.square(samples, dtype=np.float64), (0, missing))
    power = padded.reshape(-1, BLOCK_FRAMES).mean(axis=1)
    floor = 10.0 ** (SILENCE_DBFS / 10.0)
    return np.asarray(10.0 * np.log10(np.maximum(power, floor)))


def reference_dbfs(samples: Samples, onset: int) -> float | None:
    """How loud the channel was in the second before `onset`; None with too little to tell."""
    before = levels_dbfs(samples[max(0, onset - frames(REFERENCE_S)) : onset])
    audible = before[before > AUDIBLE_DBFS]
    if len(audible) * BLOCK_FRAMES < frames(MIN_REFERENCE_S):
        return None
    return float(np.quantile(audible, REFERENCE_QUANTILE))


def duck_frame(samples: Samples, onset: int, within_s: float) -> int | None:
    """First 10 ms frame, counted from `onset`, from which on the channel stays low.

    Low: for `HOLD_S` no 10 ms frame is above `reference_dbfs` - `DUCK_DB`. A voice is that low
    within words too, so the answer can be early by the gap between two words, and a pause of
    `HOLD_S` in the reply is taken for a duck. None: it never is within `within_s`, or there
    was nothing to compare with.
    """
    reference = reference_dbfs(samples, onset)
    if reference is None:
        return None
    hold = math.ceil(frames(HOLD_S) / BLOCK_FRAMES)
    steps = frames(within_s) // BLOCK_FRAMES
    after = levels_dbfs(samples[onset : onset + (steps + hold) * BLOCK_FRAMES])
    after = np.pad(after, (0, steps + hold - len(after)), constant_values=SILENCE_DBFS)
    is_low = after <= reference - DUCK_DB
    for step in range(steps):
        if is_low[step : step + hold].all():
            return onset + step * BLOCK_FRAMES
    return None
