"""More conversations in virtual time: gaps between sentences, coughs, late engines, noisy rooms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.playout import Key
from edge_assistant.cancel import CancelToken
from edge_assistant.turns.commands import (
    Answer,
    Commit,
    Conclude,
    Discard,
    Duck,
    EndTurn,
    OpenTurn,
    ResumeTurn,
    StartDraft,
    Unduck,
    Yield,
)
from edge_assistant.turns.events import Outcome, PushPressed, PushReleased, ReplyFailed
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase, State, UserPhase
from tests.fakes.lines import voice_of
from tests.fakes.screenplay import Screenplay
from tests.turns.test_floor_properties import SCRIPT_ENDS_S, screenplays

NEVER_MS = 600_000
"""An engine that says nothing: the script speaks in its place."""
FIRST = (1, 1)


AT_THE_END = Settings(draft_at="endpoint", min_wait_ms=200)


def sentence(seconds: float) -> Samples:
    """A piece of the first reply."""
    return np.full(int(seconds * SAMPLE_RATE), voice_of(FIRST), np.float32)


def told_in_two_sentences(play: Screenplay) -> Screenplay:
    """The first reply speaks from 3 to 4 s, and from 5 to 6 s; in between the voice is late."""
    token = CancelToken()
    play.user(0.5, 2.0)
    play.at(3.0, lambda: play.playout.put(FIRST, sentence(1.0), token))

    def last() -> None:
        if play.playout.is_idle:
            return  # it gave way: a real voice was cancelled
        play.playout.put(FIRST, sentence(1.0), token)
        play.playout.finish(FIRST)

    return play.at(5.0, last)


def test_a_gap_between_two_sentences_is_part_of_the_reply() -> None:
    play = told_in_two_sentences(Screenplay(llm_ms=NEVER_MS)).run(8)
    assert play.is_silent(4.1, 4.9)
    assert play.heard_frames == {FIRST: 2 * SAMPLE_RATE}
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_an_interruption_between_two_sentences_keeps_the_first_and_drops_the_second() -> None:
    play = told_in_two_sentences(Screenplay(llm_ms=NEVER_MS)).user(4.2, 4.7, "stop").run(9)
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.STOPPED]}
    assert play.heard_frames == {FIRST: SAMPLE_RATE}
    assert play.is_silent(4.1, 9.0)
    assert play.state.is_idle


def test_a_backchannel_between_two_sentences_leaves_both() -> None:
    play = told_in_two_sentences(Screenplay(llm_ms=NEVER_MS)).user(4.3, 4.45, "mhm").run(9)
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}
    assert play.heard_frames == {FIRST: 2 * SAMPLE_RATE}
    assert play.audio()[int(5.5 * SAMPLE_RATE)] == pytest.approx(voice_of(FIRST))


def test_backchannels_in_a_row_do_not_add_up_to_an_interruption() -> None:
    play = Screenplay(probability=0.5, reply_s=6.0).user(0.5, 2.0)
    for begins_s in (3.5, 4.0, 4.5, 5.0):
        play.user(begins_s, begins_s + 0.15, "mhm")
    play.run(14)
    assert not play.commands(Yield)
    assert len(play.commands(Duck)) == len(play.commands(Unduck)) == 4
    assert play.heard_frames == {FIRST: 6 * SAMPLE_RATE}
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}
    assert len(play.commands(ResumeTurn)) == 3


def test_an_interruption_after_a_backchannel_interrupts() -> None:
    play = Screenplay(probability=0.5, reply_s=6.0).user(0.5, 2.0)
    play.user(3.6, 3.75, "mhm").user(4.1, 5.1, "no, wait").run(14)
    assert play.when(Yield) == pytest.approx(4.1 + 0.3, abs=0.011)
    assert play.outcomes[1] == [Outcome.INTERRUPTED]
    assert play.commands(Answer)[-1].text == "mhm no, wait"


def test_a_cough_in_a_pause_delays_the_end_of_the_turn_and_no_more() -> None:
    play = Screenplay(rules=AT_THE_END, probability=None)
    play.user(0.5, 2.0).user(2.61, 2.69, "").run(8)
    assert play.when(EndTurn) == pytest.approx(2.0 + 0.65 + 0.05, abs=0.005)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert not play.commands(ResumeTurn)


def test_a_user_who_goes_on_while_the_recogniser_is_slow_is_heard_as_a_whole() -> None:
    play = Screenplay(probability=1.0, stt_ms=900, partial_ms=900)
    play.user(0.5, 2.0, "book a").user(2.6, 3.4, "room").run(12)
    assert [answer.text for answer in play.commands(Answer)] == ["book a room"]
    assert [(draft.turn, draft.draft) for draft in play.commands(StartDraft)] == [(1, 1), (1, 2)]
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert play.heard_frames[(1, 2)] == 3 * SAMPLE_RATE


def test_a_turn_that_is_mended_twice_is_one_turn() -> None:
    play = Screenplay(probability=1.0, llm_ms=900)
    play.user(0.5, 1.5, "book").user(2.2, 3.0, "a room").user(3.7, 4.5, "in Rome").run(14)
    assert len(play.commands(OpenTurn)) == 1
    assert play.commands(Answer)[-1].text == "book a room in Rome"
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert {key: frames for key, frames in play.heard_frames.items() if frames} == {
        (1, 3): 3 * SAMPLE_RATE
    }


def test_a_request_that_no_one_heard_yet_gives_way_to_the_user() -> None:
    play = Screenplay(llm_ms=500).request(0.5, 7).user(0.6, 1.6, "what time is it").run(10)
    assert play.heard_frames[(1, 1)] == 0
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}
    assert [answer.text for answer in play.commands(Answer)] == ["what time is it"]


def test_a_request_waits_for_an_onset_that_may_be_the_user() -> None:
    play = Screenplay().user(0.5, 1.5).request(0.55, 7).run(12)
    assert play.commands(Commit)[0].turn == 1
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.ANSWERED]}
    assert [answer.request for answer in play.commands(Answer)] == [None]


def test_the_key_takes_the_floor_from_a_reply_and_hears_all_that_was_said() -> None:
    play = Screenplay().user(0.5, 2.0)
    down, up = int(3.5 * SAMPLE_RATE), int(5.0 * SAMPLE_RATE)
    play.at(3.5, lambda: play.feed(PushPressed(at_frames=down)))
    play.at(5.0, lambda: play.feed(PushReleased(at_frames=up)))
    play.user(3.7, 4.1, "and").user(4.5, 4.9, "tomorrow").run(12)
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}
    assert play.commands(Answer)[-1].text == "and tomorrow"
    assert len(play.commands(OpenTurn)) == 2, "speech under the key is no turn of its own"
    assert play.is_silent(3.52, 5.0)


def test_in_wake_mode_side_talk_ducks_the_reply_while_it_lasts() -> None:
    rules = Settings(listen="wake", wake_phrase="hey assistant")
    play = Screenplay(rules=rules, reply_s=6.0).user(0.5, 1.5, "hey assistant tell me more")
    play.user(4.0, 5.0, "pass the salt").run(14)
    assert play.heard_frames == {FIRST: 6 * SAMPLE_RATE}
    assert play.when(Duck) == pytest.approx(4.0, abs=0.041)
    assert play.when(Unduck) == pytest.approx(5.04, abs=0.011)


def test_words_that_run_past_the_end_of_a_reply_are_a_turn_where_barge_in_is_off() -> None:
    play = Screenplay(rules=Settings(barge_in=False)).user(0.5, 2.0)
    play.user(4.5, 6.5, "and tomorrow").run(14)
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.ANSWERED]}
    assert play.heard_frames[FIRST] == 3 * SAMPLE_RATE
    assert play.commands(Answer)[-1].text == "and tomorrow"


def test_a_recogniser_that_fails_on_an_overlap_costs_nothing() -> None:
    play = Screenplay(fail=lambda stage, key: stage == "stt" and key[0] == 2)
    play.user(0.5, 2.0).user(3.5, 3.65, "mhm").run(10)
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}
    assert play.heard_frames == {FIRST: 3 * SAMPLE_RATE}


def test_a_reply_that_fails_in_its_midst_is_heard_so_far_and_ends() -> None:
    play = Screenplay(llm_ms=NEVER_MS).user(0.5, 2.0)
    play.at(3.0, lambda: play.playout.put(FIRST, sentence(1.0), CancelToken()))
    failed = ReplyFailed(turn=1, draft=1, notice="sorry", audible=True)
    play.at(3.5, lambda: play.feed(failed)).run(8)
    assert len(play.commands(Conclude)) == 1
    assert play.heard_frames == {FIRST: SAMPLE_RATE}
    assert play.outcomes == {1: [Outcome.FAILED]}


def test_a_notice_can_be_interrupted_like_any_reply() -> None:
    play = Screenplay(fail=lambda stage, key: stage == "llm" and key == FIRST)
    play.user(0.5, 2.0).user(3.5, 4.5, "never mind").run(10)
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.STOPPED]}
    assert play.is_silent(3.5 + 0.35, 10.0)


def test_a_user_who_goes_on_before_the_notice_is_heard_gets_an_answer_instead() -> None:
    play = Screenplay(
        probability=1.0, llm_ms=400, fail=lambda stage, key: stage == "llm" and key == FIRST
    )
    play.user(0.5, 2.0, "book a").user(2.75, 3.4, "room").run(10)
    assert play.commands(Answer)[-1].text == "book a room"
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert {key: frames for key, frames in play.heard_frames.items() if frames} == {
        (1, 3): 3 * SAMPLE_RATE
    }


def test_a_stop_phrase_said_after_a_breath_stops_even_if_it_is_run_together() -> None:
    # The recogniser hears both stretches as one text, without punctuation.
    play = Screenplay(probability=0.5, words=0.01)
    play.user(0.5, 1.5, "tell me a story").user(2.0, 2.4, "stop").run(8)
    assert play.outcomes == {1: [Outcome.STOPPED]}
    assert play.commands(Discard)[-1].reason == "stop"
    assert play.is_silent(0.0, 8.0)


def test_a_long_sentence_that_ends_in_a_stop_phrase_is_answered() -> None:
    play = Screenplay(probability=0.5, words=0.01)
    play.user(0.5, 1.5, "tell me").user(2.0, 3.5, "where I can stop").run(9)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def _is_of_another(reply: Key | None, turn: int) -> bool:
    return reply is None or reply[0] != turn


def impossible(state: State) -> list[str]:
    """What the floor relies on without looking, and does not hold in this state."""
    user, reply = state.user, state.reply
    phase = None if reply is None else reply.phase
    is_paused = user is not None and user.phase is UserPhase.PAUSED
    claims = {
        "a draft is held while its user pauses": phase is not ReplyPhase.DRAFTED
        or (is_paused and user is not None and reply is not None and user.turn == reply.turn),
        "a reply that nobody heard yet has the floor alone": phase is not ReplyPhase.COMMITTED
        or user is None,
        "only a voice that is heard is ducked": not state.ducked or phase is ReplyPhase.SPEAKING,
        "words over a reply are looked at in their own turn": state.check is None
        or (
            user is not None
            and state.check[0] == user.turn
            and (user.overlapped if is_paused else user.probes > 0)
        ),
        "only who is silent was overheard": user is None or not user.overlapped or is_paused,
        "only who speaks, or holds the key, is looked at": user is None
        or not user.partial_frames
        or user.phase is UserPhase.TALKING
        or user.pushed,
        "nobody interrupts himself": (user is None or _is_of_another(user.interrupted, user.turn))
        and (reply is None or _is_of_another(reply.interrupted, reply.turn)),
        "breaks come in order": user is None
        or user.pushed
        or sorted(user.breaks) == [*user.breaks],
        "no number is given twice": max(user.turn if user else 0, reply.turn if reply else 0)
        < state.next_turn,
    }
    return [claim for claim, holds in claims.items() if not holds]


@settings(max_examples=30, suppress_health_check=[HealthCheck.data_too_large])
@given(play=screenplays())
def test_what_the_floor_relies_on_holds_after_every_fact(play: Screenplay) -> None:
    play.run(SCRIPT_ENDS_S + 4.0)
    state = State()
    for at_s, event in play.events:
        state, _ = step(state, event, play.rules)
        assert not impossible(state), f"{at_s}: {event}: {state}"
