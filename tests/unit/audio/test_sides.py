"""What the two callbacks do with a block, without a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.cards.sides import CaptureSide, PlaybackSide, SteadyTime, lag_s
from edge_assistant.audio.format import Samples


@dataclass
class Stamps:
    currentTime: float = 1_000.0  # noqa: N815 - PortAudio's names
    inputBufferAdcTime: float = 999.98  # noqa: N815
    outputBufferDacTime: float = 1_000.03  # noqa: N815


@dataclass
class Status:
    input_overflow: bool = False
    input_underflow: bool = False
    output_overflow: bool = False
    output_underflow: bool = False


QUIET = None
"""sounddevice's flags are falsy when none is set."""


class Room:
    """Takes what the sides hand over."""

    def __init__(self) -> None:
        self.heard: list[tuple[Samples, int, float]] = []
        self.asked: list[tuple[int, int, float]] = []
        self.errors: list[Exception] = []
        self.capture = CaptureSide(16_000, 160, self.on_capture, self.errors.append)
        self.playback = PlaybackSide(48_000, 480, self.on_playback, self.errors.append)
        self.capture.is_live = self.playback.is_live = True

    def on_capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        self.heard.append((block.copy(), first_frame, time_s))

    def on_playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        out[:] = 0.25
        self.asked.append((len(out), first_frame, dac_time_s))

    def hear(self, block: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
        self.capture.callback(block, len(block), Stamps(), QUIET)


def test_channels_are_averaged() -> None:
    room = Room()
    room.hear(np.tile(np.array([[0.5, -0.1]], np.float32), (160, 1)))
    block, first_frame, _ = room.heard[0]
    assert block.shape == (160,)
    assert block.dtype == np.float32
    np.testing.assert_allclose(block, 0.2, atol=1e-6)
    assert first_frame == 0


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_loudspeaker_gets_the_same(channels: int) -> None:
    room = Room()
    out = np.full((480, channels), np.nan, np.float32)
    room.playback.callback(out, 480, Stamps(), QUIET)
    room.playback.callback(out, 480, Stamps(), QUIET)
    assert (out == 0.25).all()
    assert [(n, first) for n, first, _ in room.asked] == [(480, 0), (480, 480)]


def test_before_it_is_live_nothing_is_handed_on_and_the_loudspeaker_is_silent() -> None:
    room = Room()
    room.capture.is_live = room.playback.is_live = False
    room.hear(np.ones((160, 1), np.float32))
    out = np.full((480, 1), np.nan, np.float32)
    room.playback.callback(out, 480, Stamps(), QUIET)
    assert room.heard == []
    assert room.asked == []
    assert (out == 0).all()


def test_a_failing_callback_gives_silence_and_a_report() -> None:
    errors: list[Exception] = []

    def fail(samples: Samples, first_frame: int, at_s: float) -> None:
        samples[: len(samples) // 2] = 1.0
        raise ValueError(f"{first_frame} {at_s}")

    playback = PlaybackSide(48_000, 480, fail, errors.append)
    capture = CaptureSide(16_000, 160, fail, errors.append)
    playback.is_live = capture.is_live = True
    out = np.full((480, 2), np.nan, np.float32)
    playback.callback(out, 480, Stamps(), QUIET)
    capture.callback(np.ones((160, 1), np.float32), 160, Stamps(), QUIET)
    assert (out == 0).all()
    assert len(errors) == 2


def test_flags_are_counted() -> None:
    room = Room()
    block = np.zeros((160, 1), np.float32)
    room.capture.callback(block, 160, Stamps(), Status(input_overflow=True))
    room.capture.callback(block, 160, Stamps(), Status(input_underflow=True))
    out = np.zeros((480, 1), np.float32)
    room.playback.callback(out, 480, Stamps(), Status(output_underflow=True))
    room.playback.callback(out, 480, Stamps(), Status(output_overflow=True))
    room.playback.callback(out, 480, Stamps(), QUIET)
    assert (room.capture.overflows, room.capture.underflows) == (1, 1)
    assert (room.playback.overflows, room.playback.underflows) == (1, 1)


def test_exact_zeros_are_counted_until_something_is_heard() -> None:
    room = Room()
    for _ in range(3):
        room.hear(np.zeros((160, 1), np.float32))
    assert room.capture.zero_frames == 480
    room.hear(np.full((160, 1), 1e-6, np.float32))
    assert room.capture.zero_frames == 0


def test_capture_jumps_over_what_was_lost_and_playback_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 50.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    room = Room()
    out = np.zeros((480, 1), np.float32)
    for _ in range(100):
        now_s += 0.01
        room.hear(np.ones((160, 1), np.float32))
        room.playback.callback(out, 480, Stamps(), QUIET)
    now_s += 7.0
    room.capture.opened(0.02)
    room.playback.opened(0.02)
    for _ in range(2):
        now_s += 0.01
        room.hear(np.ones((160, 1), np.float32))
        room.playback.callback(out, 480, Stamps(), QUIET)
    firsts = [first for _, first, _ in room.heard]
    assert firsts[:100] == list(range(0, 16_000, 160))
    assert firsts[100] == pytest.approx(16_000 + 7 * 16_000, abs=2)
    assert firsts[101] == firsts[100] + 160
    assert [first for _, first, _ in room.asked] == list(range(0, 102 * 480, 480))
    assert room.heard[100][2] - room.heard[99][2] == pytest.approx(7.01)


def test_times_are_the_monotonic_clock_with_the_device_latency(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 50.0)
    room = Room()
    room.hear(np.zeros((160, 1), np.float32))
    room.playback.callback(np.zeros((480, 1), np.float32), 480, Stamps(), QUIET)
    assert room.heard[0][2] == pytest.approx(49.98)
    assert room.asked[0][2] == pytest.approx(50.03)


@pytest.mark.parametrize(
    ("at_s", "current_s"),
    [(0.0, 1_000.0), (1_000.0, 0.0), (float("nan"), 1_000.0), (5.0, 1_000.0), (1e12, 1_000.0)],
)
def test_stamps_that_make_no_sense_give_way_to_the_latency(at_s: float, current_s: float) -> None:
    assert lag_s(at_s, current_s, 0.02) == 0.02


@given(st.lists(st.floats(-0.03, 0.03), min_size=400, max_size=400))
def test_bursts_are_smoothed(jitter: list[float]) -> None:
    """Stamps off by up to 30 ms: the times go up by nearly a block each, and stay near."""
    times = SteadyTime(16_000)
    got = [times.stamp(160, i * 0.01 + jitter[i], False) for i in range(400)]
    steps = np.diff(got)[200:]
    assert np.abs(steps - 0.01).max() <= 0.06 / 200 + 1e-9
    assert np.abs(np.array(got) - np.arange(400) * 0.01).max() <= 0.03 + 1e-9


def test_a_stamp_far_off_starts_anew() -> None:
    times = SteadyTime(16_000)
    for i in range(50):
        times.stamp(160, i * 0.01, False)
    assert times.stamp(160, 0.75, False) == 0.75
    assert times.stamp(160, 0.77, broken=True) == 0.77
