"""The sample clock stays true, whatever the card or the ears miss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import pytest

from edge_assistant.audio.echo.canceller import EchoCanceller
from edge_assistant.audio.echo.detector import LIKE_BLOCKS
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.pipeline.ears import Ears
from edge_assistant.turns.events import (
    Event,
    SpeechDipped,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
)
from edge_assistant.vad.protocol import VoiceActivityDetector
from edge_assistant.vad.segmenter import Segmenter
from tests.fakes.engines import FakeVad

HUNG_S = 20.0
E = TypeVar("E", bound=Event)


class SlowToLetGo:
    """Loud is voiced, and so is what follows for 0.2 s; WebRTC's detector has 60 ms."""

    window_frames = BLOCK_FRAMES

    def __init__(self) -> None:
        self._left = 0

    def speech_prob(self, window: Samples) -> float:
        self._left = 20 if FakeVad().speech_prob(window) else max(0, self._left - 1)
        return 1.0 if self._left else 0.0

    def reset(self) -> None:
        self._left = 0


class Desk:
    """Ears whose card is the test."""

    def __init__(
        self,
        capture_rate: int,
        onset_vad: VoiceActivityDetector | None = None,
        echo: EchoCanceller | None = None,
    ) -> None:
        self.rate = capture_rate
        self.events: list[Event] = []
        self.position = 0
        self.errors: list[Any] = []
        self.ears = Ears(
            capture_rate=capture_rate,
            clock=SampleClock(SAMPLE_RATE, 0, MonotonicClock()),
            playout=Playout(SAMPLE_RATE),
            vad=FakeVad(),
            onset_vad=onset_vad or FakeVad(),
            segmenter=Segmenter(
                speech_threshold=0.5,
                silence_threshold=0.35,
                min_speech_ms=96,
                pause_ms=100,
                onset_ms=30,
            ),
            echo=echo,
            history_ms=40_000,
            beginning_ms=500,
            post=self.events.append,
            post_playout=lambda fact: None,
            on_error=self.errors.append,
            on_failure=self.errors.append,
        )

    def capture(self, seconds: float, level: float = 0.0) -> None:
        frames = self.rate // 100
        for _ in range(round(seconds * 100)):
            self.ears.on_capture(np.full(frames, level, np.float32), self.position, 0.0)
            self.position += frames

    def take(self, sound: Samples) -> None:
        """Capture that, one block after the other, each at its own time."""
        for first in range(0, len(sound) - BLOCK_FRAMES + 1, BLOCK_FRAMES):
            block = sound[first : first + BLOCK_FRAMES]
            self.ears.on_capture(block, self.position, self.position / SAMPLE_RATE)
            self.position += BLOCK_FRAMES

    def told(self, kind: type[E]) -> list[E]:
        """What the floor was told, of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

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


def test_a_dip_is_told_before_the_pause_that_begins_with_it() -> None:
    desk = Desk(SAMPLE_RATE)
    desk.ears.start()
    desk.capture(0.5, level=0.1)
    desk.capture(0.5)
    desk.assert_true()
    (dip,) = desk.told(SpeechDipped)
    (pause,) = desk.told(SpeechPaused)
    assert dip.at_frames == int(0.52 * SAMPLE_RATE)
    assert pause.dipped_frames == dip.at_frames < pause.at_frames
    assert desk.ears.stop(HUNG_S)


def test_a_pause_behind_a_sound_begins_with_no_dip() -> None:
    """28 dB below the speech: too low for the detector of speech, too loud for a dip."""
    desk = Desk(SAMPLE_RATE)
    desk.ears.start()
    desk.capture(0.5, level=0.1)
    desk.capture(0.05)
    desk.capture(0.5, level=0.004)
    desk.assert_true()
    assert len(desk.told(SpeechDipped)) == 1
    (pause,) = desk.told(SpeechPaused)
    assert pause.dipped_frames is None
    assert desk.ears.stop(HUNG_S)


def test_what_hangs_over_from_a_voice_is_no_onset() -> None:
    desk = Desk(SAMPLE_RATE, SlowToLetGo())
    desk.ears.start()
    desk.capture(0.5, level=0.1)
    desk.capture(0.5)
    desk.capture(0.1, level=0.1)
    desk.assert_true()
    onsets = [each.at_frames / SAMPLE_RATE for each in desk.told(SpeechOnset)]
    assert onsets == [pytest.approx(0.01), pytest.approx(1.01)]
    assert desk.ears.stop(HUNG_S)


def test_what_was_taken_for_echo_and_is_none_is_heard_after_all() -> None:
    """Somebody begins with the first reply and falls silent; headphones, as it turns out."""
    echo = EchoCanceller(EchoReference(SAMPLE_RATE))
    desk = Desk(SAMPLE_RATE, echo=echo)
    noise = np.random.default_rng(1)
    echo.reference.note(noise.normal(0.0, 0.05, SAMPLE_RATE).astype(np.float32), 0.0)
    user = noise.normal(0.0, 0.1, SAMPLE_RATE).astype(np.float32)
    user[: SAMPLE_RATE // 10] *= np.float32(0.001)
    user[-SAMPLE_RATE // 4 :] *= np.float32(0.001)
    desk.take(user)
    desk.ears.start()
    desk.assert_true()
    (started,) = desk.told(SpeechStarted)
    assert started.started_frames == SAMPLE_RATE // 10
    assert started.at_frames == (LIKE_BLOCKS[0] - 1) * BLOCK_FRAMES
    np.testing.assert_array_equal(desk.ears.heard(0, started.at_frames), user[: started.at_frames])
    (pause,) = desk.told(SpeechPaused)
    assert pause.ended_frames == SAMPLE_RATE * 3 // 4
    assert desk.ears.stop(HUNG_S)
