"""The ears: from captured blocks to ticks and facts about speech. Never more than one window of
work."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from edge_assistant.audio.echo.canceller import EchoCanceller
from edge_assistant.audio.format import (
    BLOCK_FRAMES,
    SAMPLE_RATE,
    Samples,
    frames_of_ms,
    sanitize,
)
from edge_assistant.audio.level import rms_dbfs
from edge_assistant.audio.playout import Playout, PlayoutFact
from edge_assistant.audio.resample import Resampler
from edge_assistant.audio.ring import FrameRing, HistoryRing
from edge_assistant.borders import telling
from edge_assistant.clock import SampleClock
from edge_assistant.errors import EdgeAssistantError, PipelineError
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    SpeechDipped,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
)
from edge_assistant.vad.dip import DipDetector
from edge_assistant.vad.protocol import VoiceActivityDetector
from edge_assistant.vad.segmenter import Segmenter, SpeechEdge

_LOGGER: Final = logging.getLogger(__name__)

CAPTURE_RING_MS: Final = 2_000
"""How far the ears may fall behind the card before audio is lost (and counted)."""

MAX_FILL_S: Final = 1.0
"""Longest silence that stands in for lost frames, enough to end a word; what is lost beyond it (a
device that was away for minutes) is jumped over."""


class Ears:
    """Owns the `ears` thread; the card calls `on_capture`.

    Args:
        capture_rate: of the card, Hz.
        vad: judges every window.
        onset_vad: judges every 10 ms block, for the duck.
        echo: cleans every block before anybody hears it; None where nothing needs to.
        history_ms: how much of the past `heard` can give.
        beginning_ms: how far back speech may have begun of which nobody was told yet, with what is
            wanted from before it; `forget` leaves that.
        post: takes facts for the floor; must not block.
        post_playout: takes what became of replies; must not block.
        on_error: told once when the detector fails and the fast one takes its place.
        on_failure: told when the ears cannot go on.
    """

    def __init__(
        self,
        *,
        capture_rate: int,
        clock: SampleClock,
        playout: Playout,
        vad: VoiceActivityDetector,
        onset_vad: VoiceActivityDetector,
        segmenter: Segmenter,
        echo: EchoCanceller | None,
        history_ms: int,
        beginning_ms: int,
        post: Callable[[Event], None],
        post_playout: Callable[[PlayoutFact], None],
        on_error: Callable[[EdgeAssistantError], None],
        on_failure: Callable[[EdgeAssistantError], None],
    ) -> None:
        self._capture_rate = capture_rate
        self._clock = clock
        self._playout = playout
        self._vad = vad
        self._onset_vad = onset_vad
        self._segmenter = segmenter
        self._dips = DipDetector()
        self._echo = echo
        self._post = post
        self._post_playout = post_playout
        self._on_error = on_error
        self._on_failure = on_failure
        self._ring = FrameRing(frames_of_ms(CAPTURE_RING_MS, capture_rate))
        self._resampler = Resampler(capture_rate, SAMPLE_RATE, "LQ")
        self._heard = HistoryRing(frames_of_ms(history_ms))
        self._beginning_frames = frames_of_ms(beginning_ms)
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ears", daemon=True)
        self._block: Samples = np.zeros(0, dtype=np.float32)
        self._window: Samples = np.zeros(0, dtype=np.float32)
        # Written by the card, read by anyone; each assignment is one store.
        self._expected_frame = 0
        self._missing_frames = 0
        self._gaps: deque[tuple[int, int]] = deque()
        """(position in the ring, frames lost there); no more than there are blocks in the ring."""
        self._anchor = (0, 0.0)
        self.lost_frames = 0
        """Frames of the card that never came, or came while the ears were behind."""
        self.dropped_blocks = 0
        """Blocks that came while the ears were too far behind to take them whole."""

    @property
    def processed_frames(self) -> int:
        """Position of the sample clock up to which the ears have listened."""
        return self._heard.end_frames

    def heard(self, from_frames: int, to_frames: int) -> Samples:
        """A copy of the past; any thread."""
        return self._heard.read(from_frames, to_frames)

    def forget(self) -> None:
        """Overwrite the past, but for the beginning of who opens his mouth just now; any thread."""
        self._heard.wipe(self._beginning_frames)

    def frame_at(self, time_s: float) -> int:
        """The position of the sample clock that belongs to `time_s` of the card's clock."""
        frame, anchor_s = self._anchor
        return frame + round((time_s - anchor_s) * SAMPLE_RATE)

    def _time_at(self, frame: int) -> float:
        """When the microphone took in that frame, on the card's clock."""
        anchor_frame, anchor_s = self._anchor
        return anchor_s + (frame - anchor_frame) / SAMPLE_RATE

    # --- card callback -----------------------------------------------------------------------

    def on_capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        """Copy a block; a card's callback. No lock of ours, no wait."""
        self._missing_frames += max(0, first_frame - self._expected_frame)
        if self._missing_frames and self._ring.free_frames:
            # Noted only with the sound that follows: losses in a row are one gap, however many.
            self._gaps.append((self._ring.written_frames, self._missing_frames))
            self._missing_frames = 0
        dropped_frames = len(block) - self._ring.write(block)
        self._missing_frames += dropped_frames
        self.dropped_blocks += dropped_frames > 0
        self._expected_frame = first_frame + len(block)
        self._anchor = (first_frame * SAMPLE_RATE // self._capture_rate, time_s)
        self._clock.anchor(self._expected_frame * SAMPLE_RATE // self._capture_rate)
        self._wake.set()

    # --- the thread --------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False where it did not end in time."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with telling(self._failed):  # deaf ears must not look like a silent room
            self._serve()

    def _failed(self, error: Exception) -> None:
        _LOGGER.debug("the ears failed", exc_info=error)
        self._on_failure(
            PipelineError(
                "ears-failed",
                f"The ears failed: {type(error).__name__}: {error}",
                "report it with the file of --events",
            )
        )

    def _serve(self) -> None:
        scratch = np.zeros(frames_of_ms(10, self._capture_rate), dtype=np.float32)
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            while self._ring.ready_frames or self._gaps:
                if not self._fill_gap():
                    self._listen(scratch[: self._ring.read_into(self._up_to_gap(scratch))])

    def _up_to_gap(self, scratch: Samples) -> Samples:
        if not self._gaps:
            return scratch
        return scratch[: self._gaps[0][0] - self._ring.read_frames]

    def _fill_gap(self) -> bool:
        """Let silence stand in for lost frames, so that the sample clock stays true."""
        if not self._gaps or self._gaps[0][0] > self._ring.read_frames:
            return False
        _, frames = self._gaps.popleft()
        self.lost_frames += frames
        beyond = max(0, frames - int(MAX_FILL_S * self._capture_rate))
        jumped_blocks = beyond * SAMPLE_RATE // self._capture_rate // BLOCK_FRAMES
        filled = frames - jumped_blocks * BLOCK_FRAMES * self._capture_rate // SAMPLE_RATE
        self._listen(np.zeros(filled, dtype=np.float32))
        if jumped_blocks:
            self._heard.jump(jumped_blocks * BLOCK_FRAMES)
            self._vad.reset()
            self._post(Tick(at_frames=self._heard.end_frames))
        return True

    def _listen(self, samples: Samples) -> None:
        samples = self._resampler.process(sanitize(samples))
        self._block = np.concatenate([self._block, samples])
        while len(self._block) >= BLOCK_FRAMES:
            block, self._block = self._block[:BLOCK_FRAMES], self._block[BLOCK_FRAMES:]
            self._tick(block)

    def _tick(self, block: Samples) -> None:
        if self._echo is None:
            self._heard.append(block)
        else:
            block = self._echo.clean(block, self._time_at(self._heard.end_frames))
            if (missed := self._echo.take_missed()) is not None:
                self._hear_again(missed)
            self._heard.append(self._echo.ungated)
        at_frames = self._heard.end_frames
        is_speech = self._segmenter.is_speech
        if self._dips.block(rms_dbfs(block), at_frames, is_speech=is_speech):
            self._post(SpeechDipped(at_frames=at_frames))
        for edge in self._edges(block, at_frames):
            self._post(_fact(edge, self._dips.since_frames))
        for fact in self._playout.service():
            self._post_playout(fact)
        self._post(Tick(at_frames=at_frames, is_voiced=self._segmenter.is_voiced))

    def _hear_again(self, missed: Samples) -> None:
        """What was taken for echo and is none: who spoke in it began then, and is told of now."""
        missed = missed[-self._heard.capacity_frames :]
        self._heard.correct(missed)
        now_frames = self._heard.end_frames
        self._window = self._window[:0]
        for first in range(0, len(missed), BLOCK_FRAMES):
            block = missed[first : first + BLOCK_FRAMES]
            for edge in self._edges(block, now_frames - len(missed) + first + len(block)):
                self._post(_fact(replace(edge, at_frames=now_frames), None))

    def _edges(self, block: Samples, at_frames: int) -> list[SpeechEdge]:
        # WebRTC's detector says "voiced" for 60 ms after a voice: that must not look like an onset.
        is_voiced = self._onset_vad.speech_prob(block) >= 0.5 and not self._dips.is_low
        edges = self._segmenter.onset(is_voiced, at_frames)
        self._window = np.concatenate([self._window, block])
        size = self._vad.window_frames
        while len(self._window) >= size:
            window, self._window = self._window[:size], self._window[size:]
            ended = at_frames - len(self._window)
            edges += self._segmenter.window(self._probability(window), ended, size)
        return edges

    def _probability(self, window: Samples) -> float:
        try:
            return self._vad.speech_prob(window)
        except EdgeAssistantError as error:
            self._vad = self._onset_vad  # it cannot fail: no model, no session
            self._on_error(error)
            return 0.0


def _fact(edge: SpeechEdge, dipped_frames: int | None) -> Event:
    match edge.kind:
        case "onset":
            return SpeechOnset(at_frames=edge.at_frames)
        case "dropped":
            return OnsetDropped(at_frames=edge.at_frames)
        case "started":
            return SpeechStarted(at_frames=edge.at_frames, started_frames=edge.since_frames)
        case "paused":
            return SpeechPaused(
                at_frames=edge.at_frames,
                ended_frames=edge.since_frames,
                dipped_frames=dipped_frames,
            )
