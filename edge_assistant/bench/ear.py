"""What the examiner hears of a system: its loudspeaker, nothing else.

No log and no VAD of the product has a say here, so that a stranger is judged by the same ear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_assistant.audio.format import Samples, frames_of_ms
from edge_assistant.audio.level import AUDIBLE_DBFS, gain_of_db

REPLY_HANGOVER_MS: Final = 500
"""A reply is over after so much silence; shorter gaps lie inside it. Full-Duplex-Bench v1.5 merges
the model's segments over the same gap (v1_v1.5/evaluation/get_timing.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One reply, as frames of the clock."""

    start_frames: int
    """Its first audible sample."""
    end_frames: int
    """The frame after its last audible sample so far."""


class Ear:
    """Follows the loudspeaker: a sample is audible above -50 dBFS (`AUDIBLE_DBFS`).

    A reply starts at its first audible sample and ends after its last one, which is known only
    once `hangover_ms` of silence has passed.

    Args:
        hangover_ms: longest silence inside a reply, at least one block.
    """

    def __init__(self, hangover_ms: int = REPLY_HANGOVER_MS) -> None:
        self.hangover_frames = frames_of_ms(hangover_ms)
        self.heard_frames = 0
        """Frames heard so far."""
        self.replies: list[Heard] = []
        self._threshold = np.float32(gain_of_db(AUDIBLE_DBFS))

    def hear(self, block: Samples) -> None:
        """Take the next block, float32 (frames,), no longer than the hangover."""
        loud = np.flatnonzero(np.abs(block) > self._threshold)
        if len(loud):
            first, end = self.heard_frames + int(loud[0]), self.heard_frames + int(loud[-1]) + 1
            last = self.replies[-1] if self.replies else None
            if last is None or first - last.end_frames >= self.hangover_frames:
                self.replies.append(Heard(start_frames=first, end_frames=end))
            else:
                self.replies[-1] = Heard(start_frames=last.start_frames, end_frames=end)
        self.heard_frames += len(block)

    @property
    def is_in_reply(self) -> bool:
        """Whether the last reply may still go on: its hangover has not passed."""
        if not self.replies:
            return False
        return self.heard_frames - self.replies[-1].end_frames < self.hangover_frames

    def reply_since(self, frame: int) -> Heard | None:
        """The last reply, if it started at or after `frame`."""
        if self.replies and self.replies[-1].start_frames >= frame:
            return self.replies[-1]
        return None
