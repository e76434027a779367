"""Where speech begins, pauses and ends, found on a clean clip before anything is mixed into it.

The rule needs no model, so no product that is examined can share its opinion or its faults:

- frames of 10 ms, their root mean square level in dBFS;
- active level: the mean power of the frames within 20 dB of the loudest one. It is the idea of
  ITU-T P.56, the level of speech while it is active and not of the file with its silences; P.56
  itself finds its threshold from an envelope, 15.9 dB below the result;
- a frame is loud within 35 dB of the active level;
- pause: at least 200 ms of frames that are not, which is longer than the closure of a stop
  consonant. A stretch of sound between two pauses that nowhere comes within 20 dB of the loudest
  frame for three frames in a row is a click or a touched microphone, not speech, and left out;
- onset: the first of the first three loud frames in a row; end: the last loud frame of the last
  stretch.

Breath and lips that follow a word within 200 ms count as speech, so the end comes rather late than
early: `tests/bench/checked_ends.tsv` has 30 ends by this rule and by eye.

The rule is only as good as the recording is quiet: where noise itself comes within 35 dB of the
speech, there is no end to be found. `Speech.is_clear` says so, and scenarios that time an end take
only clips that are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import BLOCK_FRAMES, Samples, frames_of_ms
from edge_assistant.audio.level import SILENCE_DBFS

ACTIVE_DB: Final = 20.0
"""Frames this far below the loudest still count towards the active level."""

SPEECH_DB: Final = 35.0
"""Frames this far below the active level still are speech."""

RUN: Final = 3
"""Frames in a row that make speech of sound."""

PAUSE_MS: Final = 200
"""Shorter silences are part of the speech."""

CLEAR_MS: Final = 50
"""Silence that a clip must hold after its last frame of speech for that end to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """The speech of one clip."""

    frames: tuple[tuple[int, int], ...]
    """(onset, end) of each stretch between two pauses, in frames, multiples of 160; empty where
    there is no speech."""
    active_dbfs: float
    """Level of the speech while it is active."""
    is_clear: bool
    """The clip falls silent after its end, so the end is that of the speech and not of the file."""

    @property
    def onset_frames(self) -> int:
        """First frame of speech; 0 where there is none."""
        return self.frames[0][0] if self.frames else 0

    @property
    def end_frames(self) -> int:
        """First frame after the speech; 0 where there is none."""
        return self.frames[-1][1] if self.frames else 0

    @property
    def pauses(self) -> tuple[tuple[int, int], ...]:
        """(begin, end) of each inner pause, in frames."""
        return tuple(
            (end, onset) for (_, end), (onset, _) in zip(self.frames, self.frames[1:], strict=False)
        )


def levels_dbfs(sound: Samples) -> NDArray[np.float64]:
    """Level of each whole 10 ms frame, shape (len(sound) // 160,), at least -120 dBFS."""
    whole = len(sound) // BLOCK_FRAMES * BLOCK_FRAMES
    power = np.mean(np.square(sound[:whole].reshape(-1, BLOCK_FRAMES), dtype=np.float64), axis=1)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DBFS / 10.0))))


def active_dbfs(sound: Samples) -> float:
    """Level of the speech in `sound` while it is active (see above); -120 for silence."""
    levels = levels_dbfs(sound)
    if not len(levels):
        return SILENCE_DBFS
    active = levels[levels >= levels.max() - ACTIVE_DB]
    return float(10.0 * np.log10(np.mean(10.0 ** (active / 10.0))))


def is_loud(sound: Samples, active: float | None = None) -> NDArray[np.bool_]:
    """Whether each 10 ms frame is within 35 dB of the active level; silence never is.

    Args:
        sound: float32, (frames,).
        active: level to go by in dBFS; None for the active level of `sound`.
    """
    levels = levels_dbfs(sound)
    reference = active_dbfs(sound) if active is None else active
    return np.asarray((levels >= reference - SPEECH_DB) & (levels > SILENCE_DBFS))


def find_speech(sound: Samples, pause_ms: int = PAUSE_MS) -> Speech:
    """Onset, end and inner pauses of the speech in a clean clip.

    Args:
        sound: float32, (frames,), 16000 Hz; one voice and little else.
        pause_ms: the shortest silence that divides speech.
    """
    loud, levels, active = is_loud(sound), levels_dbfs(sound), active_dbfs(sound)
    least = frames_of_ms(pause_ms) // BLOCK_FRAMES
    stretches = [
        (a, b)
        for a, b in _joined(_runs(loud), least)
        if _first_run(loud[a:b] & (levels[a:b] >= levels.max() - ACTIVE_DB)) is not None
    ]
    if not stretches:
        return Speech(frames=(), active_dbfs=active, is_clear=False)
    first, last = stretches[0]
    stretches[0] = (first + (_first_run(loud[first:last]) or 0), last)
    after = _runs(~loud[stretches[-1][1] :])
    return Speech(
        frames=tuple((a * BLOCK_FRAMES, b * BLOCK_FRAMES) for a, b in stretches),
        active_dbfs=active,
        is_clear=bool(after) and after[0][1] * BLOCK_FRAMES >= frames_of_ms(CLEAR_MS),
    )


def _runs(loud: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, after last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _joined(runs: list[tuple[int, int]], least: int) -> list[tuple[int, int]]:
    """Runs with fewer than `least` frames between them made one."""
    joined: list[tuple[int, int]] = []
    for a, b in runs:
        if joined and a - joined[-1][1] < least:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return joined


def _first_run(loud: NDArray[np.bool_]) -> int | None:
    """Index of the first of the first `RUN` frames in a row."""
    return next((a for a, b in _runs(loud) if b - a >= RUN), None)
