"""What speech over a reply is: by its length, and by its words."""

from __future__ import annotations

import pytest

from edge_assistant.turns.endpoint import end_probability, wait_of_all_ms
from edge_assistant.turns.overlap import Overlap, judge
from edge_assistant.turns.phrases import is_backchannel, repeats
from edge_assistant.turns.settings import Settings

RESPONSES = Settings().backchannels


def judged(
    speech_ms: float,
    *,
    probes: int = 0,
    probe_ms: int = 250,
    is_wordless: bool = False,
    is_hasty: bool = False,
    early_barge_in_ms: int = 0,
    by_duration: bool = True,
) -> Overlap:
    return judge(
        speech_ms,
        barge_in_ms=1_500,
        probe_ms=probe_ms,
        probes=probes,
        is_wordless=is_wordless,
        is_hasty=is_hasty,
        early_barge_in_ms=early_barge_in_ms,
        by_duration=by_duration,
    )


@pytest.mark.parametrize(
    ("speech_ms", "probes", "verdict"),
    [
        (249, 0, Overlap.UNDECIDED),
        (250, 0, Overlap.PROBE),
        (499, 1, Overlap.UNDECIDED),
        (500, 1, Overlap.PROBE),
        (1_249, 4, Overlap.UNDECIDED),
        (1_250, 4, Overlap.PROBE),
        (1_499, 5, Overlap.UNDECIDED),
        (1_500, 0, Overlap.INTERRUPTION),
    ],
)
def test_the_words_are_looked_at_again_and_again_until_the_length_decides(
    speech_ms: float, probes: int, verdict: Overlap
) -> None:
    assert judged(speech_ms, probes=probes) is verdict


@pytest.mark.parametrize(
    ("speech_ms", "is_wordless", "verdict"),
    [
        (449, False, Overlap.UNDECIDED),
        (450, False, Overlap.INTERRUPTION),
        (899, True, Overlap.PROBE),
        (900, True, Overlap.INTERRUPTION),
    ],
)
def test_who_goes_on_when_the_reply_has_just_begun_need_not_go_on_for_long(
    speech_ms: float, is_wordless: bool, verdict: Overlap
) -> None:
    probes = 1 if speech_ms < 500 else 2
    assert judged(speech_ms, probes=probes, is_wordless=is_wordless, is_hasty=True) is verdict


@pytest.mark.parametrize("is_hasty", [False, True])
def test_who_goes_on_with_the_reply_has_heard_none_of_it(is_hasty: bool) -> None:
    assert judged(159, early_barge_in_ms=160, is_hasty=is_hasty) is Overlap.UNDECIDED
    assert judged(160, early_barge_in_ms=160, is_hasty=is_hasty) is Overlap.INTERRUPTION


@pytest.mark.parametrize(
    ("speech_ms", "probes", "verdict"),
    [
        (1_500, 5, Overlap.PROBE),
        (2_999, 11, Overlap.UNDECIDED),
        (3_000, 11, Overlap.INTERRUPTION),
    ],
)
def test_what_has_no_words_may_go_on_twice_as_long(
    speech_ms: float, probes: int, verdict: Overlap
) -> None:
    assert judged(speech_ms, probes=probes, is_wordless=True) is verdict


def test_without_barge_in_nothing_decides_while_the_user_speaks() -> None:
    assert judged(5_000, by_duration=False) is Overlap.UNDECIDED
    assert judged(1_450, probe_ms=0) is Overlap.UNDECIDED
    assert judged(1_500, probe_ms=0) is Overlap.INTERRUPTION


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Yeah.",
        "Mm-hmm.",
        "uh-huh",
        "Okay, right.",
        "I see!",
        "Oh, really?",
        "OK",
        "That\u2019s right, of course.",
        "Yeah yeah, makes sense.",
        "No way!",
    ],
)
def test_a_response_is_one(text: str) -> None:
    assert is_backchannel(text, RESPONSES)


@pytest.mark.parametrize(
    "text",
    ["No.", "Stop", "yeah but", "yeah but stop", "I saw it", "Right now?", "what", "ok stop", "m"],
)
def test_other_words_are_none(text: str) -> None:
    assert not is_backchannel(text, RESPONSES)


@pytest.mark.parametrize(
    ("text", "is_begun"),
    [
        ("I", True),
        ("mm h", True),
        ("ye", True),
        ("yeah, o", True),
        ("no", True),
        ("not", False),
        ("I want", False),
        ("yeah but", False),
    ],
)
def test_the_beginning_of_one_may_become_one(text: str, is_begun: bool) -> None:
    assert is_backchannel(text, RESPONSES, is_whole=False) is is_begun
    assert not is_backchannel(text, RESPONSES)


SPOKEN = (
    "The weather in Paris is sunny, and it will stay so until the weekend. "
    "Is there anything else that you want to know?"
)


@pytest.mark.parametrize(
    "text",
    [
        "The weather in Paris",
        "Whether in Paris is sunny?",
        "stay so until weekend",
        "anything else that you want to know",
        "in Paris",
    ],
)
def test_an_echo_may_lose_a_word_or_get_one_wrong(text: str) -> None:
    assert repeats(text, SPOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "stop",
        "and in Rome",
        "is it so",
        "the weekend weather",
        "what is it",
        "no, in Rome please, not in Paris",
    ],
)
def test_words_that_the_reply_merely_holds_too_are_no_echo(text: str) -> None:
    """Most words of a short interruption stand somewhere in what was spoken."""
    assert not repeats(text, SPOKEN)
    assert not repeats(text, "")


def likely(*, sound: float | None, words: float, is_closed: bool = True) -> float:
    return end_probability(
        by_sound=sound, by_words=words, is_closed=is_closed, weights=Settings().end_weights
    )


def test_several_judges_know_more_than_one() -> None:
    assert (
        likely(sound=0.95, words=0.4, is_closed=False)
        > likely(sound=None, words=0.4, is_closed=False)
        > likely(sound=0.05, words=0.4, is_closed=False)
    )
    assert likely(sound=0.95, words=0.4) == likely(sound=0.05, words=0.4), "closed is closed"
    assert likely(sound=0.5, words=0.6) > 0.9
    assert likely(sound=0.5, words=0.001, is_closed=False) < 0.05
    assert likely(sound=0.5, words=0.4, is_closed=False) < likely(sound=0.5, words=0.4)
    assert 0.0 < likely(sound=0.0, words=0.0, is_closed=False) < 0.01
    assert 0.99 < likely(sound=1.0, words=1.0) < 1.0


def test_each_weight_is_the_weight_of_its_judge() -> None:
    def by(*weights: float) -> float:
        return end_probability(by_sound=0.8, by_words=0.3, is_closed=False, weights=weights)

    assert by(0.0, 1.0, 0.0, 0.0) == pytest.approx(0.8)
    assert by(0.0, 0.0, 1.0, 0.0) == pytest.approx(0.3)
    assert by(0.0, 0.0, 0.0, 0.0) == 0.5
    assert by(1.0, 0.0, 0.0, -1.0) == 0.5
    assert by(0.0, 0.0, 0.0, -1.0) < 0.5 < by(1.0, 0.0, 0.0, 0.0)


def test_the_wait_of_all_is_short_from_likely_on_and_long_where_it_is_not() -> None:
    rules = Settings(min_wait_ms=200, max_wait_ms=1200)

    def wait(words: float) -> int:
        return wait_of_all_ms(by_sound=0.5, by_words=words, is_closed=True, rules=rules)

    assert wait(0.5) == wait(0.9) == 200
    assert wait(0.01) == wait(0.0) == 1200
    waits = [wait(share / 1000) for share in range(600)]
    assert waits == sorted(waits, reverse=True)
    assert any(200 < each < 1200 for each in waits)
