"""The detectors that listen all the time or at every pause: what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, frames_of_ms
from edge_assistant.bench.metrics.statistics import quantile
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.probe import Job, Sheet
from edge_assistant.engine_bench.speech import Speech
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.vad.protocol import VoiceActivityDetector

CALLS: Final = 3
TURN_S: Final = 4.0
PAUSE_MS: Final = 200
"""Silence behind the turn: the shortest pause after which the turn detector is asked."""


class VadProbe:
    """Listens to the talk, window by window, one right after the other."""

    def __init__(self, detector: VoiceActivityDetector, speech: Speech) -> None:
        self._detector = detector
        size = detector.window_frames
        count = len(speech.talk) // size
        self._windows = speech.talk[: count * size].reshape(count, size)

    def first_call(self, token: CancelToken) -> None:
        """One window."""
        del token
        self._detector.speech_prob(self._windows[0])

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """CPU time of the process by the duration of the sound, and wall time of the windows."""
        token.raise_if_cancelled()
        self._detector.reset()
        times_s = []
        cpu_s = time.process_time()
        for window in self._windows:
            began_s = time.perf_counter()
            self._detector.speech_prob(window)
            times_s.append(time.perf_counter() - began_s)
        cpu_s = time.process_time() - cpu_s
        sheet.put("cpu_rtf", cpu_s * SAMPLE_RATE / self._windows.size)
        sheet.put("window_s", quantile(times_s, 0.5))
        sheet.put("window_p99_s", quantile(times_s, 0.99))

    def jobs(self) -> tuple[Job, ...]:
        """None: a window is too short to be cancelled."""
        return ()

    def close(self) -> None:
        """It has nothing to give back but itself."""


class TurnProbe:
    """Judges the same turn several times."""

    def __init__(self, detector: TurnDetector, speech: Speech) -> None:
        self._detector = detector
        pause = np.zeros(frames_of_ms(PAUSE_MS), dtype=np.float32)
        self._turn = np.concatenate([speech.talk[: round(TURN_S * SAMPLE_RATE)], pause])

    def first_call(self, token: CancelToken) -> None:
        """One judgement."""
        self._detector.end_probability(self._turn, token)

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """Wall and CPU time of each call."""
        for _ in range(CALLS):
            cpu_s, began_s = time.process_time(), time.perf_counter()
            self._detector.end_probability(self._turn, token)
            sheet.put("call_s", time.perf_counter() - began_s)
            sheet.put("call_cpu_s", time.process_time() - cpu_s)

    def jobs(self) -> tuple[Job, ...]:
        """One judgement."""

        def run(token: CancelToken, begin: Callable[[], None]) -> None:
            begin()
            self._detector.end_probability(self._turn, token)

        return (Job(name="turn", run=run),)

    def close(self) -> None:
        """Give the memory back."""
        self._detector.close()
