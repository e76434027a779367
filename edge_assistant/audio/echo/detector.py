"""Whether the microphone hears the loudspeaker at all, and how it does."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge_assistant.audio.echo.likeness import likeness
from edge_assistant.audio.echo.path import EchoPath, Emphasis, Explained, FarLine
from edge_assistant.audio.format import Samples

VERDICT_BLOCKS: Final = 200
"""After 2 s of the loudspeaker without an echo there is none. Until then there may be one."""

LIKE_BLOCKS: Final = (70, 100, 130, 160)
LIKE: Final = 11.0
"""A microphone that after 0.7 s (then 1.0 s ...) is no more like the loudspeaker than this, hears
something else, or nothing. Of 180 first replies in rooms the one least like its echo had 17.6; of
80 without an echo that a user talked into, 3 in 4 were below 11 after 0.7 s and nearly all after
1 s. Echo and user together may be as unlike, so it holds for that reply only. (A silent microphone
alone would tell after 0.3 s, but so would an echo at -20 dB that begins with a soft sound.)"""

FOUND_DB: Final = 1.5
"""So much of the microphone's level, on average over 1 s, the model explains: there is an echo."""

LOST_DB: Final = 0.4
"""So little, on average over 5 s: there is none any more. Somebody plugged headphones in."""

FAST: Final = 0.01
SLOW: Final = 0.002
RIVAL: Final = 0.03
"""What a block adds to an average over 1 s, over 5 s, over 0.3 s."""

LIMITS_DB: Final = (-3.0, 10.0)
"""A block counts for so little and so much: who talks over the echo makes many blocks that are not
explained, and they must not outweigh those between his words."""

RIVAL_BLOCKS: Final = 200
"""A second model begins anew every 2 s: the first is too sure of itself to follow a loudspeaker
that is moved."""

RIVAL_AGE_BLOCKS: Final = 60
RIVAL_DB: Final = 1.0
"""It takes the first one's place where, 0.6 s old, it explains so much more."""


class EchoDetector:
    """Keeps the model of the way, and the verdict, from one reply to the next. Thread: `ears`."""

    def __init__(self) -> None:
        self.path = EchoPath()
        self.is_echo: bool | None = None
        """Whether there is an echo; None until enough was heard of the loudspeaker to say."""
        self._line = FarLine()
        self._near_emphasis, self._far_emphasis = Emphasis(), Emphasis()
        self._heard_blocks = 0
        self._near: list[Samples] = []
        self._far: list[Samples] = []
        """What both gave in this reply, until there is a verdict."""
        self._is_for_now = False
        """The verdict holds until the loudspeaker is silent."""
        self._fast_db = 0.0
        self._slow_db = 0.0
        self._rival = EchoPath()
        self._rival_age_blocks = 0
        self._rival_db = 0.0
        """How much of the microphone the rival explains."""
        self._better_db = 0.0
        """How much more than the model that is."""

    @property
    def explained_db(self) -> float:
        """How much of the microphone the model has explained of late, or over a while: 0 to 10."""
        return max(self._fast_db, self._slow_db, 0.0)

    def settle(self) -> None:
        """The loudspeaker has fallen silent for good."""
        self.path.settle()
        self._rival.settle()
        self._near, self._far = [], []
        if self._is_for_now and self.is_echo is False:
            self.is_echo, self._is_for_now = None, False

    def skip(self, near: Samples) -> Samples:
        """Take a block of which nothing can be learnt, the loudspeaker being silent for long; it
        comes back as the model would have been given it."""
        return self._near_emphasis.lift(near)

    def listen(self, near: Samples, far: Samples, is_sounding: bool) -> Explained:
        """Take a block of both, float32 (160,).

        Args:
            near: the microphone.
            far: the loudspeaker at that time.
            is_sounding: False in a pause of the loudspeaker, of which nothing can be learnt.
        """
        far = self._far_emphasis.lift(far)
        self._line.push(far)
        near = self._near_emphasis.lift(near)
        found = self.path.explain(near, self._line)
        other = self._rival.explain(near, self._line)
        if is_sounding:
            heard, left, right = power_of(near), power_of(found.rest), power_of(other.rest)
            self._judge(_clipped_db(heard / left))
            if self.is_echo is None:
                self._judge_likeness(near, far)
            self._compare(_clipped_db(heard / right), _clipped_db(left / right))
        return found

    def _judge_likeness(self, near: Samples, far: Samples) -> None:
        """What has nothing in common with the loudspeaker needs no model to be understood."""
        self._near.append(near)
        self._far.append(far)
        if len(self._near) not in LIKE_BLOCKS:
            return
        if likeness(np.concatenate(self._near), np.concatenate(self._far)) < LIKE:
            self.is_echo, self._is_for_now = False, True

    def _judge(self, explained_db: float) -> None:
        self._heard_blocks += 1
        self._fast_db += FAST * (explained_db - self._fast_db)
        self._slow_db += SLOW * (explained_db - self._slow_db)
        if self._fast_db > FOUND_DB:
            self.is_echo = True
            self._slow_db = max(self._slow_db, FOUND_DB)
        elif self._heard_blocks >= VERDICT_BLOCKS and self._slow_db < LOST_DB:
            self.is_echo, self._is_for_now = False, False

    def _compare(self, rival_db: float, better_db: float) -> None:
        """Let the rival take the place of the model, or begin anew."""
        self._rival_age_blocks += 1
        self._rival_db += RIVAL * (rival_db - self._rival_db)
        self._better_db += RIVAL * (better_db - self._better_db)
        is_old = self._rival_age_blocks >= RIVAL_AGE_BLOCKS
        if is_old and self._better_db > RIVAL_DB:
            self.path = self._rival
            self._fast_db = self._rival_db
        elif self._rival_age_blocks < RIVAL_BLOCKS:
            return
        self._rival, self._rival_age_blocks = EchoPath(), 0
        self._rival_db = self._better_db = 0.0


def _clipped_db(ratio: float) -> float:
    low, high = LIMITS_DB
    return min(max(10.0 * math.log10(ratio), low), high)


def power_of(block: Samples) -> float:
    """Mean square, and never quite nothing."""
    return float(np.mean(np.square(block, dtype=np.float64))) + 1e-12
