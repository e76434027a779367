"""What was heard, and the latency that adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.pipeline.attempt import Attempt, Marks, latency_segments
from edge_assistant.tts.protocol import SpeechChunk, WordMark

TEXT = "one two three"


def chunk(*, exact: bool = True, frames: int = 3000) -> SpeechChunk:
    marks = tuple(WordMark(end_char=e, end_frames=f) for e, f in ((3, 900), (7, 1900), (13, 3000)))
    return SpeechChunk(
        samples=np.zeros(frames, np.float32),
        start_char=0,
        end_char=len(TEXT),
        words=marks if exact else None,
    )


@pytest.mark.parametrize(
    ("played", "heard"),
    [(0, ""), (899, ""), (900, "one"), (1899, "one"), (2999, "one two"), (3000, TEXT)],
)
def test_a_word_is_heard_with_its_last_frame(played: int, heard: str) -> None:
    attempt = Attempt(key=(1, 1))
    attempt.add(TEXT, chunk(), 3000)
    result = attempt.heard(played)
    assert (result.text, result.is_exact) == (heard, True)


def test_word_times_follow_the_rate_of_the_card() -> None:
    attempt = Attempt(key=(1, 1))
    attempt.add(TEXT, chunk(), 9000)
    assert attempt.heard(2699).text == ""
    assert attempt.heard(2700).text == "one"


def test_clauses_follow_each_other() -> None:
    attempt = Attempt(key=(1, 1))
    attempt.add(TEXT, chunk(), 3000)
    marks = (WordMark(end_char=4, end_frames=900), WordMark(end_char=9, end_frames=1900))
    second = SpeechChunk(samples=np.zeros(3000, np.float32), start_char=0, end_char=13, words=marks)
    attempt.add("four five six", second, 3000)
    assert attempt.heard(3000 + 3000).text == "one two three four five six"
    assert attempt.heard(3000 + 1900).text == "one two three four five"
    assert attempt.heard(3000 + 2999).text == "one two three four five"


def test_without_word_times_the_estimate_is_called_one() -> None:
    attempt = Attempt(key=(1, 1))
    attempt.add(TEXT, chunk(exact=False), 3000)
    half = attempt.heard(1500)
    assert (half.text, half.is_exact) == ("one", False)
    assert attempt.heard(3000).text == TEXT


def test_text_that_is_cut_in_chunks_is_found_again() -> None:
    attempt = Attempt(key=(1, 1))
    silence = np.zeros(100, np.float32)
    for start, end in ((0, 8), (8, 13)):
        marks = (WordMark(end_char=end, end_frames=100),)
        part = SpeechChunk(samples=silence, start_char=start, end_char=end, words=marks)
        attempt.add(TEXT, part, 100)
    assert attempt.heard(100).text == "one two"
    assert attempt.heard(200).text == TEXT


def spoken(clauses: list[str], *, pieces: int = 1) -> Attempt:
    """The voice has spoken all of them, each in so many pieces of 100 frames."""
    attempt = Attempt(key=(1, 1), clauses=clauses)
    for text in clauses:
        attempt.clauses_begun += 1
        for number in range(pieces):
            start, end = (len(text) * each // pieces for each in (number, number + 1))
            piece = SpeechChunk(
                samples=np.zeros(100, np.float32), start_char=start, end_char=end, words=None
            )
            attempt.add(text, piece, 100)
    return attempt


@pytest.mark.parametrize(
    ("played", "rest"),
    [
        (0, ["one", "two", "three"]),
        (99, ["one", "two", "three"]),
        (100, ["two", "three"]),
        (101, ["two", "three"]),
        (299, ["three"]),
        (300, []),
    ],
)
def test_the_rest_begins_with_the_clause_that_was_cut(played: int, rest: list[str]) -> None:
    assert spoken(["one", "two", "three"]).rest(played) == rest


def test_a_clause_in_pieces_is_heard_with_its_last() -> None:
    attempt = spoken(["one", "two"], pieces=2)
    assert attempt.rest(199) == ["one", "two"]
    assert attempt.rest(200) == attempt.rest(399) == ["two"]


def test_what_the_voice_has_not_taken_up_is_a_part_of_the_rest() -> None:
    attempt = spoken(["one", "two"])
    attempt.clauses.extend(["three", "four"])
    assert attempt.rest(150) == ["two", "three", "four"]
    assert attempt.rest(200) == ["three", "four"]
    assert Attempt(key=(1, 1), clauses=["one"]).rest(0) == ["one"]
    assert Attempt(key=(1, 1)).rest(0) == []


def test_a_clause_that_the_voice_is_still_busy_with_is_a_part_of_the_rest() -> None:
    # The loudspeaker has run dry: all audio there is was heard, and more of this clause will come.
    attempt = spoken(["one"])
    attempt.clauses.append("two")
    attempt.clauses_begun += 1
    assert attempt.rest(100) == ["two"]
    first_half = SpeechChunk(
        samples=np.zeros(100, np.float32), start_char=0, end_char=1, words=None
    )
    attempt.add("two", first_half, 100)
    assert attempt.rest(200) == ["two"]


@given(
    positions=st.lists(st.integers(0, 10**7), min_size=5, max_size=5),
    silence=st.integers(0, 1600),
    missing=st.sets(st.sampled_from(["committed_frames", "ready_frames"])),
)
def test_the_segments_add_up_whatever_the_order_of_the_marks(
    positions: list[int], silence: int, missing: set[str]
) -> None:
    ended, paused, committed, ready, out = positions
    ended = min(positions)  # the others may come in any order: clocks of different threads
    marks = Marks(
        ended_frames=ended,
        paused_frames=paused,
        committed_frames=None if "committed_frames" in missing else committed,
        ready_frames=None if "ready_frames" in missing else ready,
        first_out_frames=out,
        leading_silence_frames=silence,
    )
    segments = latency_segments(marks)
    assert segments is not None
    gap_s = segments.pop("gap_s")
    assert all(value >= 0 for value in segments.values())
    assert sum(segments.values()) == pytest.approx(gap_s, abs=5e-4)
    assert gap_s == pytest.approx((out + silence - ended) / 16_000, abs=1e-4)


def test_nobody_waited_or_nothing_was_heard() -> None:
    assert latency_segments(Marks(first_out_frames=5)) is None
    assert latency_segments(Marks(ended_frames=1, paused_frames=2)) is None
