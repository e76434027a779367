"""Breaks in the sound, told while they happen and not more often than is of use."""

from __future__ import annotations

from typing import Any, Final

from edge_assistant.audio.card import SoundCard
from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import SampleClock
from edge_assistant.pipeline.ears import Ears
from edge_assistant.trace import EventLog

PAUSE_FRAMES: Final = SAMPLE_RATE
"""A second between two events of one kind: a device in trouble has hundreds of xruns a second."""


class XrunLog:
    """Makes `xrun` events of what card, ears and playout count; their counts add up to the total.

    `tell` is called by one thread at a time.
    """

    def __init__(
        self, card: SoundCard, ears: Ears, playout: Playout, log: EventLog, clock: SampleClock
    ) -> None:
        self._card, self._ears, self._playout = card, ears, playout
        self._log, self._clock = log, clock
        self._told: dict[str, int] = {}
        self._told_at_frames: dict[str, int] = {}
        self._told_gap_frames = 0

    def tell(self, *, is_last: bool = False) -> None:
        """Emit what has come up since the last time; `is_last`: however short ago that was."""
        now = self._clock.now_frames()
        gaps = self._playout.gaps
        for kind, count in self._counts(gaps.count).items():
            new = count - self._told.get(kind, 0)
            next_frames = self._told_at_frames.get(kind, -PAUSE_FRAMES) + PAUSE_FRAMES
            if new == 0 or (now < next_frames and not is_last):
                continue
            self._told[kind], self._told_at_frames[kind] = count, now
            more = self._gap(gaps.frames) if kind == "playout_gap" else {}
            self._log.emit("xrun", now, kind=kind, count=new, **more)

    def _gap(self, frames: int) -> dict[str, Any]:
        gap_s = (frames - self._told_gap_frames) / self._playout.sample_rate
        self._told_gap_frames = frames
        return {"gap_s": round(gap_s, 4)}

    def _counts(self, gaps: int) -> dict[str, int]:
        card = self._card.xruns
        return {
            "input_overflow": card.input_overflows,
            "input_underflow": card.input_underflows,
            "output_overflow": card.output_overflows,
            "output_underflow": card.output_underflows,
            "dropped_input": self._ears.dropped_blocks,
            "playout_gap": gaps,
        }
