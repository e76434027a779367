"""Conversations in virtual time: what is done ahead of the end of a turn, and how mistakes are
mended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.llm.history import Exchange
from edge_assistant.turns.commands import (
    Answer,
    Discard,
    Duck,
    GoOn,
    ReadAhead,
    StartDraft,
    TranscribePartial,
    Unduck,
    Yield,
)
from edge_assistant.turns.events import Outcome, PartialTranscribed, PushPressed, PushReleased
from edge_assistant.turns.settings import Settings
from tests.fakes.lines import CLAUSES, clause_of
from tests.fakes.screenplay import Screenplay

FIRST = (1, 1)
TALE = "what is the weather like in Paris at the end of this week"


def asked(play: Screenplay | None = None) -> Screenplay:
    """A question from 0.5 to 2.0 s; the reply begins at 2.2 s."""
    return (play or Screenplay()).user(0.5, 2.0)


def times(play: Screenplay, kind: type[TranscribePartial]) -> list[float]:
    return [at_s for at_s, command in play.log if isinstance(command, kind)]


def whole_reply(*keys: tuple[int, int], first: int = 0) -> str:
    """The words of a reply, all clauses or from one on."""
    return " ".join(clause_of(key, number) for key in keys for number in range(first, CLAUSES))


# --- while the user speaks -------------------------------------------------------------------


def test_what_is_said_is_looked_at_a_word_at_a_time() -> None:
    play = Screenplay().user(0.5, 4.0, TALE).run(4.0)
    looks = times(play, TranscribePartial)
    assert looks[0] == pytest.approx(0.5 + 0.3, abs=0.011)
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps == pytest.approx([0.3] * len(gaps), abs=0.011)
    assert len(looks) == 11
    assert {command.from_frames for command in play.commands(TranscribePartial)} == {
        int(0.2 * SAMPLE_RATE)
    }


@pytest.mark.parametrize(("partial_ms", "gap_s"), [(200, 0.3), (300, 0.39), (800, 1.04)])
def test_a_slow_recogniser_is_asked_less_often(partial_ms: int, gap_s: float) -> None:
    play = Screenplay(partial_ms=partial_ms).user(0.5, 6.0, TALE).run(6.0)
    looks = times(play, TranscribePartial)
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert len(gaps) >= 3
    assert gaps == pytest.approx([gap_s] * len(gaps), abs=0.021)


def test_the_model_reads_what_is_sure_and_each_beginning_once() -> None:
    play = Screenplay().user(0.5, 4.0, TALE).run(10.0)
    read = [command.text for command in play.commands(ReadAhead)]
    assert len(read) > 5
    assert len(set(read)) == len(read)
    assert all(TALE.startswith(text) for text in read)
    assert all(later.startswith(earlier) for earlier, later in pairwise(read))
    assert [answer.text for answer in play.commands(Answer)] == [TALE]


def test_nobody_looks_ahead_where_that_is_off() -> None:
    play = Screenplay(rules=Settings(partials=False)).user(0.5, 4.0, TALE).run(8.0)
    assert not play.commands(TranscribePartial)
    assert not play.commands(ReadAhead)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_a_pause_ends_the_look_that_is_under_way() -> None:
    play = Screenplay(partial_ms=700, probability=0.0, words=0.001, is_loud=True)
    play.user(0.5, 1.2, "what is").user(1.9, 3.5, "the weather").run(1.8)
    assert len(play.commands(TranscribePartial)) == 1
    assert not [event for _, event in play.events if isinstance(event, PartialTranscribed)]
    play.run(9.0)
    second = play.commands(TranscribePartial)[1]
    assert times(play, TranscribePartial)[1] == pytest.approx(1.9 + 0.3, abs=0.011)
    assert [each / SAMPLE_RATE for each in second.breaks] == pytest.approx([1.55], abs=0.02)
    assert play.commands(Answer)[-1].text == "what is the weather"
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_what_was_seen_of_a_turn_that_is_gone_is_not_read() -> None:
    play = Screenplay(partial_ms=600).user(0.5, 1.3, "what is the weather")
    down, up = int(1.0 * SAMPLE_RATE), int(2.6 * SAMPLE_RATE)
    play.at(1.0, lambda: play.feed(PushPressed(at_frames=down)))
    play.at(2.6, lambda: play.feed(PushReleased(at_frames=up))).run(8.0)
    seen = [event.turn for _, event in play.events if isinstance(event, PartialTranscribed)]
    assert seen[0] == 1
    assert {command.turn for command in play.commands(ReadAhead)} <= {2}
    assert play.outcomes == {1: [Outcome.IGNORED], 2: [Outcome.ANSWERED]}


def test_over_a_reply_only_the_words_that_may_interrupt_are_looked_at() -> None:
    play = asked(Screenplay(reply_s=6.0)).user(3.6, 4.5, "yeah okay right").run(4.6)
    assert max(times(play, TranscribePartial)) <= 2.03  # the dip behind the question
    assert len(play.commands(StartDraft)) > 2


def test_a_key_that_is_held_hides_no_pause_from_the_recogniser() -> None:
    play = Screenplay(rules=Settings(listen="push"))
    down, up = int(0.4 * SAMPLE_RATE), int(6.0 * SAMPLE_RATE)
    play.at(0.4, lambda: play.feed(PushPressed(at_frames=down)))
    play.at(6.0, lambda: play.feed(PushReleased(at_frames=up)))
    play.user(0.5, 2.0, "and then").user(3.0, 5.5, "she said").run(12.0)
    (draft,) = play.commands(StartDraft)
    assert [each / SAMPLE_RATE for each in draft.breaks] == pytest.approx([2.03, 5.53], abs=0.02)
    assert play.commands(TranscribePartial)
    assert play.commands(Answer)[-1].text == "and then she said"


def test_a_draft_is_begun_a_window_after_the_last_word() -> None:
    play = asked().run(6.0)
    assert play.when(StartDraft) == pytest.approx(2.0 + 0.032, abs=0.011)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


# --- over a reply ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["yeah okay right", "oh really that's right", "uh huh"])
def test_a_long_response_keeps_nobody_from_speaking_on(text: str) -> None:
    play = asked(Screenplay(reply_s=5.0)).user(3.6, 4.5, text).run(12.0)
    assert not play.commands(Yield)
    assert play.heard_frames == {FIRST: 5 * SAMPLE_RATE}
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}
    assert len(play.commands(Duck)) == len(play.commands(Unduck)) == 1


@pytest.mark.parametrize("text", ["yeah but stop", "no wait", "and in Rome"])
def test_other_words_get_the_floor_as_soon_as_they_are_seen(text: str) -> None:
    play = asked(Screenplay(reply_s=5.0)).user(3.6, 4.5, text).run(14.0)
    assert play.when(Yield) == pytest.approx(3.6 + 0.25 + 0.05, abs=0.011)
    assert play.commands(Answer)[-1].text == text
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}


def test_words_that_begin_like_a_response_are_looked_at_again() -> None:
    play = (
        asked(Screenplay(reply_s=5.0)).user(3.6, 4.0, "yeah").user(4.0, 4.8, "but stop").run(14.0)
    )
    assert 4.0 < play.when(Yield) < 4.0 + 0.4
    assert play.commands(Answer)[-1].text == "yeah but stop"


@pytest.mark.parametrize("ends_s", [4.5, 6.5], ids=["short", "long"])
def test_an_echo_of_the_assistant_never_gets_the_floor(ends_s: float) -> None:
    play = asked(Screenplay(reply_s=6.0)).user(3.6, ends_s, "it is three", is_echo=True).run(14.0)
    assert not play.commands(Yield)
    assert play.heard_frames == {FIRST: 6 * SAMPLE_RATE}
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}


# --- a reply that gave way to nothing ---------------------------------------------------------


def test_music_gets_the_floor_after_three_seconds_and_gives_it_back() -> None:
    play = asked(Screenplay(reply_s=8.0)).user(3.6, 7.5, "").run(20.0)
    assert play.when(Yield) == pytest.approx(3.6 + 3.0, abs=0.011)
    assert play.when(GoOn) > 7.5
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}
    (exchange,) = play.history.exchanges
    (go_on,) = play.commands(GoOn)
    heard = [*play.heard_words(FIRST), *play.heard_words((go_on.turn, go_on.draft))]
    assert exchange.heard.split() == heard
    assert heard[-2:] == clause_of(FIRST, CLAUSES - 1).split()


def falsely_interrupted(reply_s: float = 8.0) -> Screenplay:
    """A listener is so long in agreeing that the reply gives way, in the midst of clause 2."""
    return asked(Screenplay(reply_s=reply_s)).user(3.9, 5.9, "yeah yeah okay")


def test_a_reply_that_gave_way_by_mistake_goes_on_from_the_clause_that_was_cut() -> None:
    play = falsely_interrupted().run(20.0)
    (go_on,) = play.commands(GoOn)
    assert go_on.after == FIRST
    heard = play.heard_words(FIRST)
    assert heard == ["1-1-0a", "1-1-0b", "1-1-1a"]
    assert play.heard_words((go_on.turn, go_on.draft)) == whole_reply(FIRST, first=1).split()
    (exchange,) = play.history.exchanges
    assert exchange == Exchange(
        user="what time is it", heard=f"{' '.join(heard)} {whole_reply(FIRST, first=1)}"
    )
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}
    assert [command.text for command in play.commands(Answer)] == ["what time is it"]


def test_what_goes_on_can_be_interrupted_in_earnest() -> None:
    play = falsely_interrupted().run(8.5)
    assert play.commands(GoOn)
    play.user(9.0, 10.0, "and tomorrow").run(24.0)
    goes_on, asks = play.history.exchanges
    first_part = [*play.heard_words(FIRST), *play.heard_words((2, play.commands(GoOn)[0].draft))]
    assert goes_on.heard.split() == first_part
    assert goes_on.is_interrupted
    assert asks.user == "and tomorrow"
    assert list(play.outcomes.values()) == [
        [Outcome.INTERRUPTED],
        [Outcome.INTERRUPTED],
        [Outcome.ANSWERED],
    ]
    assert len(play.commands(GoOn)) == 1


def test_what_goes_on_can_give_way_by_mistake_once_more() -> None:
    play = falsely_interrupted().user(7.6, 9.6, "yeah right okay").run(24.0)
    first, second = play.commands(GoOn)
    assert second.after == (first.turn, first.draft)
    parts = [FIRST, (first.turn, first.draft), (second.turn, second.draft)]
    (exchange,) = play.history.exchanges
    assert exchange.heard.split() == [word for key in parts for word in play.heard_words(key)]
    assert play.heard_words(parts[-1])[-2:] == clause_of(FIRST, CLAUSES - 1).split()
    assert not exchange.is_interrupted


def test_what_goes_on_gives_way_to_the_key_for_good() -> None:
    play = falsely_interrupted().run(8.5)
    play.feed(PushPressed(at_frames=int(8.5 * SAMPLE_RATE)))
    play.at(9.0, lambda: play.feed(PushReleased(at_frames=9 * SAMPLE_RATE))).run(14.0)
    assert len(play.commands(GoOn)) == 1
    assert play.is_silent(8.55, 14.0)
    assert play.state.is_idle


def test_a_request_of_a_program_goes_on_too() -> None:
    play = Screenplay(reply_s=6.0).request(0.5, 7).user(2.0, 4.0, "yeah yeah okay").run(16.0)
    assert len(play.commands(GoOn)) == 1
    assert play.heard_words((2, play.commands(GoOn)[0].draft)) == ["hello"]
    assert not play.history.exchanges


def test_a_request_that_gave_way_before_there_was_an_answer_is_over() -> None:
    play = Screenplay(llm_ms=900).request(0.5, 7, answer=True).user(0.7, 1.0, "").run(10.0)
    assert play.commands(GoOn)
    assert play.state.is_idle
    assert play.is_silent(0.0, 10.0)


# --- a false endpoint ------------------------------------------------------------------------


def reply_begins_s(play: Screenplay) -> float:
    return float(np.flatnonzero(play.audio())[0]) / SAMPLE_RATE


def test_who_goes_on_just_after_the_reply_began_is_answered_as_a_whole() -> None:
    begins_s = reply_begins_s(Screenplay().user(0.5, 2.0, "book a").run(6.0))
    play = Screenplay().user(0.5, 2.0, "book a").user(begins_s + 0.4, begins_s + 1.4, "room please")
    play.run(14.0)
    assert play.commands(Answer)[-1].text == "book a room please"
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.ANSWERED]}
    whole = play.commands(StartDraft)[-1]
    assert whole.from_frames == int(0.2 * SAMPLE_RATE)
    (middle,) = [each / SAMPLE_RATE for each in whole.breaks]
    assert 2.0 < middle < begins_s + 0.4
    assert play.history.exchanges[-1].user == "book a room please"


def test_the_words_that_interrupt_are_looked_at_alone() -> None:
    play = Screenplay().user(0.5, 2.0, "book a").user(3.4, 4.4, "room please").run(14.0)
    probe = next(draft for draft in play.commands(StartDraft) if draft.turn == 2)
    assert probe.from_frames == int(3.1 * SAMPLE_RATE)


def test_who_goes_on_before_he_can_have_listened_is_not_talked_into() -> None:
    begins_s = reply_begins_s(asked().run(6.0))
    play = asked().user(begins_s + 0.4, begins_s + 0.7, "okay").run(10.0)
    assert [order.turn for order in play.commands(Yield)] == [1]


def test_a_response_to_the_first_words_of_the_reply_is_one() -> None:
    begins_s = reply_begins_s(asked().run(6.0))
    play = asked().user(begins_s + 0.9, begins_s + 1.3, "okay").run(10.0)
    assert not play.commands(Yield)
    assert play.outcomes == {1: [Outcome.ANSWERED], 2: [Outcome.IGNORED]}


def test_who_has_listened_for_longer_says_something_new() -> None:
    play = asked(Screenplay(reply_s=6.0)).user(3.6, 4.6, "and tomorrow").run(14.0)
    assert play.commands(Answer)[-1].text == "and tomorrow"


# --- stop ------------------------------------------------------------------------------------


def in_the_first_words() -> Screenplay:
    return Screenplay().user(1.0, 1.4, "stop")


def while_drafted() -> Screenplay:
    play = Screenplay(probability=0.0, words=0.001, llm_ms=10)
    return play.user(0.2, 0.7, "tell me a story").user(1.0, 1.4, "stop")


def while_thinking() -> Screenplay:
    return Screenplay(llm_ms=900).user(0.2, 0.7, "tell me a story").user(1.0, 1.4, "stop")


def while_speaking() -> Screenplay:
    return Screenplay().request(0.2, 7).user(1.0, 1.4, "stop")


def just_after_the_reply_began() -> Screenplay:
    return Screenplay().user(0.1, 0.6, "tell me a story").user(1.0, 1.4, "stop")


def while_ducked() -> Screenplay:
    return Screenplay().request(0.1, 7).user(0.85, 0.93, "").user(1.0, 1.4, "stop")


def while_listened_to() -> Screenplay:
    return Screenplay(stt_ms=300).request(0.1, 7).user(0.5, 0.99, "").user(1.0, 1.4, "stop")


def while_yielding() -> Screenplay:
    play = Screenplay().request(0.1, 7)
    return play.user(0.65, 0.99, "no no").user(1.0, 1.4, "stop")


def while_going_on() -> Screenplay:
    play = Screenplay(rules=Settings(barge_in_ms=200)).request(0.1, 7)
    return play.user(0.3, 0.55, "mhm").user(1.6, 2.0, "stop")


STATES = {
    "listening": in_the_first_words,
    "drafted": while_drafted,
    "thinking": while_thinking,
    "speaking": while_speaking,
    "the reply has just begun": just_after_the_reply_began,
    "ducked": while_ducked,
    "listened to": while_listened_to,
    "yielding": while_yielding,
    "going on": while_going_on,
}


@pytest.mark.parametrize("script", STATES.values(), ids=STATES.keys())
def test_stop_silences_in_every_state(script: Callable[[], Screenplay]) -> None:
    play = script().run(12.0)
    assert play.is_silent(play.lines[-1].end_s + 0.1, 12.0)
    assert play.outcomes[max(play.outcomes)] == [Outcome.STOPPED]
    assert all(len(outcomes) == 1 for outcomes in play.outcomes.values())
    assert play.state.is_idle
    assert not [each for each in play.commands(Discard) if each.reason == "failed"]
