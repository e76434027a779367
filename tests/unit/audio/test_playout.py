"""Playout: what is held, released, ducked, faded and counted. The test is the card."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.format import Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.audio.playout import STALLED_S, Gaps, Playout, PlayoutFact
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.clock import MonotonicClock

RATE = 16_000
KEY = (1, 1)


class Clock:
    at_s = 0.0

    def now_s(self) -> float:
        return self.at_s


class Loudspeaker:
    """Asks for blocks and keeps what it gets."""

    def __init__(self, playout: Playout, block_frames: int = 160) -> None:
        self.playout = playout
        self.block_frames = block_frames
        self.frames = 0
        self.facts: list[PlayoutFact] = []
        self.blocks: list[Samples] = []

    def play(self, blocks: int = 1) -> Samples:
        before = len(self.blocks)
        for _ in range(blocks):
            out = np.full(self.block_frames, 9.0, np.float32)
            self.playout.on_playback(out, self.frames, self.frames / RATE)
            self.frames += self.block_frames
            self.blocks.append(out)
            self.facts += self.playout.service()
        return np.concatenate(self.blocks[before:])

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]


def tone(frames: int, value: float = 0.5) -> Samples:
    return np.full(frames, value, np.float32)


def test_a_draft_is_held_until_its_commit() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout)
    playout.put(KEY, tone(320), CancelToken())
    playout.finish(KEY)
    assert not speaker.play(5).any()
    playout.commit(KEY)
    assert (speaker.play(2) == 0.5).all(), "released with the very next block"
    assert not speaker.play(1).any()
    assert speaker.kinds() == ["started", "finished"]
    assert speaker.facts[0].dac_time_s == pytest.approx(5 * 160 / RATE)
    assert speaker.facts[1].played_frames == 320
    assert playout.is_idle


def test_a_discarded_draft_is_never_heard() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout)
    playout.put(KEY, tone(320), CancelToken())
    playout.discard(KEY)
    playout.put((1, 2), tone(160, 0.25), CancelToken())
    playout.commit((1, 2))
    assert set(speaker.play(4).tolist()) == {0.25, 0.0}


def test_replies_are_played_one_after_the_other() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout)
    for key, value in ((KEY, 0.5), ((2, 1), 0.25)):
        playout.put(key, tone(1600, value), CancelToken())
        playout.commit(key)
    assert set(speaker.play(20).tolist()) == {0.5, 0.0}, "the first is not complete yet"
    playout.finish(KEY)
    playout.finish((2, 1))
    assert set(speaker.play(12).tolist()) == {0.25, 0.0}
    assert speaker.kinds() == ["started", "finished", "started", "finished"]


@pytest.mark.parametrize("block_frames", [160, 320, 441, 37])
def test_a_yield_fades_and_counts_what_left(block_frames: int) -> None:
    playout = Playout(RATE, fade_ms=8)
    speaker = Loudspeaker(playout, block_frames)
    playout.put(KEY, tone(RATE), CancelToken())
    playout.commit(KEY)
    speaker.play(10)
    playout.yield_(KEY)
    after = speaker.play(20)
    fade_frames = 8 * RATE // 1000
    assert np.count_nonzero(after) in (fade_frames - 1, fade_frames)
    assert (np.diff(after[:fade_frames]) < 0).all(), "a straight way down"
    (faded,) = [fact for fact in speaker.facts if fact.kind == "faded"]
    assert faded.played_frames == 10 * block_frames + fade_frames
    assert "finished" not in speaker.kinds()


def test_after_a_yield_the_next_reply_is_at_full_gain_and_nothing_old_remains() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout)
    playout.put(KEY, tone(RATE), CancelToken())
    playout.commit(KEY)
    speaker.play(5)
    playout.duck()
    speaker.play(3)
    playout.yield_(KEY)
    playout.put((2, 1), tone(320, 0.25), CancelToken())
    playout.commit((2, 1))
    after = speaker.play(6)
    assert np.count_nonzero(after == 0.25) == 320
    assert after.max() == 0.25


def test_a_yield_before_the_first_frame_is_reported_too() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout)
    playout.commit(KEY)
    playout.yield_(KEY)
    speaker.play(2)
    assert [(f.kind, f.played_frames) for f in speaker.facts] == [("faded", 0)]


def test_a_yield_does_not_wait_for_a_dead_loudspeaker() -> None:
    clock = Clock()
    playout = Playout(RATE, clock=clock)
    speaker = Loudspeaker(playout)
    playout.put(KEY, tone(RATE), CancelToken())
    playout.commit(KEY)
    speaker.play(4)
    playout.yield_(KEY)
    assert not playout.service()
    clock.at_s += STALLED_S + 0.1
    (fact,) = playout.service()
    assert (fact.kind, fact.played_frames) == ("faded", 640)


@given(
    ducks=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=8),
    block_frames=st.sampled_from([80, 160, 441]),
)
def test_the_output_divided_by_its_gain_is_the_synthesis(
    ducks: list[tuple[int, bool]], block_frames: int
) -> None:
    playout = Playout(RATE, duck_db=-18.0, duck_ramp_ms=10)
    speaker = Loudspeaker(playout, block_frames)
    ramp = np.linspace(0.1, 0.9, 4000, dtype=np.float32)  # every sample is its own
    playout.put(KEY, ramp, CancelToken())
    playout.finish(KEY)
    playout.commit(KEY)
    for number in range(-(-4000 // block_frames) + 2):
        for at, is_down in ducks:
            if at == number:
                (playout.duck if is_down else playout.unduck)()
        speaker.play()
    heard = np.concatenate(speaker.blocks)
    spoken = heard[heard > 0]
    assert len(spoken) == 4000, "no sample lost, none repeated"
    gain = spoken / ramp
    low = gain_of_db(-18.0)
    assert gain.min() >= low - 1e-4
    assert gain.max() <= 1 + 1e-4
    steepest = (1 - low) / (10 * RATE / 1000)
    assert np.abs(np.diff(gain)).max() <= steepest + 1e-3, "a jump would click"


def test_put_waits_for_room_and_wakes_on_cancel() -> None:
    playout = Playout(RATE, max_ahead_ms=100, clock=MonotonicClock())
    token = CancelToken()
    playout.put(KEY, tone(3200), token)
    outcome: list[str] = []

    def produce() -> None:
        try:
            playout.put(KEY, tone(3200), token)
        except TurnCancelled:
            outcome.append("cancelled")

    thread = threading.Thread(target=produce)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive(), "it must wait while so much is ahead"
    token.cancel("test")
    thread.join(10)
    assert outcome == ["cancelled"]
    playout.commit(KEY)
    playout.finish(KEY)
    speaker = Loudspeaker(playout)
    assert np.count_nonzero(speaker.play(40)) == 3200, "the cancelled chunk was not appended"


def test_holes_inside_a_reply_are_measured_and_the_ends_of_replies_are_none() -> None:
    playout = Playout(RATE)
    speaker = Loudspeaker(playout, block_frames=160)
    speaker.play(5)
    playout.put(KEY, tone(200), CancelToken())
    playout.commit(KEY)
    speaker.play(3)
    assert playout.gaps == Gaps(), "it may be over"
    playout.put(KEY, tone(160), CancelToken())
    assert playout.gaps == Gaps(count=1, frames=3 * 160 - 200)
    speaker.play(1)
    playout.put(KEY, tone(150), CancelToken())
    speaker.play(1)
    assert playout.gaps.count == 1, "it came just in time"
    playout.put(KEY, tone(200), CancelToken())
    assert playout.gaps == Gaps(count=2, frames=3 * 160 - 200 + 10)
    speaker.play(4)
    playout.finish(KEY)
    speaker.play(3)
    playout.put((2, 1), tone(200), CancelToken())
    playout.commit((2, 1))
    playout.finish((2, 1))
    speaker.play(3)
    assert playout.gaps.count == 2
    assert speaker.kinds() == ["started", "finished", "started", "finished"]


def test_a_chunk_that_comes_after_the_discard_leaves_no_reply_behind() -> None:
    playout = Playout(RATE)
    token = CancelToken()
    playout.put(KEY, tone(320), token)
    token.cancel("discarded")
    playout.discard(KEY)
    with pytest.raises(TurnCancelled):
        playout.put(KEY, tone(320), token)
    assert playout.is_idle
