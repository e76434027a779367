"""The transcript of a turn that grows: what is frozen, what is stable, how long a pass may be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import TranscriptionError
from edge_assistant.stt.protocol import Transcript
from edge_assistant.stt.running import LEAST_S, MOST_S, OPEN_S, RunningText, RunningTranscript

WORD_S = 0.4
STARTS_S = 10.0
"""Of the turn, on the sample clock."""


def at(turn_s: float) -> int:
    """A position, `turn_s` into the turn."""
    return round((STARTS_S + turn_s) * SAMPLE_RATE)


def count_up(from_frames: int, to_frames: int) -> Samples:
    """A sound in which every frame tells where it is."""
    return np.arange(from_frames, to_frames, dtype=np.float32)


class Listener:
    """Hears a word every 0.4 s, numbered from the start of the turn, and mishears the last one
    while it is still being spoken."""

    def __init__(self) -> None:
        self.spans_s: list[tuple[float, float]] = []
        self.fails: Callable[[int], BaseException | None] = lambda number: None

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        token.raise_if_cancelled()
        begin_s, end_s = (
            float(audio[0]) / SAMPLE_RATE - STARTS_S,
            float(audio[-1] + 1) / SAMPLE_RATE - STARTS_S,
        )
        failure = self.fails(len(self.spans_s))
        if failure is not None:
            raise failure
        self.spans_s.append((begin_s, end_s))
        numbers = range(round(begin_s / WORD_S), int(end_s / WORD_S + 1e-6))
        words = [f"w{number}" for number in numbers]
        if end_s - int(end_s / WORD_S + 1e-6) * WORD_S > 0.01:
            words.append("uh")
        return Transcript(text=" ".join(words))

    def close(self) -> None:
        """Nothing to give back."""


def words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last + 1))


class Turn:
    """One turn, looked at again and again."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.running = RunningTranscript(count_up)

    def hear(self, to_s: float, *breaks_s: float, from_s: float = 0.0) -> RunningText:
        breaks = [at(each) for each in breaks_s]
        return self.running.hear(self.listener, at(from_s), at(to_s), breaks, CancelToken())

    @property
    def spans_s(self) -> list[tuple[float, float]]:
        """Of all passes, in seconds of the turn."""
        return [(round(begin, 3), round(end, 3)) for begin, end in self.listener.spans_s]


def test_a_short_turn_is_heard_in_one_go() -> None:
    turn = Turn()
    assert turn.hear(4.0, 1.6, 2.8).text == words(0, 9)
    assert turn.spans_s == [(0.0, 4.0)]


def test_a_long_stretch_is_frozen_up_to_its_last_pause() -> None:
    turn = Turn()
    assert turn.hear(4.8, 1.6, 2.8).text == words(0, 11)
    assert turn.spans_s == [(0.0, 2.8), (2.8, 4.8)]


def test_what_the_ears_no_longer_have_does_not_count() -> None:
    turn = Turn()
    gone = at(2.0)
    turn.running = RunningTranscript(lambda begin, end: count_up(max(begin, gone), end))
    assert turn.hear(5.2, 2.8).text == words(5, 12)
    assert turn.spans_s == [(2.0, 5.2)], "3.2 s are no long stretch"


def test_a_look_is_at_what_the_ears_had_when_it_began() -> None:
    """They go on while a piece is being transcribed, and forget."""
    turn = Turn()
    forgotten_s = 0.0

    def forgetful(begin: int, end: int) -> Samples:
        nonlocal forgotten_s
        sound = count_up(max(begin, at(forgotten_s)), end)
        forgotten_s += 4.0
        return sound

    turn.running = RunningTranscript(forgetful)
    assert turn.hear(20.0, 2.8).text.split()[0] == "w0"
    assert turn.spans_s[0] == (0.0, 2.8)
    assert [begin for begin, _ in turn.spans_s[1:]] == [end for _, end in turn.spans_s[:-1]]


def test_what_is_frozen_is_not_heard_again() -> None:
    turn = Turn()
    turn.hear(4.8, 2.8)
    assert turn.hear(5.2, 2.8).text == words(0, 12)
    assert turn.hear(6.0, 2.8).text == words(0, 14)
    assert turn.spans_s[2:] == [(2.8, 5.2), (2.8, 6.0)]


def test_a_pause_that_comes_late_is_used_too() -> None:
    turn = Turn()
    assert turn.hear(7.6, 6.0, 7.2).text == words(0, 18)
    assert turn.spans_s == [(0.0, 6.0), (6.0, 7.6)]


def test_no_crumb_is_frozen() -> None:
    turn = Turn()
    turn.hear(6.0, 0.4, 1.2)
    assert turn.spans_s == [(0.0, 6.0)]


def test_who_never_pauses_is_cut_all_the_same() -> None:
    turn = Turn()
    turn.hear(MOST_S)
    assert turn.spans_s == [(0.0, MOST_S)]
    text = turn.hear(20.0).text.split()
    assert all(end - begin <= MOST_S for begin, end in turn.spans_s)
    assert [begin for begin, _ in turn.spans_s[2:]] == [end for _, end in turn.spans_s[1:-1]]
    assert text[-1] == "w49"


def test_a_pause_that_comes_too_late_does_not_make_a_pass_longer() -> None:
    """Nobody had looked before: the key was held, or partials are off."""
    turn = Turn()
    turn.hear(15.0, 12.0)
    assert all(end - begin <= MOST_S for begin, end in turn.spans_s)
    assert (turn.spans_s[-1][0], turn.spans_s[-1][1]) == (12.0, 15.0)


def test_another_turn_begins_anew() -> None:
    turn = Turn()
    turn.hear(4.8, 2.8)
    assert turn.hear(6.4, from_s=4.8).text == words(12, 15)
    assert turn.hear(4.8, 2.8).text == words(0, 11)
    assert turn.spans_s[2:] == [(4.8, 6.4), (0.0, 2.8), (2.8, 4.8)]


def test_a_look_that_ends_before_what_is_frozen_begins_anew() -> None:
    turn = Turn()
    turn.hear(4.8, 2.8)
    assert turn.hear(2.4, 1.6).text == words(0, 5)
    assert turn.spans_s[-1] == (0.0, 2.4)


def test_words_that_two_looks_agree_on_are_stable_but_for_the_last() -> None:
    turn = Turn()
    assert turn.hear(1.3).stable == ""
    assert turn.hear(1.7).stable == words(0, 2)
    assert turn.hear(2.4).stable == words(0, 3)
    assert turn.hear(2.8).stable == words(0, 4)


def test_what_is_frozen_is_stable_at_once() -> None:
    turn = Turn()
    assert turn.hear(4.8, 2.8).stable == words(0, 6)
    assert turn.hear(5.2, 2.8).stable == words(0, 10)


class Changeable(Listener):
    """Says the next of these texts."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = list(texts)

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        return Transcript(text=self.texts.pop(0))


@pytest.mark.parametrize(
    ("before", "now", "stable"),
    [
        ("What is the", "what is, the time", "what is,"),
        ("what is the", "what was the time", "what"),
        ("that is the", "what is the time", ""),
        ("what is the time", "what is", "what"),
        ("", "what is", ""),
        ("what is", "", ""),
        ("what", "what", ""),
    ],
)
def test_case_and_punctuation_do_not_count(before: str, now: str, stable: str) -> None:
    turn = Turn()
    turn.listener = Changeable(before, now)
    turn.hear(1.0)
    assert turn.hear(1.4).stable == stable


def test_the_words_of_two_stretches_are_not_compared() -> None:
    turn = Turn()
    turn.listener = Changeable("ten by ten by", "ten by", "ten by ten")
    turn.hear(3.6)
    text = "ten by ten by ten"
    assert turn.hear(4.8, 2.8) == RunningText(text=text, ahead="ten by ten by", stable="ten by")


def test_a_piece_without_words_leaves_no_hole_in_the_text() -> None:
    turn = Turn()
    turn.listener = Changeable("", "and so on")
    assert turn.hear(4.8, 2.8).text == "and so on"


def test_what_was_frozen_before_a_cancel_stays_frozen() -> None:
    turn = Turn()
    turn.listener.fails = lambda number: TurnCancelled("so") if number == 1 else None
    with pytest.raises(TurnCancelled):
        turn.hear(4.8, 2.8)
    assert turn.spans_s == [(0.0, 2.8)]
    turn.listener.fails = lambda number: None
    assert turn.hear(5.2, 2.8).text == words(0, 12)
    assert turn.spans_s == [(0.0, 2.8), (2.8, 5.2)]


def test_a_cancelled_token_and_a_failing_engine_are_not_hidden() -> None:
    turn = Turn()
    token = CancelToken()
    token.cancel("gone")
    with pytest.raises(TurnCancelled):
        turn.running.hear(turn.listener, at(0.0), at(1.0), [], token)
    turn.listener.fails = lambda number: TranscriptionError("stt-broke", "it broke", "mend it")
    with pytest.raises(TranscriptionError):
        turn.hear(1.0)


@given(
    gaps_s=st.lists(st.floats(0.2, 9.0), max_size=8),
    looks_s=st.lists(st.floats(0.1, 30.0), min_size=1, max_size=12).map(sorted),
)
def test_no_pass_is_longer_than_stated_and_what_is_frozen_never_changes(
    gaps_s: list[float], looks_s: list[float]
) -> None:
    turn = Turn()
    breaks_s = [float(each) for each in np.cumsum(gaps_s)]
    frozen_s = 0.0
    for look_s in looks_s:
        first = len(turn.listener.spans_s)
        turn.hear(look_s, *(each for each in breaks_s if each < look_s))
        passes = turn.listener.spans_s[first:]
        assert all(end - begin <= MOST_S + 1e-3 for begin, end in passes)
        assert passes[0][0] == pytest.approx(frozen_s, abs=1e-3)
        assert [begin for begin, _ in passes[1:]] == [end for _, end in passes[:-1]]
        assert passes[-1][1] == pytest.approx(look_s, abs=1e-3)
        assert all(end - begin >= LEAST_S - 1e-3 for begin, end in passes[:-1])
        frozen_s = passes[-1][0]
        rest_s = look_s - frozen_s
        in_rest = [each for each in breaks_s if frozen_s + LEAST_S < each < look_s]
        assert rest_s <= OPEN_S + 1e-3 or not in_rest or in_rest[0] - frozen_s > MOST_S - 1e-3
