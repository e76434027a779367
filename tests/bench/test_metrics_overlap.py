"""Duck, stop, answer and floor, from both sides of each bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_assistant.bench.metrics import overlap
from edge_assistant.bench.metrics.values import Context
from edge_assistant.bench.trial import Role
from tests.bench.metrics_makers import (
    NOTHING,
    Span,
    channel,
    event,
    only,
    outcome,
    played,
    reasons,
    spoken,
    values,
    with_gain,
)

INTERRUPTION = played("interruption", (3.0, 4.5), text="no the other one", into_reply=True)
LISTENING = event(0.0, "listening")
PACED = Context(pace={"ours": 10.0})


def yielded(at_s: float, *after: Span) -> list[Span]:
    return [(1.0, at_s), *after]


@pytest.mark.parametrize(
    ("spans", "latency_s", "is_stopped"),
    [
        ([(1.0, 3.2)], 0.2, 1.0),
        ([(1.0, 4.5)], 1.5, 1.0),
        ([(1.0, 4.501)], 1.501, 0.0),
        ([(1.0, 7.0)], 4.0, 0.0),
        ([(1.0, 3.2), (6.0, 8.0)], 0.2, 1.0),  # the answer is not the old reply
        ([(1.0, 3.2), (4.0, 5.0)], 2.0, 0.0),  # it began again before the user was done
        ([(1.0, 3.1), (3.5, 3.8)], 0.8, 1.0),  # a pause of the reply is not its end
    ],
)
def test_stop_latency_is_the_last_sample(
    spans: list[Span], latency_s: float, is_stopped: float
) -> None:
    case = outcome(channel(12.0, *spans), INTERRUPTION)
    assert only(overlap.stop_latency(case, NOTHING)) == pytest.approx(latency_s, abs=1e-4)
    assert only(overlap.stopped(case, NOTHING)) == is_stopped


def test_a_reply_that_never_stops_has_no_latency_and_is_counted() -> None:
    case = outcome(channel(12.0, (1.0, 12.0)), INTERRUPTION)
    assert reasons(overlap.stop_latency(case, NOTHING)) == ["never stopped (counted in stopped)"]
    assert only(overlap.stopped(case, NOTHING)) == 0.0
    assert only(overlap.answered_audibly(case, NOTHING)) == 0.0


def test_the_log_tells_a_quick_answer_from_the_old_reply() -> None:
    spans = [(1.0, 3.2), (3.9, 6.0)]
    log = (
        *spoken(1, 1.0, 3.2, "the first reply", ended="yielded"),
        *spoken(2, 3.9, 6.0, "the second one", transcript="No, the other one."),
    )
    blind = outcome(channel(12.0, *spans), INTERRUPTION)
    told = outcome(channel(12.0, *spans), INTERRUPTION, events=log)
    assert only(overlap.stop_latency(blind, NOTHING)) == pytest.approx(3.0)
    assert only(overlap.stop_latency(told, NOTHING)) == pytest.approx(0.2)
    assert only(overlap.answered(told, NOTHING)) == 1.0


def test_after_stop_the_bound_is_one_and_a_half_seconds() -> None:
    stop = played("stop", (3.0, 3.4), text="stop", into_reply=True)
    case = outcome(channel(12.0, (1.0, 3.3), (4.0, 6.0)), stop)
    assert only(overlap.stop_latency(case, NOTHING)) == pytest.approx(3.0)
    assert overlap.answered_audibly(case, NOTHING) == []


@pytest.mark.parametrize(
    ("end_s", "finished_s", "is_void"), [(4.9, 4.9, True), (5.0, 5.0, False), (8.0, 8.0, False)]
)
def test_a_reply_that_was_over_by_itself_within_2_s_is_void(
    end_s: float, finished_s: float, is_void: bool
) -> None:
    log = spoken(1, 1.0, finished_s, "a reply")
    case = outcome(channel(12.0, (1.0, end_s)), INTERRUPTION, events=log)
    expected = ["the reply had less than 2 s left"] if is_void else []
    assert reasons(overlap.stopped(case, NOTHING)) == expected
    assert len(values(overlap.stopped(case, NOTHING))) == 1 - len(expected)


@pytest.mark.parametrize(("letters", "is_void"), [(39, True), (40, False), (90, False)])
def test_a_silenced_reply_is_void_if_its_words_were_nearly_over(
    letters: int, is_void: bool
) -> None:
    """10 letters a second from 1.0 s on: 40 letters last until 5.0 s, 2 s after the onset."""
    log = spoken(1, 1.0, 3.2, "x" * letters, heard="x" * 20, ended="yielded")
    case = outcome(channel(12.0, (1.0, 3.2)), INTERRUPTION, events=log)
    assert bool(reasons(overlap.stopped(case, PACED))) is is_void
    assert reasons(overlap.stopped(case, NOTHING)) == []  # nobody knows the pace


def test_no_reply_at_the_onset_and_no_overlap_at_all_are_void() -> None:
    late = outcome(channel(12.0, (1.0, 2.0)), INTERRUPTION)
    assert reasons(overlap.stopped(late, NOTHING)) == ["no reply was audible at its onset"]
    never = outcome(channel(12.0), planned=(INTERRUPTION.stimulus,))
    assert reasons(overlap.stopped(never, NOTHING)) == ["not played: no reply, or too short a one"]
    assert overlap.has_role(overlap.INTERRUPTIONS)(never.trial)


# --- duck ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gain_db", "is_ducked"), [(-11.5, 0.0), (-18.0, 1.0)])
def test_duck_latency_from_the_channel(gain_db: float, is_ducked: float) -> None:
    reply = with_gain(channel(12.0, (1.0, 9.0)), 3.15, 9.0, gain_db)
    case = outcome(reply, INTERRUPTION)
    assert only(overlap.ducked(case, NOTHING)) == is_ducked
    found = overlap.duck_latency(case, NOTHING)
    assert values(found) == pytest.approx([0.15] if is_ducked else [])
    assert reasons(found) == ([] if is_ducked else [overlap.NOT_DUCKED])


@pytest.mark.parametrize(("pause_s", "is_told"), [(2.99, False), (3.01, True)])
def test_a_pause_that_runs_into_the_duck_hides_its_latency(pause_s: float, is_told: bool) -> None:
    case = outcome(channel(12.0, (1.0, pause_s), (3.1, 3.25), level=0.1), INTERRUPTION)
    quiet = with_gain(case.reply, 3.1, 3.3, -20.0)
    found = overlap.duck_latency(replace(case, reply=quiet), NOTHING)
    assert values(found) == pytest.approx([0.01] if is_told else [])
    assert only(overlap.ducked(replace(case, reply=quiet), NOTHING)) == 1.0


def test_a_reply_with_too_little_before_the_onset_is_void_for_ducking_only() -> None:
    case = outcome(channel(12.0, (2.9, 3.3)), INTERRUPTION)
    assert reasons(overlap.ducked(case, NOTHING)) == [
        "too little reply before the onset to compare with"
    ]
    assert only(overlap.stopped(case, NOTHING)) == 1.0


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((event(3.08, "ducked", 1), event(3.3, "yielded", 1)), [0.08]),
        ((event(3.3, "yielded", 1),), [0.3]),
        ((event(2.99, "ducked", 1), event(5.01, "ducked", 1)), []),
        ((LISTENING,), []),
        ((), []),
    ],
)
def test_duck_latency_from_the_log(
    events: tuple[dict[str, object], ...], expected: list[float]
) -> None:
    case = outcome(channel(12.0, (1.0, 9.0)), INTERRUPTION, events=events)
    found = overlap.duck_latency_logged(case, NOTHING)
    assert values(found) == pytest.approx(expected)
    assert len(reasons(found)) == 1 - len(expected)


# --- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("begin_s", "is_answered"), [(7.5, 1.0), (7.501, 0.0)])
def test_an_answer_comes_within_3_s_of_the_end(begin_s: float, is_answered: float) -> None:
    log = (
        *spoken(1, 1.0, 3.3, "the first", ended="yielded"),
        *spoken(2, begin_s, 9.0, "the second", transcript="no, the other one"),
    )
    case = outcome(channel(12.0, (1.0, 3.3), (begin_s, 9.0)), INTERRUPTION, events=log)
    assert only(overlap.answered_audibly(case, NOTHING)) == is_answered
    assert only(overlap.answered(case, NOTHING)) == is_answered


@pytest.mark.parametrize(
    ("transcript", "is_answered"),
    [("no the other one", 1.0), ("The other!", 1.0), ("the", 0.0), ("", 0.0)],
)
def test_the_prompt_holds_the_interruption(transcript: str, is_answered: float) -> None:
    log = (
        *spoken(1, 1.0, 3.3, "the first", ended="yielded", transcript="no the other one"),
        *spoken(2, 5.0, 9.0, "the second", transcript=transcript),
    )
    case = outcome(channel(12.0, (1.0, 3.3), (5.0, 9.0)), INTERRUPTION, events=log)
    assert only(overlap.answered(case, NOTHING)) == is_answered
    assert only(overlap.answered_audibly(case, NOTHING)) == 1.0


@pytest.mark.parametrize(("begin_s", "is_answered"), [(7.4, 1.0), (7.6, 0.0)])
def test_an_answer_to_the_interruption_that_comes_too_late_is_none(
    begin_s: float, is_answered: float
) -> None:
    """Something else is said in time, so the channel alone does not tell."""
    log = (
        *spoken(1, 1.0, 3.3, "the first", ended="yielded"),
        *spoken(2, 5.0, 5.5, "pardon", transcript="mumble"),
        *spoken(3, begin_s, 9.0, "the third", transcript="no the other one"),
    )
    spans = ((1.0, 3.3), (5.0, 5.5), (begin_s, 9.0))
    case = outcome(channel(12.0, *spans), INTERRUPTION, events=log)
    assert only(overlap.answered_audibly(case, NOTHING)) == 1.0
    assert only(overlap.answered(case, NOTHING)) == is_answered


def test_a_logged_answer_that_nobody_could_hear_is_none() -> None:
    log = (
        *spoken(1, 1.0, 3.3, "the first", ended="yielded"),
        *spoken(2, 5.0, 9.0, "the second", transcript="no the other one"),
    )
    case = outcome(channel(12.0, (1.0, 3.3)), INTERRUPTION, events=log)
    assert only(overlap.answered(case, NOTHING)) == 0.0


def test_without_a_log_only_the_channels_tell() -> None:
    case = outcome(channel(12.0, (1.0, 3.3), (5.0, 9.0)), INTERRUPTION)
    assert only(overlap.answered_audibly(case, NOTHING)) == 1.0
    assert reasons(overlap.answered(case, NOTHING)) == ["no event log"]


# --- floor -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["backchannel", "noise"])
@pytest.mark.parametrize(
    ("spans", "is_kept"),
    [
        ([(1.0, 9.0)], 1.0),
        ([(1.0, 3.1), (4.4, 9.0)], 1.0),  # resumed within 1 s of the end at 3.5 s
        ([(1.0, 3.1), (4.5, 9.0)], 0.0),
        ([(1.0, 3.1)], 0.0),
    ],
)
def test_the_floor_is_kept_or_resumed_within_1_s(
    role: Role, spans: list[Span], is_kept: float
) -> None:
    sound = played(role, (3.0, 3.5), into_reply=True, is_user=role == "backchannel")
    case = outcome(channel(12.0, *spans), sound)
    found = overlap.floor_kept(case, NOTHING)
    assert only(found) == is_kept
    assert found[0].row == role


@pytest.mark.parametrize(
    ("ended", "end_s", "expected"),
    [
        ("yielded", 3.2, [0.0]),  # though a new reply is audible at once
        ("yielded", 4.6, [1.0]),  # more than 1 s after the sound: another matter
        ("playback_finished", 3.9, []),
        ("playback_finished", 4.1, [1.0]),
    ],
)
def test_the_log_says_how_the_reply_ended(ended: str, end_s: float, expected: list[float]) -> None:
    sound = played("backchannel", (3.0, 3.5), into_reply=True)
    log = spoken(1, 1.0, end_s, "a reply", ended=ended)
    spans = [(1.0, end_s), (3.9, 9.0)] if ended == "yielded" else [(1.0, end_s)]
    found = overlap.floor_kept(outcome(channel(12.0, *spans), sound, events=log), NOTHING)
    assert values(found) == expected
    assert len(reasons(found)) == 1 - len(expected)


@pytest.mark.parametrize(("begin_s", "is_answered"), [(7.5, 1.0), (7.6, 0.0)])
def test_talk_of_others_that_is_answered(begin_s: float, is_answered: float) -> None:
    tv = played("tv", (3.0, 4.5), is_user=False)
    case = outcome(channel(12.0, (begin_s, 9.0)), tv)
    assert only(overlap.others_answered(case, NOTHING)) == is_answered
    log = spoken(1, begin_s, 9.0, "to nobody")
    logged = outcome(channel(12.0, (begin_s, 9.0)), tv, events=log)
    assert only(overlap.others_answered(logged, NOTHING)) == is_answered


def test_others_are_reported_apart() -> None:
    talk = played("side_talk", (3.0, 4.5), is_user=False, into_reply=True)
    case = outcome(channel(12.0, (1.0, 9.0)), talk)
    assert overlap.floor_kept(case, NOTHING) == []
    (found,) = overlap.floor_kept_over_others(case, NOTHING)
    assert found.row == "side_talk"
    assert only(overlap.others_answered(case, NOTHING)) == 0.0
