"""The sample clock stays true, whatever the card or the ears miss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.pipeline.ears import Ears
from edge_assistant.vad.segmenter import Segmenter
from tests.fakes.engines import FakeVad

HUNG_S = 20.0


class Desk:
    """Ears whose card is the test."""

    def __init__(self, capture_rate: int) -> None:
        self.rate = capture_rate
        self.position = 0
        self.errors: list[Any] = []
        self.ears = Ears(
            capture_rate=capture_rate,
            clock=SampleClock(SAMPLE_RATE, 0, MonotonicClock()),
            playout=Playout(SAMPLE_RATE),
            vad=FakeVad(),
            onset_vad=FakeVad(),
            segmenter=Segmenter(
                speech_threshold=0.5,
                silence_threshold=0.35,
                min_speech_ms=96,
                pause_ms=100,
                onset_ms=30,
            ),
            echo=None,
            history_ms=40_000,
            post=lambda event: None,
            post_playout=lambda fact: None,
            on_error=self.errors.append,
            on_failure=self.errors.append,
        )

    def capture(self, seconds: float) -> None:
        frames = self.rate // 100
        for _ in range(round(seconds * 100)):
            self.ears.on_capture(np.zeros(frames, np.float32), self.position, 0.0)
            self.position += frames

    def drain(self) -> None:
        """Until the ears have taken up what the ring holds."""
        limit = time.monotonic() + HUNG_S
        while self.ears._ring.ready_frames:
            assert time.monotonic() < limit
            time.sleep(0.01)

    def lose(self, frames: int) -> None:
        self.position += frames

    def assert_true(self) -> None:
        """All that has passed on the card's clock has passed on the sample clock, but for what the
        resampler and the present block hold back."""
        expected = self.position * SAMPLE_RATE // self.rate
        limit = time.monotonic() + HUNG_S / 4
        while expected - self.ears.processed_frames > 4 * BLOCK_FRAMES:
            assert time.monotonic() < limit, (expected, self.ears.processed_frames)
            time.sleep(0.01)
        assert self.ears.processed_frames <= expected
        assert not self.errors


@pytest.fixture(params=[16_000, 44_100, 48_000])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(request.param)
    yield made
    assert made.ears.stop(HUNG_S)


def test_ears_that_were_behind_for_long_catch_up_to_the_frame(desk: Desk) -> None:
    desk.capture(30.0)  # the ring holds 2 s
    desk.ears.start()
    desk.drain()
    desk.capture(0.5)
    desk.assert_true()
    assert desk.ears.lost_frames == 28 * desk.rate
    assert desk.ears.dropped_blocks == 2800


def test_many_losses_of_any_length_do_not_add_up(desk: Desk) -> None:
    desk.ears.start()
    for number in range(40):
        desk.capture(0.05)
        desk.lose(desk.rate * 2 + number * 7 + desk.rate // 110)
    desk.drain()
    desk.capture(0.05)
    desk.assert_true()
