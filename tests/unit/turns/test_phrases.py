from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.turns.endpoint import wait_ms
from edge_assistant.turns.phrases import after_wake_phrase, is_stop
from edge_assistant.turns.settings import Settings

STOP = Settings().stop_phrases


@pytest.mark.parametrize(
    "text",
    [
        "Stop.",
        "stop",
        "Stop! Stop!",
        "stop stop stop",
        "Please stop.",
        "Okay, stop now.",
        "oh no wait stop",
        "Stop, thank you.",
        "No, wait, stop.",
        "Never mind!",
        "That\u2019s enough, thanks.",
        "BE QUIET",
    ],
)
def test_these_ask_for_silence(text: str) -> None:
    assert is_stop(text, STOP)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "stop the timer",
        "When does the bus stop?",
        "please",
        "What is a quiet place to live",
        "Don't stop believing, who sang that?",
        "stop, what time is it",
    ],
)
def test_these_do_not(text: str) -> None:
    assert not is_stop(text, STOP)


def test_words_run_together_after_a_pause_count_at_the_end_only() -> None:
    assert is_stop("what time is it stop", STOP, at_end=True)
    assert not is_stop("what time is it stop", STOP)
    assert not is_stop("stop what time is it", STOP, at_end=True)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hey assistant, what time is it?", "what time is it?"),
        ("hey, Assistant! what time is it?", "what time is it?"),
        ("Hey assistant.", ""),
        ("He's assistant, what time is it?", "what time is it?"),
        ("Hey, as aistent. Stop", "Stop"),
        ("This instant, please", None),
        ("I told the assistant so", None),
        ("hey", None),
        ("what time is it", None),
    ],
)
def test_the_wake_phrase_is_known_by_its_sound_and_cut_off(text: str, rest: str | None) -> None:
    assert after_wake_phrase(text, "hey assistant") == rest


@given(
    probabilities=st.lists(st.floats(-1, 2), min_size=2, max_size=2).map(sorted),
    shortest=st.integers(0, 500),
    more=st.integers(0, 2000),
)
def test_the_surer_the_end_the_shorter_the_wait(
    probabilities: list[float], shortest: int, more: int
) -> None:
    less, surer = (
        wait_ms(p, min_wait_ms=shortest, max_wait_ms=shortest + more) for p in probabilities
    )
    assert shortest <= surer <= less <= shortest + more
    unjudged = wait_ms(None, min_wait_ms=shortest, max_wait_ms=shortest + more)
    assert shortest <= unjudged <= shortest + more
