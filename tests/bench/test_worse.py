"""The builds that are worse on purpose have the fault that they are named after, and work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.partner import PIPE_BLOCK_BYTES, Partner, Patience
from edge_assistant.config import Config
from edge_assistant.turns.commands import Answer, Duck, EndTurn, Yield
from edge_assistant.turns.events import Outcome
from edge_assistant.turns.settings import Settings
from tests.fakes.engines import FakeLlm, FakeRecognizer
from tests.fakes.lines import voice_of
from tests.fakes.screenplay import Screenplay
from tests.figures.worse import FAULTS, HANGOVER_MS
from tests.pipe.client import Conversation
from tests.pipe.test_pipe import HUNG_S, named, spoken
from tests.pipeline.test_assistant import Stage, stage

__all__ = ["stage"]  # a fixture: it stops what it made, and looks for threads that live on

QUESTION = "What is the largest planet?"
LONG = "One two three four five six seven eight. Nine ten eleven twelve thirteen fourteen."

Spoil = Callable[[str], Settings]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Makes this process worse until the test is over; gives the rules that belong to it."""

    def put(fault: str) -> Settings:
        settings = FAULTS[fault](Config(), monkeypatch.setattr)
        return Config().with_overrides(settings).turns

    return put


@pytest.mark.parametrize("probability", [1.0, 0.5, 0.0, None])
def test_hangover_waits_longer_whatever_the_turn_detector_says(
    spoil: Spoil, probability: float | None
) -> None:
    plays = [Screenplay(rules=Settings(), probability=probability)]
    plays.append(Screenplay(rules=spoil("hangover"), probability=probability))
    ours_s, worse_s = (play.user(0.5, 2.0).run(6).when(EndTurn) for play in plays)
    assert worse_s - ours_s == pytest.approx(HANGOVER_MS / 1000, abs=0.011)


@pytest.mark.parametrize("text", ["and tomorrow", "Stop!"])
def test_no_barge_in_is_deaf_while_it_speaks(spoil: Spoil, text: str) -> None:
    play = Screenplay(rules=spoil("no_barge_in"), reply_s=3.0).user(0.5, 2.0)
    play.user(3.5, 3.55).user(3.8, 4.4, text).user(4.7, 5.0, text).run(8.0)
    assert not play.commands(Duck)
    assert not play.commands(Yield)
    assert play.outcomes == {1: [Outcome.ANSWERED]}
    audible = play.audio()[play.audio() > 0]
    assert len(audible) == 3 * SAMPLE_RATE
    assert audible == pytest.approx(voice_of((1, 1)))
    play.user(8.5, 9.5, "hello").run(14)
    assert [answer.text for answer in play.commands(Answer)][1:] == ["hello"]


def test_no_barge_in_still_lets_a_turn_go_on_that_was_cut_off(spoil: Spoil) -> None:
    play = Screenplay(rules=spoil("no_barge_in"), llm_ms=800).user(0.5, 1.5, "what is")
    play.user(2.1, 3.0, "the time").run(8)
    assert play.commands(Answer)[-1].text == "what is the time"


def test_uncut_history_claims_what_nobody_heard(spoil: Spoil, stage: Callable[..., Stage]) -> None:
    spoil("uncut_history")
    s = stage(recognizer=FakeRecognizer("count", "and back?"), llm=FakeLlm(LONG, "Yes."))
    s.ask()
    s.card.silence(0.6)
    s.card.speech(1.0)
    s.wait_for_turns(2)
    assert [event["outcome"] for event in s.named("turn_finished")] == ["interrupted", "answered"]
    assert s.named("yielded")[0]["heard"] == LONG
    assert [exchange.heard for exchange in s.assistant.history.exchanges] == [LONG, "Yes."]
    assert s.llm.prompts[1][2].content == LONG
    assert np.count_nonzero(s.card.audio()) / SAMPLE_RATE < 0.2 * len(LONG.split())


def command(fault: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.figures.worse", fault, "--pipe")


def asked(fault: str, folder: Path) -> Conversation:
    """A conversation in which the reply to a question is being heard."""
    partner = Conversation(folder / "events.jsonl", command(fault))
    partner.say(spoken(QUESTION))
    assert partner.run_until(lambda: partner.has("playback_started"), HUNG_S)
    partner.run(0.5)
    return partner


def replied(partner: Conversation) -> str:
    """The text of the first turn's reply: of the draft that was played, no other."""
    (played,) = named(partner, "playback_started")
    events: list[dict[str, Any]] = named(partner, "reply")
    which = (1, played["draft"])
    return " ".join(
        event["text"].strip() for event in events if (event["turn"], event["draft"]) == which
    )


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_gives_a_block_for_a_block(fault: str) -> None:
    silence = bytes(PIPE_BLOCK_BYTES)
    with Partner(command(fault), Patience()) as partner:
        assert all(partner.exchange(silence) == silence for _ in range(50))
        partner.end()


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
def test_hangover_is_slower_in_a_real_conversation(tmp_path: Path) -> None:
    partner = asked("hangover", tmp_path)
    assert partner.close() == 0
    (latency,) = named(partner, "latency")
    shortest_s = (Config().turns.min_wait_ms + HANGOVER_MS) / 1000
    assert latency["detect_s"] + latency["wait_s"] >= shortest_s


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
def test_no_barge_in_talks_on_in_a_real_conversation(tmp_path: Path) -> None:
    partner = asked("no_barge_in", tmp_path)
    partner.say(spoken("What is the capital of France?"))
    assert partner.run_until(lambda: partner.has("playback_finished"), HUNG_S)
    partner.run(1.5)
    assert partner.close() == 0
    assert not named(partner, "ducked")
    assert not named(partner, "yielded")
    assert named(partner, "playback_finished")[0]["heard"] == replied(partner)
    assert len(named(partner, "speech_started")) == 1


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
def test_uncut_history_is_uncut_in_a_real_conversation(tmp_path: Path) -> None:
    partner = asked("uncut_history", tmp_path)
    partner.say(spoken("What is the capital of France?"))
    assert partner.run_until(lambda: partner.has("yielded"), HUNG_S)
    assert partner.close() == 0
    (yielded,) = named(partner, "yielded")
    assert yielded["heard"] == replied(partner)
    heard_s = yielded["t"] - named(partner, "playback_started")[0]["t"]
    assert heard_s < 0.7 * len(spoken(yielded["heard"])) / SAMPLE_RATE
