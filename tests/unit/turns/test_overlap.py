"""What speech over a reply is: by its length, and by its words."""

from __future__ import annotations

import pytest

from edge_assistant.turns.endpoint import end_probability, wait_of_both_ms
from edge_assistant.turns.overlap import Overlap, judge
from edge_assistant.turns.phrases import is_backchannel
from edge_assistant.turns.settings import Settings

RESPONSES = Settings().backchannels


@pytest.mark.parametrize(
    ("speech_ms", "probes", "verdict"),
    [
        (249, 0, Overlap.UNDECIDED),
        (250, 0, Overlap.PROBE),
        (499, 1, Overlap.UNDECIDED),
        (500, 1, Overlap.PROBE),
        (699, 2, Overlap.UNDECIDED),
        (700, 0, Overlap.INTERRUPTION),
    ],
)
def test_the_words_are_looked_at_twice_and_then_the_length_decides(
    speech_ms: float, probes: int, verdict: Overlap
) -> None:
    assert (
        judge(speech_ms, barge_in_ms=700, probe_ms=250, probes=probes, by_duration=True) is verdict
    )


def test_without_barge_in_nothing_decides_while_the_user_speaks() -> None:
    found = judge(5_000, barge_in_ms=700, probe_ms=250, probes=0, by_duration=False)
    assert found is Overlap.UNDECIDED
    assert judge(650, barge_in_ms=700, probe_ms=0, probes=0, by_duration=True) is found


@pytest.mark.parametrize(
    "text", ["", " ", "Yeah.", "Mm-hmm.", "uh-huh", "Okay, right.", "I see!", "Oh, really?", "OK"]
)
def test_a_response_is_one(text: str) -> None:
    assert is_backchannel(text, RESPONSES)


@pytest.mark.parametrize(
    "text", ["No.", "Stop", "yeah but", "I saw it", "Right now?", "what", "okay stop", "m"]
)
def test_other_words_are_none(text: str) -> None:
    assert not is_backchannel(text, RESPONSES)


@pytest.mark.parametrize(
    ("text", "is_begun"),
    [("I", True), ("uh", True), ("ye", True), ("yeah, o", True), ("no", False), ("I want", False)],
)
def test_the_beginning_of_one_may_become_one(text: str, is_begun: bool) -> None:
    assert is_backchannel(text, RESPONSES, is_whole=False) is is_begun
    assert not is_backchannel(text, RESPONSES)


def test_two_judges_know_more_than_one() -> None:
    sure = end_probability(by_sound=0.95, by_words=0.4)
    assert (
        sure
        > end_probability(by_sound=None, by_words=0.4)
        > end_probability(by_sound=0.05, by_words=0.4)
    )
    assert end_probability(by_sound=0.5, by_words=0.6) > 0.9
    assert end_probability(by_sound=0.5, by_words=0.001) < 0.05
    assert 0.0 < end_probability(by_sound=0.0, by_words=0.0) < 0.01
    assert 0.99 < end_probability(by_sound=1.0, by_words=1.0) < 1.0


def test_the_wait_of_both_is_short_from_likely_on_and_long_below_an_even_chance() -> None:
    def wait(words: float) -> int:
        return wait_of_both_ms(by_sound=0.5, by_words=words, min_wait_ms=200, max_wait_ms=1200)

    assert wait(0.5) == wait(0.9) == 200
    assert wait(0.01) == wait(0.0) == 1200
    waits = [wait(share / 100) for share in range(60)]
    assert waits == sorted(waits, reverse=True)
    assert any(200 < each < 1200 for each in waits)
