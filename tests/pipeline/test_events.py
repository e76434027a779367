"""What the log tells the bench: tokens, threads, breaks in the sound, words as they were spoken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from edge_assistant.audio.card import Xruns
from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config
from edge_assistant.llm.protocol import Message
from edge_assistant.pipeline import wiring
from edge_assistant.tts.protocol import SpeechChunk
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeVad, FakeVoice
from tests.pipeline.test_assistant import HUNG_S, Stage, stage

__all__ = ["stage"]

COMPUTED, DISCARDED = "tokens_computed", "tokens_discarded"


def tokens(events: list[dict[str, Any]]) -> tuple[int, int]:
    """Computed and discarded, of all these events."""
    return sum(e.get(COMPUTED, 0) for e in events), sum(e.get(DISCARDED, 0) for e in events)


def stopped(s: Stage) -> list[dict[str, Any]]:
    """All events, to the last."""
    s.assistant.stop()
    s._reader.join(HUNG_S)
    return s.events


def assert_none_is_lost(s: Stage) -> None:
    of_all_calls = (s.llm.evaluated, s.llm.evaluated - len(s.llm.held))
    assert tokens(stopped(s)) == of_all_calls


def test_a_turn_tells_what_its_answer_cost(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm("It is three o'clock."))
    s.ask()
    s.wait_for_turns(1)
    (turn,) = s.named("turn_finished")
    prompt = s.llm.count_tokens(s.llm.prompts[0])
    words = len(s.named("playback_finished")[0]["heard"].split())
    assert (turn[COMPUTED], turn[DISCARDED]) == (prompt + words, 0)
    s.silence_until(lambda: len(s.llm.prefilled) == 2)
    assert_none_is_lost(s)


def test_what_nobody_heard_of_a_reply_is_dropped_and_told(stage: Callable[..., Stage]) -> None:
    long = " ".join(f"word{number}" for number in range(40)) + "."
    s = stage(llm=FakeLlm(long, "Yes."))
    s.ask()
    s.card.silence(0.5)
    s.card.speech(1.0)
    s.wait_for_turns(2)
    first, second = s.named("turn_finished")
    heard = len(s.named("yielded")[0]["heard"].split())
    assert first[DISCARDED] == 0
    assert second[DISCARDED] >= 40 - heard
    assert_none_is_lost(s)


def test_a_draft_that_is_discarded_is_told_with_its_own_turn(
    stage: Callable[..., Stage],
) -> None:
    config = Config().with_overrides({"turns.draft_at": "pause", "turns.min_wait_ms": 900})
    s = stage(
        recognizer=FakeRecognizer("is it", "is it late"),
        llm=FakeLlm("It is what it is.", "Yes."),
        config=config,
    )
    s.card.speech(1.0)
    s.silence_until(lambda: len(s.voice.spoken) == 1)
    s.ask()
    s.wait_for_turns(1)
    assert [e["reason"] for e in s.named("draft_discarded")] == ["resumed"]
    (turn,) = s.named("turn_finished")
    # "is it" is in both prompts; "end assistant: It is what it is." had to go.
    assert turn[DISCARDED] == 7
    assert_none_is_lost(s)


def test_a_turn_that_ends_meanwhile_takes_nothing_of_another(
    stage: Callable[..., Stage],
) -> None:
    long = " ".join(["word"] * 20) + "."
    s = stage(recognizer=FakeRecognizer("tell me", "mhm"), llm=FakeLlm(long))
    s.ask()
    s.card.silence(1.0)  # he listens: who speaks on sooner has no time for a response
    s.card.speech(0.14)
    s.wait_for_turns(2)
    told = [(e["outcome"], e[COMPUTED] > 20) for e in s.named("turn_finished")]
    assert told == [("ignored", False), ("answered", True)]
    assert_none_is_lost(s)


class SlowToStop(FakeLlm):
    """Native code that ends later than the turn."""

    def __init__(self, *replies: str) -> None:
        super().__init__(*replies, seconds_per_word=0.05)
        self.may_end = threading.Event()

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        try:
            yield from super().generate(messages, token)
        finally:
            assert self.may_end.wait(HUNG_S)


def test_what_is_still_running_at_the_end_of_its_turn_is_told_with_the_next(
    stage: Callable[..., Stage],
) -> None:
    llm = SlowToStop(" ".join(["word."] * 400), "Yes.")
    s = stage(llm=llm)
    s.ask()
    s.card.speech(1.0)
    s.wait_for_turns(1)
    assert tokens(s.events)[0] < llm.evaluated
    llm.may_end.set()
    s.wait_for_turns(2)
    assert [e["outcome"] for e in s.named("turn_finished")] == ["interrupted", "answered"]
    assert tokens(s.events)[0] >= s.llm.count_tokens(s.llm.prompts[1])
    assert_none_is_lost(s)


def test_a_turn_that_never_ended_is_told_when_all_is_over(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm(" ".join(["word"] * 40) + "."))
    s.ask()
    events = stopped(s)
    assert not s.named("turn_finished")
    assert events[-1]["event"] == "closed"
    assert events[-1][COMPUTED] > 40
    assert_none_is_lost(s)


def test_a_reply_tells_what_is_written_and_what_is_spoken(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm("It is **42** km. Good."))
    s.ask()
    s.wait_for_turns(1)
    spoken = [e["spoken"] for e in s.named("reply")]
    assert " ".join(spoken) == "It is forty-two kilometers. Good."
    assert "42" in s.named("reply")[0]["text"]
    assert s.voice.spoken == spoken
    assert s.named("playback_finished")[0]["heard"] == " ".join(spoken)
    s.assistant.say("2 minutes left.")
    s.wait_for_turns(2)
    assert s.named("reply")[-1]["spoken"] == "two minutes left."


class Halting(FakeVoice):
    """Gives the second clause only when it is told to."""

    def __init__(self) -> None:
        super().__init__(word_ms=100)
        self.may_go_on = threading.Event()

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        if self.spoken:
            assert self.may_go_on.wait(HUNG_S)
        yield from super().synthesize(text, token)


def test_the_threads_of_a_call_are_told_and_go_by_the_cores_that_may_be_used(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "available_cores", lambda: 9)
    s = stage()
    s.silence_until(lambda: bool(s.named("scheduled")))
    first = s.named("scheduled")[0]
    assert (first["work"], first["threads"]) == ("idle_prefill", 2)


def test_a_hole_in_a_reply_is_told_with_its_length(stage: Callable[..., Stage]) -> None:
    voice = Halting()
    s = stage(voice=voice, llm=FakeLlm("Well, my dear friend. That is it."))
    s.ask()
    s.card.silence(2.0)
    assert not s.named("xrun"), "it may be over"
    voice.may_go_on.set()
    s.wait_for_turns(1)
    (hole,) = s.named("xrun")
    assert (hole["kind"], hole["count"]) == ("playout_gap", 1)
    audio = s.card.audio()
    loud = abs(audio) > 0
    (begin,) = [n for n in range(1, len(audio)) if loud[n] and not loud[n - 200 : n].any()][1:]
    end = max(n for n in range(begin) if loud[n])
    assert hole["gap_s"] == pytest.approx((begin - end - 1) / SAMPLE_RATE, abs=2e-4)


def test_what_the_sound_card_counts_is_told_once_a_second_and_completely(
    stage: Callable[..., Stage],
) -> None:
    s = stage()
    for number in range(1, 151):  # 3 s of a device in trouble
        s.card.xruns = Xruns(input_overflows=number, output_underflows=2 * (number >= 150))
        s.card.block()
    stopped(s)
    overflows = [e for e in s.named("xrun") if e["kind"] == "input_overflow"]
    assert sum(e["count"] for e in overflows) == 150
    assert 3 <= len(overflows) <= 5, "one at once, one a second, one at the end"
    others = [(e["kind"], e["count"]) for e in s.named("xrun") if e not in overflows]
    assert others == [("output_underflow", 2)]


class Stuck(FakeVad):
    """Looks at a window for as long as it is let."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def speech_prob(self, window: Samples) -> float:
        assert self.may_go_on.wait(HUNG_S)
        return super().speech_prob(window)


def test_blocks_that_nobody_took_are_told(stage: Callable[..., Stage]) -> None:
    s = stage()
    assert s.assistant._parts is not None
    s.assistant._parts.ears._vad = stuck = Stuck()
    s.card.silence(2.4)  # 120 blocks, and the ring holds 100
    stuck.may_go_on.set()
    s.silence_until(lambda: bool(s.named("xrun")))
    (dropped,) = s.named("xrun")
    assert dropped["kind"] == "dropped_input"
    assert 18 <= dropped["count"] <= 22
