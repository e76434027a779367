"""A sound card that a test drives, as fast as it likes."""

from __future__ import annotations

import time

import numpy as np

from edge_assistant.audio.card import OnBack, OnCapture, OnLost, OnPlayback, Xruns
from edge_assistant.audio.format import SAMPLE_RATE, Samples


class ManualCard:
    """20 ms blocks when the test says so; real time divided by `speed`."""

    name = "manual"
    is_lock_step = True
    on_back: OnBack | None = None
    xruns = Xruns()
    capture_rate = SAMPLE_RATE
    playback_rate = SAMPLE_RATE
    block_frames = SAMPLE_RATE // 50

    def __init__(self, speed: float = 4.0) -> None:
        self.speed = speed
        self.position = 0
        self.played: list[Samples] = []
        self.is_started = False
        self.is_stopped = False

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        self._on_capture, self._on_playback, self.on_lost = on_capture, on_playback, on_lost
        self.is_started = True

    def stop(self) -> None:
        self.is_stopped = True

    def block(self, sound: Samples | None = None) -> None:
        """One block in, one block out."""
        block = np.zeros(self.block_frames, np.float32) if sound is None else sound
        out = np.zeros(self.block_frames, np.float32)
        begins = self.position
        self.position += self.block_frames
        self._on_capture(block, begins, begins / SAMPLE_RATE)
        self._on_playback(out, begins, self.position / SAMPLE_RATE)
        self.played.append(out)
        time.sleep(self.block_frames / SAMPLE_RATE / self.speed)

    def silence(self, seconds: float) -> None:
        """The user is silent."""
        for _ in range(round(seconds * SAMPLE_RATE / self.block_frames)):
            self.block()

    def speech(self, seconds: float) -> None:
        """The user makes the noise that `FakeVad` takes for speech."""
        hum = (np.sin(np.arange(self.block_frames) * 0.3) * 0.3).astype(np.float32)
        for _ in range(round(seconds * SAMPLE_RATE / self.block_frames)):
            self.block(hum)

    def audio(self) -> Samples:
        """All that was played."""
        return np.concatenate(self.played)
