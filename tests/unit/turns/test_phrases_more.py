"""Politeness, repetition, and wake words that come again; and when the floor is idle."""

from __future__ import annotations

import pytest

from edge_assistant.turns.events import Requested
from edge_assistant.turns.phrases import after_wake_phrase, is_stop
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserTurn

STOP = Settings().stop_phrases


@pytest.mark.parametrize("word", ["please", "now", "ok", "okay", "hey", "just", "thanks"])
def test_a_polite_word_beside_a_stop_phrase_changes_nothing(word: str) -> None:
    assert is_stop(f"{word} stop", STOP)
    assert is_stop(f"stop {word}", STOP)
    assert not is_stop(word, STOP)


@pytest.mark.parametrize("text", ["stop talking please stop talking", "never mind never mind"])
def test_a_stop_phrase_of_two_words_can_be_repeated(text: str) -> None:
    assert is_stop(text, STOP)


@pytest.mark.parametrize(
    "text", ["never mind never", "never", "mind never mind the gap", "talking"]
)
def test_a_part_of_a_stop_phrase_is_none(text: str) -> None:
    assert not is_stop(text, STOP)


def test_without_stop_phrases_nothing_stops() -> None:
    assert not is_stop("stop", ())
    assert not is_stop("", ("...",))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey assistant, ask my assistant to say hey", "ask my assistant to say hey"),
        ("hey assistant hey assistant", "hey assistant"),
        ("HEY ASSISTANT: stop - now", "stop - now"),
    ],
)
def test_only_the_first_wake_phrase_is_cut_off(text: str, rest: str) -> None:
    assert after_wake_phrase(text, "hey assistant") == rest


@pytest.mark.parametrize(
    ("state", "is_idle"),
    [
        (State(), True),
        (State(now_frames=160, onset_frames=80, next_turn=7), True),
        (State(user=UserTurn(turn=1, started_frames=0, talking_from_frames=0)), False),
        (State(reply=Reply(turn=1, draft=1, phase=ReplyPhase.YIELDING)), False),
        (State(requests=(Requested(request=1, text="hello", answer=False),)), False),
    ],
)
def test_the_floor_is_idle_when_nobody_speaks_and_nothing_is_owed(
    state: State, is_idle: bool
) -> None:
    assert state.is_idle is is_idle
