"""Conversations in virtual time: the real floor, segmenter and playout, scripted people and
engines."""

from __future__ import annotations

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.level import gain_of_db
from edge_assistant.turns.commands import (
    Answer,
    Commit,
    Discard,
    Duck,
    EndTurn,
    FinishTurn,
    OpenTurn,
    ResumeTurn,
    StartDraft,
    Unduck,
    Yield,
)
from edge_assistant.turns.events import Outcome, PushPressed, PushReleased
from edge_assistant.turns.settings import Settings
from tests.fakes.lines import voice_of
from tests.fakes.screenplay import Screenplay

QUESTION_ENDS_S = 2.0


AT_THE_END = Settings(draft_at="endpoint", min_wait_ms=200)


def asked(play: Screenplay | None = None) -> Screenplay:
    """A question from 0.5 to 2.0 s; the reply takes 3 s by default."""
    return (play or Screenplay()).user(0.5, QUESTION_ENDS_S)


def reply_begins_s(play: Screenplay) -> float:
    """When the first frame of any reply was heard."""
    return float(np.flatnonzero(play.audio())[0]) / SAMPLE_RATE


def test_a_question_is_answered_once() -> None:
    rules = Settings(draft_at="endpoint", partials=False)
    play = asked(Screenplay(rules=rules)).run(8.0)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert play.names() == [
        "OpenTurn",
        "PauseTurn",
        "JudgeTurn",
        "EndTurn",
        "StartDraft",
        "Commit",
        "Answer",
        "FinishTurn",
    ]
    assert play.heard_frames[(1, 1)] == 3 * SAMPLE_RATE
    assert play.state.is_idle


@pytest.mark.parametrize(("probability", "wait_s"), [(1.0, 0.2), (0.5, 0.65), (0.0, 1.1)])
def test_the_wait_falls_with_the_probability_of_an_end(probability: float, wait_s: float) -> None:
    play = asked(Screenplay(rules=AT_THE_END, probability=probability)).run(6.0)
    assert play.when(EndTurn) == pytest.approx(QUESTION_ENDS_S + wait_s, abs=0.011)


def test_an_absent_turn_detector_costs_the_mean_wait() -> None:
    play = asked(Screenplay(rules=AT_THE_END, probability=None)).run(6.0)
    assert play.when(EndTurn) == pytest.approx(QUESTION_ENDS_S + 0.65, abs=0.011)


def test_a_judgement_that_comes_late_ends_the_turn_at_once() -> None:
    play = asked(Screenplay(rules=AT_THE_END, probability=1.0, judge_ms=500)).run(6.0)
    assert play.when(EndTurn) == pytest.approx(QUESTION_ENDS_S + 0.04 + 0.5, abs=0.021)


def test_a_pause_inside_a_turn_is_not_its_end() -> None:
    play = Screenplay(rules=AT_THE_END, probability=0.2)
    play.user(0.5, 1.5, "what is").user(2.0, 3.0, "the time").run(8)
    assert len(play.commands(OpenTurn)) == 1
    assert [answer.text for answer in play.commands(Answer)] == ["what is the time"]
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_speech_that_begins_just_before_the_deadline_keeps_the_turn_open() -> None:
    # The wait is 0.2 s at probability 1: speech begins 0.05 s before, is confirmed 0.05 s after it.
    play = Screenplay(rules=AT_THE_END, probability=1.0)
    play.user(0.5, 2.0, "one").user(2.15, 3.0, "two").run(8)
    assert [answer.text for answer in play.commands(Answer)] == ["one two"]


def test_a_false_endpoint_is_mended_before_anything_is_heard() -> None:
    play = Screenplay(probability=1.0, llm_ms=800).user(0.5, 2.0, "book a").user(2.6, 3.2, "room")
    play.run(10)
    assert play.commands(ResumeTurn)
    assert [answer.text for answer in play.commands(Answer)][-1] == "book a room"
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert reply_begins_s(play) > 3.2
    assert play.heard_frames[(1, 1)] == 0


def test_drafts_at_a_pause_are_discarded_unheard_when_the_user_goes_on() -> None:
    rules = Settings(draft_at="pause", min_wait_ms=200)
    play = Screenplay(rules=rules, words=0.001, llm_ms=10, stt_ms=10)
    play.user(0.5, 1.5, "what is").user(2.2, 3.0, "the time").run(9)
    assert [discard.reason for discard in play.commands(Discard)] == ["resumed"]
    assert play.is_silent(0.0, 3.0 + 1.05)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_a_draft_that_is_ready_is_heard_with_the_commit() -> None:
    rules = Settings(draft_at="pause", min_wait_ms=200)
    play = asked(Screenplay(rules=rules, probability=1.0, stt_ms=20, llm_ms=40)).run(6)
    assert reply_begins_s(play) - play.when(Commit) <= 0.011


@pytest.mark.parametrize(
    ("words", "words_ms", "wait_s"),
    [(0.6, 40, 0.16), (0.6, 140, 0.21), (0.001, 40, 1.1), (None, 40, 0.41)],
    ids=["all of it", "late", "it goes on", "never judged"],
)
def test_the_words_of_a_draft_decide_how_long_to_wait(
    words: float | None, words_ms: int, wait_s: float
) -> None:
    """The dip is noticed after 0.02 s, the look at it takes 0.05 s."""
    play = asked(Screenplay(probability=0.9, words=words, words_ms=words_ms)).run(8.0)
    assert play.when(EndTurn) == pytest.approx(QUESTION_ENDS_S + wait_s, abs=0.011)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_a_draft_that_fails_is_tried_again_when_the_turn_is_over() -> None:
    play = asked(Screenplay(fail=lambda stage, key: key == (1, 1))).run(8)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert [each.draft for each in play.commands(Commit)] == [2]


def test_who_pauses_often_gets_so_many_drafts_and_an_answer_in_the_end() -> None:
    play = Screenplay(rules=Settings(max_drafts=2), probability=0.0, words=0.001)
    for number in range(4):
        play.user(1.0 + number, 1.5 + number, f"part {number}")
    play.run(12)
    assert [each.draft for each in play.commands(StartDraft)] == [1, 2, 3]
    assert play.outcomes == {1: [Outcome.ANSWERED]}


BARGE_INS = {
    "thinking": 2.25,
    "at the first sentence": 2.5,
    "in the middle": 3.7,
    "in the last 50 ms": 5.35,
}


@pytest.mark.parametrize("begins_s", BARGE_INS.values(), ids=BARGE_INS.keys())
def test_an_interruption_silences_the_reply_and_is_answered(begins_s: float) -> None:
    play = asked().user(begins_s, begins_s + 1.2, "and tomorrow").run(14)
    last = max(play.outcomes)
    assert play.outcomes[last] == [Outcome.ANSWERED]
    assert "and tomorrow" in play.commands(Answer)[-1].text
    assert play.is_silent(begins_s + 0.32, begins_s + 1.2)
    for outcomes in play.outcomes.values():
        assert len(outcomes) == 1


def test_an_interruption_ducks_first_then_yields() -> None:
    play = asked().user(3.5, 5.0, "no, in Paris").run(12)
    assert play.when(Duck) < play.when(Yield)
    assert play.when(Duck) <= 3.5 + 0.04
    assert play.when(Yield) == pytest.approx(3.5 + 0.25 + 0.05, abs=0.011)  # length, transcript
    assert play.outcomes[1] == [Outcome.INTERRUPTED]
    begins_s = reply_begins_s(play)
    heard_s = play.heard_frames[(1, 1)] / SAMPLE_RATE
    assert heard_s == pytest.approx(play.when(Yield) + 0.008 - begins_s, abs=0.021)


@pytest.mark.parametrize("text", ["Mm-hmm.", "Yeah, right.", "I see!", ""])
def test_a_listener_who_only_listens_does_not_get_the_floor(text: str) -> None:
    play = asked(Screenplay(reply_s=5.0)).user(3.5, 4.1, text).run(14)
    assert play.commands(Yield) == []
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}
    assert play.when(Unduck) < 4.1 + 0.21
    assert play.heard_frames[(1, 1)] == 5 * SAMPLE_RATE, "not a sample is lost"


def test_one_short_word_that_asks_for_the_floor_gets_it() -> None:
    play = asked(Screenplay(reply_s=5.0)).user(3.6, 3.8, "no").run(14)
    assert play.when(Yield) < 3.8 + 0.2
    assert play.commands(Answer)[-1].text == "no"
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}


@pytest.mark.parametrize("stt_ms", [50, 2_000], ids=["responses", "a slow recogniser"])
def test_who_speaks_for_so_long_gets_the_floor_whatever_the_words(stt_ms: int) -> None:
    play = asked(Screenplay(reply_s=9.0, stt_ms=stt_ms))
    begins_s = 3.6 if stt_ms == 50 else 6.0
    play.user(begins_s, begins_s + 2.0, "yeah yeah okay").run(16)
    assert play.when(Yield) == pytest.approx(begins_s + 1.5, abs=0.011)
    assert all(len(outcomes) == 1 for outcomes in play.outcomes.values())


def test_by_length_alone_where_the_words_are_not_looked_at() -> None:
    rules = Settings(probe_ms=0, barge_in_ms=200)
    play = asked(Screenplay(rules=rules)).user(3.5, 5.0, "yeah").run(12)
    assert play.when(Yield) == pytest.approx(3.5 + 0.2, abs=0.011)


def test_two_interruptions_in_a_row() -> None:
    play = asked().user(3.6, 4.5, "first").user(6.1, 7.0, "second").run(16)
    assert [outcomes[0] for outcomes in play.outcomes.values()] == [
        Outcome.INTERRUPTED,
        Outcome.INTERRUPTED,
        Outcome.ANSWERED,
    ]
    assert play.commands(Answer)[-1].text == "second"


def test_a_backchannel_ducks_and_the_reply_goes_on_without_a_lost_sample() -> None:
    play = asked().user(3.5, 3.65, "mhm").run(10)
    assert not play.commands(Yield)
    assert play.outcomes[1] == [Outcome.ANSWERED]
    assert play.outcomes[2] == [Outcome.IGNORED]
    assert len(play.commands(Duck)) == len(play.commands(Unduck)) == 1
    assert play.heard_frames[(1, 1)] == 3 * SAMPLE_RATE
    spoken = play.audio()[play.audio() > 0]
    assert len(spoken) == 3 * SAMPLE_RATE
    assert spoken.min() == pytest.approx(voice_of((1, 1)) * gain_of_db(-18.0), rel=1e-3)
    assert spoken[-1] == pytest.approx(voice_of((1, 1)))


def test_a_cough_that_is_no_speech_only_ducks() -> None:
    play = asked().user(3.5, 3.55, "").run(10)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert len(play.commands(Duck)) == len(play.commands(Unduck)) == 1


def test_noise_alone_is_no_turn_that_is_answered() -> None:
    play = Screenplay().user(1.0, 1.6, "").run(5)
    assert play.outcomes == {1: [Outcome.IGNORED]}
    assert play.is_silent(0.0, 5.0)


def test_both_start_at_once_and_the_assistant_yields() -> None:
    begins_s = reply_begins_s(asked().run(8))
    play = asked().user(begins_s, begins_s + 1.0, "wait").run(12)
    assert play.is_silent(begins_s + 0.32, begins_s + 1.0)
    assert play.commands(Answer)[-1].text.endswith("wait")
    assert all(len(outcomes) == 1 for outcomes in play.outcomes.values())


@pytest.mark.parametrize("begins_s", [1.0, *BARGE_INS.values()])
def test_stop_works_in_every_state(begins_s: float) -> None:
    play = Screenplay(rules=AT_THE_END)
    if begins_s > 2:
        asked(play)
    play.user(begins_s, begins_s + 0.4, "Stop!").run(12)
    last = max(play.outcomes)
    assert play.outcomes[last] == [Outcome.STOPPED]
    assert play.is_silent(begins_s + 1.5, 12.0)


def test_stop_works_over_a_reply_where_barge_in_is_off() -> None:
    rules = Settings(barge_in=False)
    play = asked(Screenplay(rules=rules, reply_s=6.0)).user(3.5, 3.8, "stop please").run(12)
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.STOPPED]}
    assert play.is_silent(3.8 + 0.25, 12.0)


def test_speech_does_not_interrupt_where_barge_in_is_off() -> None:
    rules = Settings(barge_in=False)
    play = asked(Screenplay(rules=rules, reply_s=6.0)).user(3.5, 5.0, "and tomorrow").run(14)
    assert play.outcomes[1] == [Outcome.ANSWERED]
    assert play.heard_frames[(1, 1)] == 6 * SAMPLE_RATE
    assert not play.commands(Duck)


def test_the_wake_phrase_opens_the_ear_and_is_cut_off() -> None:
    rules = Settings(listen="wake", wake_phrase="hey assistant")
    play = Screenplay(rules=rules).user(0.5, 1.5, "nice weather today").run(4)
    play.user(4.5, 6.0, "Hey, assistant, what time is it?").run(12)
    assert play.outcomes == {1: [Outcome.IGNORED], 2: [Outcome.ANSWERED]}
    assert [answer.text for answer in play.commands(Answer)] == ["what time is it?"]


def test_after_the_wake_phrase_alone_a_question_needs_none() -> None:
    play = Screenplay(rules=Settings(listen="wake", wake_phrase="hey assistant"))
    play.user(0.5, 1.3, "Hey assistant.").user(4.0, 5.0, "what time is it").run(10)
    play.user(11.0, 12.0, "nice weather today").run(15)
    assert [answer.text for answer in play.commands(Answer)] == ["what time is it"]
    assert [outcomes[0] for outcomes in play.outcomes.values()] == [
        Outcome.IGNORED,
        Outcome.ANSWERED,
        Outcome.IGNORED,
    ]


def test_the_ear_that_the_wake_phrase_opened_closes_again() -> None:
    play = Screenplay(rules=Settings(listen="wake", wake_phrase="hey assistant"))
    play.user(0.5, 1.3, "Hey assistant.").user(11.0, 12.0, "what time is it").run(16)
    assert not play.commands(Answer)


def test_in_wake_mode_side_talk_does_not_interrupt_but_the_wake_phrase_does() -> None:
    rules = Settings(listen="wake", wake_phrase="hey assistant")
    play = Screenplay(rules=rules, reply_s=8.0).user(0.5, 1.5, "hey assistant tell me a story")
    play.user(4.0, 5.0, "pass the salt").user(7.0, 8.0, "hey assistant what time is it").run(22)
    assert play.outcomes == {
        1: [Outcome.INTERRUPTED],
        2: [Outcome.IGNORED],
        3: [Outcome.ANSWERED],
    }
    assert play.is_silent(8.4, play.when(Commit, 1))


def test_push_to_talk_takes_the_floor_and_gives_it_back() -> None:
    play = Screenplay(rules=Settings(listen="push")).user(0.5, 3.0, "hello").run(3.5)
    assert not play.log, "speech alone must not open a turn in push mode"
    play.at(4.0, lambda: play.feed(PushPressed(at_frames=int(4.0 * SAMPLE_RATE))))
    play.at(5.5, lambda: play.feed(PushReleased(at_frames=int(5.5 * SAMPLE_RATE))))
    play.user(4.2, 5.4, "what time is it").run(7.0)
    assert play.when(EndTurn) == pytest.approx(5.5, abs=0.021)
    interrupt = int(7.0 * SAMPLE_RATE)
    play.at(7.0, lambda: play.feed(PushPressed(at_frames=interrupt)))
    play.at(8.0, lambda: play.feed(PushReleased(at_frames=interrupt + SAMPLE_RATE))).run(14)
    assert play.outcomes[1] == [Outcome.INTERRUPTED]
    assert play.is_silent(7.05, 8.0)


def test_a_monologue_is_cut_at_the_stated_limit() -> None:
    rules = Settings(max_utterance_ms=5_000)
    play = Screenplay(rules=rules).user(1.0, 20.0, "and then and then").run(19)
    draft = play.commands(StartDraft)[0]
    assert (draft.to_frames - draft.from_frames) / SAMPLE_RATE == pytest.approx(5.3, abs=0.05)
    assert play.outcomes[1] == [Outcome.ANSWERED]


@pytest.mark.parametrize("stage", ["stt", "llm"])
def test_a_failing_engine_costs_one_turn_and_is_said_aloud(stage: str) -> None:
    play = Screenplay(rules=AT_THE_END, fail=lambda where, key: where == stage and key == (1, 1))
    asked(play).run(8)
    assert play.outcomes == {1: [Outcome.FAILED]}
    assert play.heard_frames[(1, 2)] == 3 * SAMPLE_RATE, "the notice"
    play.user(9.0, 10.0, "again").run(16)
    assert play.outcomes[2] == [Outcome.ANSWERED]


def test_a_turn_whose_notice_fails_too_ends_in_silence() -> None:
    play = asked(Screenplay(fail=lambda where, key: where == "llm")).run(8)
    assert play.outcomes == {1: [Outcome.FAILED]}
    assert play.is_silent(0.0, 8.0)
    assert play.state.is_idle


def test_requests_of_programs_wait_for_their_turn() -> None:
    play = asked().request(1.0, 7).request(1.0, 8, answer=True).run(16)
    finished = [(f.turn, f.outcome) for f in play.commands(FinishTurn)]
    assert finished == [(1, Outcome.ANSWERED), (2, Outcome.ANSWERED), (3, Outcome.ANSWERED)]
    assert play.commands(Answer)[-1].request == 8


def test_a_request_can_be_interrupted() -> None:
    play = Screenplay().request(0.5, 7).user(2.0, 3.0, "stop").run(8)
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.STOPPED]}
