"""Response gap, takeover and pauses against channels whose answers are known."""

from __future__ import annotations

import pytest

from edge_assistant.bench.metrics import pauses, turn_taking
from edge_assistant.bench.metrics.values import Sample
from tests.bench.metrics_makers import (
    NOTHING,
    channel,
    event,
    frames,
    only,
    outcome,
    played,
    reasons,
    spoken,
    values,
)

QUESTION = played("question", (1.0, 3.0))


@pytest.mark.parametrize(
    ("spans", "gap_s"),
    [
        (((3.4, 5.0),), 0.4),
        (((3.0, 5.0),), 0.0),
        (((2.99, 5.0),), -0.01),
        (((1.0, 1.2),), -2.0),  # a reply before the user's end, over before it
        (((2.0, 2.3), (3.7, 5.0)), -1.0),  # two replies: the first decides
        (((3.2, 4.0), (4.8, 6.0)), 0.2),
        (((0.2, 0.6), (3.5, 5.0)), 0.5),  # what began before the turn is not its reply
        (((9.999, 10.0),), 6.999),  # at the very end
    ],
)
def test_the_gap_is_signed_and_exact(spans: tuple[tuple[float, float], ...], gap_s: float) -> None:
    found = turn_taking.response_gap(outcome(channel(10.0, *spans), QUESTION), NOTHING)
    assert only(found) == pytest.approx(gap_s, abs=1 / 16_000)


def test_a_quiet_beginning_is_not_yet_a_reply() -> None:
    reply = channel(10.0, (3.5, 5.0)) + channel(10.0, (3.1, 3.5), level=0.003)
    assert only(turn_taking.response_gap(outcome(reply, QUESTION), NOTHING)) == pytest.approx(0.5)


@pytest.mark.parametrize("spans", [(), ((0.5, 10.0),)], ids=["silence", "never stops"])
def test_without_a_start_there_is_no_gap_but_a_void_and_no_takeover(
    spans: tuple[tuple[float, float], ...],
) -> None:
    case = outcome(channel(10.0, *spans), QUESTION)
    assert reasons(turn_taking.response_gap(case, NOTHING)) == [turn_taking.NO_REPLY]
    assert values(turn_taking.response_gap(case, NOTHING)) == []
    assert only(turn_taking.takeover(case, NOTHING)) == 0.0


@pytest.mark.parametrize(("begin_s", "is_early"), [(2.999, 1.0), (3.0, 0.0)])
def test_a_false_start_is_below_zero(begin_s: float, is_early: float) -> None:
    case = outcome(channel(10.0, (begin_s, 5.0)), QUESTION)
    assert only(turn_taking.false_start(case, NOTHING)) == is_early


@pytest.mark.parametrize(("end_s", "is_taken"), [(3.0, 0.0), (3.001, 1.0)])
def test_a_takeover_is_audible_after_the_end(end_s: float, is_taken: float) -> None:
    case = outcome(channel(10.0, (2.0, end_s)), QUESTION)
    assert only(turn_taking.takeover(case, NOTHING)) == is_taken


@pytest.mark.parametrize(
    ("length_s", "row"),
    [(1.49, "under 1.5 s"), (1.5, "1.5 to 4 s"), (3.99, "1.5 to 4 s"), (4.0, "4 s and more")],
)
def test_rows_by_length_of_the_utterance(length_s: float, row: str) -> None:
    case = outcome(channel(10.0, (9.0, 9.5)), played("question", (1.0, 1.0 + length_s)))
    assert [one.row for one in turn_taking.response_gap(case, NOTHING)] == [row]


@pytest.mark.parametrize(
    ("speech", "row"),
    [
        (((1.0, 2.99),), "under 2 s"),
        (((1.0, 3.0),), "2 to 4 s"),
        (((1.0, 2.0), (4.0, 4.9)), "under 2 s"),  # pauses are no speech
        (((1.0, 5.0),), "2 to 4 s"),
        (((1.0, 5.01),), "over 4 s"),
    ],
)
def test_rows_by_the_seconds_of_speech(speech: tuple[tuple[float, float], ...], row: str) -> None:
    case = outcome(channel(10.0, (9.0, 9.5)), played("pause", *speech))
    [found] = turn_taking.gap_by_length(case, NOTHING)
    assert found.row == row
    assert values([found]) == values(turn_taking.response_gap(case, NOTHING))


def test_each_turn_has_its_own_reply() -> None:
    case = outcome(
        channel(20.0, (3.3, 5.0), (10.6, 12.0)), QUESTION, played("question", (8.0, 10.0))
    )
    assert values(turn_taking.response_gap(case, NOTHING)) == pytest.approx([0.3, 0.6])


def test_a_reply_that_begins_in_the_next_turn_is_not_the_first_ones() -> None:
    case = outcome(channel(20.0, (8.5, 12.0)), QUESTION, played("question", (8.0, 10.0)))
    found = turn_taking.response_gap(case, NOTHING)
    assert reasons(found) == [turn_taking.NO_REPLY]
    assert values(found) == pytest.approx([-1.5])


def test_interruptions_backchannels_and_others_are_no_turns_of_this_kind() -> None:
    case = outcome(
        channel(10.0, (1.0, 9.0)),
        played("interruption", (3.0, 4.0), into_reply=True),
        played("backchannel", (5.0, 5.3), into_reply=True),
        played("side_talk", (6.0, 7.0), is_user=False),
    )
    assert turn_taking.turns(case) == ()
    assert not turn_taking.applies(case.trial)


# --- pauses ----------------------------------------------------------------------------------

HALTING = played("pause", (1.0, 2.0), (2.7, 3.7))
"""A pause of 0.7 s, from 2.0 to 2.7."""


def row_of(length_s: float) -> str:
    halting = played("pause", (1.0, 2.0), (2.0 + length_s, 4.5))
    (found,) = pauses.pause_any(outcome(channel(8.0), halting), NOTHING)
    return found.row


@pytest.mark.parametrize(
    ("length_s", "row"),
    [
        (0.2, "0.3 s"),
        (0.3, "0.3 s"),
        (0.4, "0.3 s"),
        (0.41, "0.5 s"),
        (0.5, "0.5 s"),
        (0.6, "0.5 s"),
        (0.61, "0.7 s"),
        (0.7, "0.7 s"),
        (0.85, "0.7 s"),
        (0.86, "1.0 s"),
        (1.0, "1.0 s"),
        (1.25, "1.0 s"),
        (1.26, "1.5 s and more"),
        (1.5, "1.5 s and more"),
    ],
)
def test_each_pause_length_is_a_row(length_s: float, row: str) -> None:
    assert row_of(length_s) == row


def test_a_silence_below_200_ms_is_no_pause() -> None:
    case = outcome(channel(8.0), played("pause", (1.0, 2.0), (2.19, 3.0)))
    assert not pauses.applies(case.trial)
    assert reasons(pauses.pause_any(case, NOTHING)) == ["no pause was played"]


@pytest.mark.parametrize(
    ("span", "any_start", "by_tor"),
    [
        ((1.99, 2.4), 0.0, 0.0),  # began before the pause
        ((2.0, 2.1), 1.0, 0.0),  # a blip: audible, but no take-over by TOR
        ((2.3, 3.29), 1.0, 0.0),
        ((2.3, 3.3), 1.0, 1.0),  # one second
        ((3.0, 3.2), 1.0, 0.0),  # late, on top of the user: still the pause's doing
        ((3.69, 6.0), 1.0, 1.0),
        ((3.7, 6.0), 0.0, 0.0),  # after the turn: a reply
    ],
)
def test_takes_in_a_pause(span: tuple[float, float], any_start: float, by_tor: float) -> None:
    case = outcome(channel(8.0, span), HALTING)
    assert only(pauses.pause_any(case, NOTHING)) == any_start
    assert only(pauses.pause_tor(case, NOTHING)) == by_tor


def test_a_start_counts_against_the_last_pause_before_it_only() -> None:
    halting = played("pause", (1.0, 2.0), (2.5, 3.5), (4.5, 5.5))
    found = pauses.pause_any(outcome(channel(9.0, (3.2, 3.4)), halting), NOTHING)
    assert [(o.row, o.value) for o in found if isinstance(o, Sample)] == [
        ("0.5 s", 1.0),
        ("1.0 s", 0.0),
    ]


@pytest.mark.parametrize(
    ("said", "is_taken"), [("one two three", 0.0), ("one two three four", 1.0)]
)
def test_with_a_log_tor_counts_words(said: str, is_taken: float) -> None:
    log = spoken(1, 2.3, 2.9, said)
    case = outcome(channel(8.0, (2.3, 2.9)), HALTING, events=(event(0.0, "listening"), *log))
    assert only(pauses.pause_tor(case, NOTHING)) == is_taken


def test_frames_of_the_annotation_are_on_the_clock() -> None:
    assert HALTING.speech()[1] == (frames(2.7), frames(3.7))
