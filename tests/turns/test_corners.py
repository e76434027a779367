"""Two things at the same moment: corners of a conversation, in virtual time."""

from __future__ import annotations

import math

import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.turns.commands import Commit, DropRequest, EndTurn, FinishTurn, OpenTurn
from edge_assistant.turns.events import Outcome, PushPressed, PushReleased
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase
from tests.fakes.screenplay import Screenplay


def press(play: Screenplay, from_s: float, to_s: float) -> Screenplay:
    """The push-to-talk key is down from `from_s` to `to_s`."""
    down = PushPressed(at_frames=int(from_s * SAMPLE_RATE))
    up = PushReleased(at_frames=int(to_s * SAMPLE_RATE))
    return play.at(from_s, lambda: play.feed(down)).at(to_s, lambda: play.feed(up))


def assert_every_turn_has_one_outcome(play: Screenplay) -> None:
    opened = {command.turn for command in play.commands(OpenTurn)}
    committed = {command.turn for command in play.commands(Commit)}
    for turn in opened | committed:
        assert len(play.outcomes.get(turn, [])) == 1, f"turn {turn}: {play.outcomes.get(turn)}"


def test_a_stop_phrase_tells_the_programs_whose_requests_it_drops() -> None:
    play = Screenplay(reply_s=6.0).request(0.5, 7).request(0.6, 8).request(0.7, 9, answer=True)
    play.user(2.0, 2.5, "stop").run(14)
    assert [command.request for command in play.commands(DropRequest)] == [8, 9]
    assert play.state.is_idle
    assert play.outcomes == {1: [Outcome.INTERRUPTED], 2: [Outcome.STOPPED]}


def test_a_stop_phrase_in_the_midst_of_a_turn_drops_no_request() -> None:
    rules = Settings(draft_at="pause")
    play = Screenplay(rules=rules, probability=0.0).request(0.6, 8)
    play.user(0.5, 1.0, "stop").user(1.6, 2.2, "the timer at five").run(14)
    assert not play.commands(DropRequest)
    finished = [(command.turn, command.outcome) for command in play.commands(FinishTurn)]
    assert finished == [(1, Outcome.ANSWERED), (2, Outcome.ANSWERED)]


@pytest.mark.parametrize("listen", ["open", "wake"])
def test_a_monologue_over_a_reply_is_cut_and_the_reply_is_not_lost(listen: str) -> None:
    rules = Settings(
        listen="wake" if listen == "wake" else "open",
        barge_in=listen == "wake",
        max_utterance_ms=2_000,
    )
    play = Screenplay(rules=rules, reply_s=8.0).request(0.5, 1)
    play.user(2.0, 5.0, "and then I said and then she said").run(30)
    assert_every_turn_has_one_outcome(play)
    assert play.outcomes[1] == [Outcome.ANSWERED]
    assert play.heard_frames[(1, 1)] == 8 * SAMPLE_RATE
    assert play.state.is_idle
    assert not play.state.ducked


def test_the_key_is_pressed_while_a_reopened_reply_is_still_fading() -> None:
    play = Screenplay(probability=1.0, llm_ms=800).user(0.5, 2.0, "book a").user(2.6, 4.0, "room")
    play.run(2.6)
    while not play.state.replies_in(ReplyPhase.YIELDING):
        play.run(play.now_s + 0.01)
    play.feed(PushPressed(at_frames=int(play.now_s * SAMPLE_RATE)))
    press(play, 3.9, 4.0).run(10)
    assert_every_turn_has_one_outcome(play)
    assert play.state.is_idle


def test_a_key_that_goes_down_during_an_onset_leaves_nothing_behind() -> None:
    play = Screenplay().user(0.5, 0.56, "").request(0.9, 7)
    press(play, 0.55, 0.8).run(8)
    assert play.state.onset_frames is None
    assert play.state.is_idle
    assert play.commands(FinishTurn)[-1].outcome is Outcome.ANSWERED


def test_a_key_that_goes_down_again_at_once_goes_on_with_the_turn() -> None:
    rules = Settings(listen="push")
    play = Screenplay(rules=rules, reply_s=8.0).request(0.5, 7)
    play.user(2.0, 4.0, "what time is it").run(1.99)
    # The reply fades while the key is released and pressed again.
    at = int(play.now_s * SAMPLE_RATE)
    for event in (PushPressed, PushReleased, PushPressed):
        play.feed(event(at_frames=at))
    play.at(4.0, lambda: play.feed(PushReleased(at_frames=4 * SAMPLE_RATE))).run(16)
    assert_every_turn_has_one_outcome(play)
    assert play.when(EndTurn) == pytest.approx(4.0, abs=0.021)
    assert play.outcomes[max(play.outcomes)] == [Outcome.ANSWERED]


def test_a_turn_detector_that_gives_no_number_costs_the_mean_wait() -> None:
    play = Screenplay(rules=Settings(draft_at="endpoint"), probability=math.nan)
    play.user(0.5, 2.0).run(8)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    assert play.when(Commit) == pytest.approx(2.65, abs=0.021)
