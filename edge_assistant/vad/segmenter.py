"""From speech probabilities to facts about speech. Pure: no model, no clock, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from edge_assistant.audio.format import BLOCK_FRAMES, frames_of_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEdge:
    """Something changed at `at_frames`; `since_frames` is where it really began."""

    kind: Literal["onset", "dropped", "started", "paused"]
    at_frames: int
    since_frames: int


class _Phase(StrEnum):
    QUIET = "quiet"
    STARTING = "starting"
    SPEAKING = "speaking"
    STOPPING = "stopping"


ONSET_WINDOW_BLOCKS = 5
"""Blocks looked at for an onset. A share of a window, not a run: echo cancellers punch holes."""


class Segmenter:
    """Counts frames of speech and silence, and reports the edges. One thread (`ears`).

    Two detectors feed it: a fast one that judges every 10 ms block (`onset`), good for a duck
    and no more, and the one that decides (`window`), with hysteresis between its two
    thresholds.

    Args:
        speech_threshold: probability from which a window is speech.
        silence_threshold: probability below which a window of running speech is silence.
        min_speech_ms: speech in a row that counts as speech.
        pause_ms: silence in a row that counts as a pause.
        onset_ms: voiced blocks among the last `ONSET_WINDOW_BLOCKS` that make an onset.
        onset_hold_ms: how long an onset may stay unconfirmed, and how long until the next one.
    """

    def __init__(
        self,
        *,
        speech_threshold: float,
        silence_threshold: float,
        min_speech_ms: int,
        pause_ms: int,
        onset_ms: int,
        onset_hold_ms: int = 200,
    ) -> None:
        self._speech_threshold = speech_threshold
        self._silence_threshold = silence_threshold
        self._min_speech_frames = frames_of_ms(min_speech_ms)
        self._pause_frames = frames_of_ms(pause_ms)
        self._onset_blocks = max(
            1, min(frames_of_ms(onset_ms) // BLOCK_FRAMES, ONSET_WINDOW_BLOCKS)
        )
        self._onset_hold_frames = frames_of_ms(onset_hold_ms)
        self._phase = _Phase.QUIET
        self._since_frames = 0
        self._voiced: deque[bool] = deque(maxlen=ONSET_WINDOW_BLOCKS)
        self._onset_frames: int | None = None
        self._next_onset_frames = 0

    @property
    def is_speech(self) -> bool:
        """Whether speech is running, including the silence that is not yet a pause."""
        return self._phase in (_Phase.SPEAKING, _Phase.STOPPING)

    @property
    def is_voiced(self) -> bool:
        """Whether the newest window was speech."""
        return self._phase is _Phase.SPEAKING

    def onset(self, is_voiced: bool, at_frames: int) -> list[SpeechEdge]:
        """Take the fast detector's answer for the block that ends at `at_frames`."""
        self._voiced.append(is_voiced)
        if self.is_speech:
            return []
        if self._onset_frames is not None:
            expired = at_frames - self._onset_frames >= self._onset_hold_frames
            if expired and self._phase is _Phase.QUIET:
                return [self._drop(at_frames)]
            return []
        if sum(self._voiced) >= self._onset_blocks and at_frames >= self._next_onset_frames:
            return [self._begin_onset(at_frames)]
        return []

    def window(self, speech_prob: float, at_frames: int, window_frames: int) -> list[SpeechEdge]:
        """Take the deciding detector's answer for the window that ends at `at_frames`."""
        start_frames = at_frames - window_frames
        match self._phase:
            case _Phase.QUIET if speech_prob >= self._speech_threshold:
                self._phase, self._since_frames = _Phase.STARTING, start_frames
                edges = [] if self._onset_frames is not None else [self._begin_onset(at_frames)]
                return edges + self._confirm(at_frames)
            case _Phase.STARTING if speech_prob >= self._silence_threshold:
                return self._confirm(at_frames)
            case _Phase.STARTING:
                self._phase = _Phase.QUIET
                return [self._drop(at_frames)] if self._onset_frames is not None else []
            case _Phase.SPEAKING if speech_prob < self._silence_threshold:
                self._phase, self._since_frames = _Phase.STOPPING, start_frames
                return self._pause(at_frames)
            case _Phase.STOPPING if speech_prob >= self._speech_threshold:
                self._phase = _Phase.SPEAKING
            case _Phase.STOPPING:
                return self._pause(at_frames)
        return []

    def _begin_onset(self, at_frames: int) -> SpeechEdge:
        self._onset_frames = at_frames
        return SpeechEdge(kind="onset", at_frames=at_frames, since_frames=at_frames)

    def _drop(self, at_frames: int) -> SpeechEdge:
        since = self._onset_frames if self._onset_frames is not None else at_frames
        self._onset_frames = None
        self._next_onset_frames = at_frames + self._onset_hold_frames
        return SpeechEdge(kind="dropped", at_frames=at_frames, since_frames=since)

    def _confirm(self, at_frames: int) -> list[SpeechEdge]:
        if at_frames - self._since_frames < self._min_speech_frames:
            return []
        self._phase, self._onset_frames = _Phase.SPEAKING, None
        return [SpeechEdge(kind="started", at_frames=at_frames, since_frames=self._since_frames)]

    def _pause(self, at_frames: int) -> list[SpeechEdge]:
        if at_frames - self._since_frames < self._pause_frames:
            return []
        self._phase = _Phase.QUIET
        self._next_onset_frames = at_frames
        self._voiced.clear()
        return [SpeechEdge(kind="paused", at_frames=at_frames, since_frames=self._since_frames)]
