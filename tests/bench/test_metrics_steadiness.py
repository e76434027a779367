"""Self-interruption, phantoms and heard history."""

from __future__ import annotations

import numpy as np
import pytest

from edge_assistant.bench.metrics import log, steadiness
from edge_assistant.bench.metrics.registry import context_of
from edge_assistant.bench.metrics.values import Context, Observation, Sample
from tests.bench.metrics_makers import (
    NOTHING,
    Event,
    channel,
    event,
    only,
    outcome,
    played,
    reasons,
    spoken,
    values,
)

PACED = Context(pace={"ours": 10.0})
QUESTION = played("question", (0.2, 0.5))


@pytest.mark.parametrize(("end_s", "count"), [(3.0, 0.0), (3.49, 0.0), (3.51, 1.0)])
def test_a_yield_without_any_sound_in_1500_ms_is_its_own(end_s: float, count: float) -> None:
    noise = played("noise", (1.8, 2.0), is_user=False)
    case = outcome(channel(9.0, (1.0, end_s)), noise, events=(event(end_s, "yielded", 1),))
    (found,) = steadiness.self_interruptions(case, NOTHING)
    assert isinstance(found, Sample)
    assert found.value == count
    assert found.exposure == pytest.approx(end_s - 1.0)


def test_without_a_log_nobody_knows_who_interrupted() -> None:
    case = outcome(channel(9.0, (1.0, 3.0)))
    for metric in (
        steadiness.self_interruptions,
        steadiness.phantom_turns,
        steadiness.heard_exact,
        steadiness.heard_error,
        steadiness.floor_kept_under_echo,
    ):
        assert reasons(metric(case, NOTHING)) == [steadiness.NO_LOG]


@pytest.mark.parametrize(("ended", "expected"), [("playback_finished", [1.0]), ("yielded", [0.0])])
def test_its_own_echo_silences_a_reply(ended: str, expected: list[float]) -> None:
    room = np.ones(1, dtype=np.float32)
    events = spoken(1, 1.0, 4.0, "a reply", ended=ended)
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events, room=room)
    assert steadiness.with_echo(case.trial)
    assert values(steadiness.floor_kept_under_echo(case, NOTHING)) == expected
    caused = outcome(
        channel(9.0, (1.0, 4.0)), QUESTION, played("noise", (3.0, 3.5)), events=events, room=room
    )
    assert len(reasons(steadiness.floor_kept_under_echo(caused, NOTHING))) == (ended == "yielded")


def test_echo_needs_a_room_and_nothing_else_in_the_reply() -> None:
    over = played("backchannel", (3.0, 3.2), into_reply=True)
    room = np.ones(1, dtype=np.float32)
    assert not steadiness.with_echo(outcome(channel(1.0), QUESTION).trial)
    assert not steadiness.with_echo(outcome(channel(1.0), QUESTION, over, room=room).trial)


@pytest.mark.parametrize(("gap_s", "count"), [(1.0, 1.0), (1.01, 2.0)])
def test_replies_to_nobody(gap_s: float, count: float) -> None:
    case = outcome(channel(30.0, (1.0, 2.0), (2.0 + gap_s, 4.0)))
    (found,) = steadiness.phantom_replies(case, NOTHING)
    assert found == Sample(trial=case.trial.id, value=count, exposure=30.0)


def test_turns_that_nobody_took_are_counted_once_each() -> None:
    events = (*spoken(1, 1.0, 2.0, "a"), event(5.0, "committed", 2), event(0.0, "listening"))
    (found,) = steadiness.phantom_turns(outcome(channel(30.0), events=events), NOTHING)
    assert found == Sample(trial="scenario/condition/synthetic/001", value=2.0, exposure=30.0)
    (none,) = steadiness.phantom_turns(
        outcome(channel(30.0), events=(event(0.0, "listening"),)), NOTHING
    )
    assert isinstance(none, Sample)
    assert none.value == 0.0


def test_a_trial_with_a_user_has_no_phantoms() -> None:
    assert not steadiness.without_user(outcome(channel(1.0), QUESTION).trial)
    tv = played("tv", (0.2, 0.5), is_user=False)
    assert steadiness.without_user(outcome(channel(1.0), tv).trial)


# --- heard history ---------------------------------------------------------------------------

TEN = "abcdefghij"
TEXT = " ".join([TEN] * 6)
"""Sixty letters: six seconds at ten letters a second."""


def error_of(heard: str, end_s: float = 4.0) -> float:
    events = spoken(1, 1.0, end_s, TEXT, heard=heard, ended="yielded")
    case = outcome(channel(9.0, (1.0, end_s)), QUESTION, events=events)
    return only(steadiness.heard_error(case, PACED))


def test_heard_error_is_signed_seconds() -> None:
    assert error_of(" ".join([TEN] * 3)) == pytest.approx(0.0, abs=1e-3)
    assert error_of(TEXT) == pytest.approx(3.0, abs=1e-3)
    assert error_of("") == pytest.approx(-3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("heard", "is_exact"),
    [
        (" ".join([TEN] * 3), 1.0),
        (" ".join([TEN] * 3) + " abcdef", 0.0),  # not a word of the text
        (TEXT, 0.0),  # the history was not cut
        ("", 0.0),
        ("Abcdefghij, abcdefghij abcdefghij!", 1.0),  # case and punctuation do not matter
        (" ".join([TEN, "abcdefghiy", TEN]), 0.0),
    ],
)
def test_what_was_heard_of_a_silenced_reply(heard: str, is_exact: float) -> None:
    events = spoken(1, 1.0, 4.0, TEXT, heard=heard, ended="yielded")
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events)
    assert only(steadiness.heard_exact(case, PACED)) == is_exact


@pytest.mark.parametrize(
    ("end_s", "is_exact"), [(3.45, 0.0), (3.51, 1.0), (4.74, 1.0), (4.76, 0.0)]
)
def test_the_slack_is_a_fifth_or_half_a_second(end_s: float, is_exact: float) -> None:
    """Thirty letters, 3 s: within a fifth of what was audible (0.5 s at least)."""
    events = spoken(1, 1.0, end_s, TEXT, heard=" ".join([TEN] * 3), ended="yielded")
    case = outcome(channel(9.0, (1.0, end_s)), QUESTION, events=events)
    assert only(steadiness.heard_exact(case, PACED)) == is_exact


@pytest.mark.parametrize(("heard", "is_exact"), [("Yes, it is.", 1.0), ("yes it", 0.0)])
def test_a_finished_reply_was_heard_whole(heard: str, is_exact: float) -> None:
    events = spoken(1, 1.0, 4.0, "Yes - it is!", heard=heard)
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events)
    (found,) = steadiness.heard_exact(case, NOTHING)
    assert isinstance(found, Sample)
    assert (found.value, found.row) == (is_exact, "finished")


def test_figures_and_unknown_pace_are_void() -> None:
    events = spoken(1, 1.0, 4.0, "It is 42.", heard="It is forty-two.")
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events)
    assert reasons(steadiness.heard_exact(case, NOTHING)) == [
        "the text holds figures; how they are said is unknown"
    ]
    events = spoken(1, 1.0, 4.0, "It is so.", heard="It is", ended="yielded", exact=False)
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events)
    (found,) = steadiness.heard_exact(case, NOTHING)
    assert reasons([found]) == ["the voice's pace is unknown"]
    assert found.row == "estimate"


def in_figures(
    heard: str, *, spoken_as: str | None, ended: str = "playback_finished"
) -> list[Observation]:
    """`heard_exact` of a reply that is written with figures and takes 2.6 s: two clauses, the
    first without."""
    begun, clause, *rest = spoken(1, 1.0, 3.6, "It is 42 now.", heard=heard, ended=ended)
    first = event(0.8, "reply", 1, draft=1, text="Look here.")  # tells no `spoken`
    second = clause if spoken_as is None else {**clause, "spoken": spoken_as}
    events = (begun, first, second, *rest)
    case = outcome(channel(9.0, (1.0, 3.6)), QUESTION, events=events)
    return steadiness.heard_exact(case, PACED)


@pytest.mark.parametrize(
    ("heard", "is_exact"),
    [
        ("Look here. It is forty-two now.", 1.0),
        ("look here it is forty two now", 1.0),
        ("Look here. It is 42 now.", 0.0),  # as it was written, not as it was said
        ("Look here. It is forty-two.", 0.0),
        ("Look here. It is forty-two now, Sir.", 0.0),
        ("It is forty-two now.", 0.0),
        ("", 0.0),
    ],
)
def test_figures_count_as_the_log_says_they_were_spoken(heard: str, is_exact: float) -> None:
    assert only(in_figures(heard, spoken_as="It is forty-two now.")) == is_exact
    assert len(reasons(in_figures(heard, spoken_as=None))) == 1
    assert len(reasons(in_figures(heard, spoken_as="It is 42 now."))) == 1


@pytest.mark.parametrize(
    ("heard", "is_exact"),
    [
        ("Look here. It is forty-two now.", 1.0),  # 23 letters: 2.3 s of 2.6
        ("Look here. It is forty-two", 0.0),  # 20: 0.6 s short
        ("Look here. It is fifty-two now.", 0.0),
        ("Look here. It is 42 now and then.", 0.0),  # wrong words are wrong, however long
    ],
)
def test_the_time_of_a_silenced_reply_is_that_of_its_spoken_words(
    heard: str, is_exact: float
) -> None:
    found = in_figures(heard, spoken_as="It is forty-two now, so it is.", ended="yielded")
    assert only(found) == is_exact


def test_what_is_heard_in_figures_has_no_length() -> None:
    events = spoken(1, 1.0, 4.0, TEXT, heard="It is 42", ended="yielded")
    case = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=events)
    assert reasons(steadiness.heard_error(case, PACED)) == [steadiness.FIGURES]
    whole = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=spoken(1, 1.0, 4.0, "x" * 45))
    odd = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=spoken(1, 1.0, 4.0, "1234567890"))
    assert context_of([whole, odd]).pace == {"ours": pytest.approx(15.0)}


def test_pace_is_that_of_replies_that_were_played_whole() -> None:
    whole = outcome(channel(9.0, (1.0, 4.0)), QUESTION, events=spoken(1, 1.0, 4.0, "x" * 45))
    cut = outcome(
        channel(9.0, (1.0, 2.0)),
        QUESTION,
        events=spoken(1, 1.0, 2.0, "x" * 90, heard="x" * 90, ended="yielded"),
    )
    void = outcome(
        channel(9.0, (1.0, 2.0)), QUESTION, events=spoken(1, 1.0, 2.0, "x" * 90), void="disturbed"
    )
    assert context_of([whole, cut, void]).pace == {"ours": pytest.approx(15.0)}
    assert context_of([cut]).pace == {}


def test_a_log_of_a_stranger_is_read_as_far_as_it_goes() -> None:
    events: tuple[Event, ...] = (
        {"event": "playback_started"},
        event(1.0, "playback_started"),
        {"t": "soon", "event": "playback_started", "turn": 1},
        event(2.0, "playback_started", 3),
        event(3.0, "yielded", 3, heard=17),
        {"t": float("nan"), "event": "committed", "turn": 9},
        {},
    )
    (found,) = log.replies(events)
    assert (found.turn, found.heard, found.ended, found.text) == (3, None, "yielded", "")


def test_the_last_transcript_and_the_played_drafts_clauses_count() -> None:
    events = (
        event(0.1, "transcript", 1, text="how old", final=True),
        event(0.2, "reply", 1, draft=1, text="Who?"),
        event(0.3, "draft_discarded", 1, draft=1),
        event(0.4, "transcript", 1, text="how old is it", final=True),
        event(0.5, "transcript", 1, text="how", final=False),
        event(0.6, "reply", 1, draft=2, text="It is"),
        event(0.7, "playback_started", 1, draft=2),
        event(0.8, "reply", 1, draft=2, text="old."),
        event(1.8, "yielded", 1, draft=2, heard="It"),
        event(1.9, "reply", 1, draft=2, text="Too late."),
    )
    (found,) = log.replies(events)
    assert found.transcript == "how old is it"
    assert found.text == found.spoken == "It is old."
    assert (found.ended, found.end_s, found.heard) == ("yielded", 1.8, "It")
