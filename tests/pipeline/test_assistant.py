"""The assistant with its real threads, channels, floor and playout, and engines that do as told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.config import Config
from edge_assistant.errors import DeviceLost, ModelError, PipelineError
from edge_assistant.pipeline.assistant import MAX_OPEN_REQUESTS, Assistant
from edge_assistant.pipeline.loading import Engines
from edge_assistant.turns.events import Outcome
from tests.fakes.cards import ManualCard
from tests.fakes.engines import (
    FakeLlm,
    FakeRecognizer,
    FakeTurnDetector,
    FakeVad,
    FakeVoice,
    HangingRecognizer,
    failing,
)

HUNG_S = 20.0
"""A wait that lasts longer than this is a hang, not a slow machine."""


class Stage:
    """An assistant on a card that the test drives, and its events."""

    def __init__(
        self,
        recognizer: FakeRecognizer | None = None,
        llm: FakeLlm | None = None,
        voice: FakeVoice | None = None,
        config: Config | None = None,
    ) -> None:
        self.card = ManualCard()
        self.recognizer = recognizer or FakeRecognizer()
        self.llm = llm or FakeLlm()
        self.voice = voice or FakeVoice()
        engines = Engines(
            vad=FakeVad(),
            onset_vad=FakeVad(),
            turn_detector=FakeTurnDetector(),
            recognizer=self.recognizer,
            llm=self.llm,
            voice=self.voice,
        )
        # The engines here say one thing a call: no call may come from a look ahead.
        config = (config or Config()).with_overrides({"turns.partials": False})
        self.assistant = Assistant(config, self.card, engines=engines)
        self._stream = self.assistant.events(max_waiting=10_000)
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.assistant.start()

    def _read(self) -> None:
        for event in self._stream:
            self.events.append(event)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def silence_until(self, is_over: Callable[[], bool]) -> None:
        """Let time pass until `is_over`."""
        limit = time.monotonic() + HUNG_S
        while not is_over():
            assert time.monotonic() < limit, f"hung; events: {self.events}"
            self.card.silence(0.1)

    def ask(self) -> None:
        """The user asks something and waits for the first sound of the answer."""
        before = len(self.named("playback_started"))
        self.card.speech(1.0)
        self.silence_until(lambda: len(self.named("playback_started")) > before)

    def wait_for_turns(self, count: int) -> None:
        self.silence_until(lambda: len(self.named("turn_finished")) >= count)


@pytest.fixture
def stage() -> Iterator[Callable[..., Stage]]:
    """Makes assistants, stops them, and fails if one of their threads lives on."""
    before = set(threading.enumerate())
    made: list[Stage] = []

    def make(**parts: Any) -> Stage:
        made.append(Stage(**parts))
        return made[-1]

    yield make
    for each in made:
        each.assistant.stop()
        each._reader.join(HUNG_S)
    leaked = [t.name for t in threading.enumerate() if t not in before and t.is_alive()]
    assert not leaked, f"threads that outlive the assistant: {leaked}"


def test_a_question_is_heard_answered_and_remembered(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm("It is three o'clock."))
    s.ask()
    s.wait_for_turns(1)
    assert s.named("transcript")[0]["text"] == "hello there"
    assert s.named("turn_finished")[0]["outcome"] == "answered"
    assert s.named("playback_finished")[0]["heard"] == "It is three o'clock."
    (exchange,) = s.assistant.history.exchanges
    assert (exchange.user, exchange.heard) == ("hello there", "It is three o'clock.")
    assert len(s.recognizer.heard[0]) / SAMPLE_RATE == pytest.approx(1.2, abs=0.25)


def test_the_latency_adds_up_without_a_remainder(stage: Callable[..., Stage]) -> None:
    s = stage()
    s.ask()
    s.silence_until(lambda: bool(s.named("latency")))
    latency = s.named("latency")[0]
    segments = ("detect_s", "wait_s", "not_ready_s", "out_s", "leading_silence_s")
    assert all(latency[name] >= 0.0 for name in segments)
    assert sum(latency[name] for name in segments) == pytest.approx(latency["gap_s"], abs=5e-4)
    first_heard = np.flatnonzero(np.abs(s.card.audio()) > 10 ** (-50 / 20))[0]
    # Output block n is heard during input block n + 1.
    heard_s = (first_heard + s.card.block_frames) / SAMPLE_RATE
    ended_s = s.named("speech_ended")[0]["t"]
    assert heard_s - ended_s == pytest.approx(latency["gap_s"], abs=0.002)


def test_an_interruption_keeps_in_history_only_what_was_heard(
    stage: Callable[..., Stage],
) -> None:
    long = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."
    s = stage(recognizer=FakeRecognizer("count", "and back?"), llm=FakeLlm(long, "Yes."))
    s.ask()
    s.card.silence(1.0)
    s.card.speech(1.0)
    s.wait_for_turns(2)
    outcomes = [event["outcome"] for event in s.named("turn_finished")]
    assert outcomes == ["interrupted", "answered"]
    heard = s.named("yielded")[0]["heard"]
    assert s.named("yielded")[0]["exact"]
    audible = np.count_nonzero(np.abs(s.card.audio()[: s.card.position]) > 0)
    words_heard = len(heard.split())
    assert long.startswith(heard)
    assert 4 <= words_heard <= 9, heard
    assert audible > words_heard * 3200
    prompt = s.llm.prompts[1]
    assert [message.role for message in prompt] == ["system", "user", "assistant", "user"]
    assert prompt[2].content.startswith(heard)
    assert "fourteen" not in prompt[2].content
    assert prompt[3].content == "and back?"
    assert s.llm.prefilled[-1][2].content.startswith("One two"), "the cache is cut while idle"


def test_a_stop_phrase_silences_and_is_not_answered(stage: Callable[..., Stage]) -> None:
    long = " ".join(["word"] * 40) + "."
    s = stage(recognizer=FakeRecognizer("tell me", "Stop."), llm=FakeLlm(long))
    s.ask()
    s.card.silence(0.5)
    s.card.speech(0.4)
    s.wait_for_turns(2)
    assert [e["outcome"] for e in s.named("turn_finished")] == ["interrupted", "stopped"]
    assert len(s.llm.prompts) == 1
    s.card.silence(1.0)
    assert not np.concatenate(s.card.played[-40:]).any()


@pytest.mark.parametrize("broken", ["stt", "llm"])
def test_a_failing_engine_fails_one_turn_and_says_so(
    stage: Callable[..., Stage], broken: str
) -> None:
    error = failing(broken)
    s = stage(
        recognizer=FakeRecognizer(error, error, "hello") if broken == "stt" else None,
        llm=FakeLlm(error, error, "Fine.") if broken == "llm" else None,
    )
    s.ask()
    s.wait_for_turns(1)
    assert s.named("error")[0]["code"] == f"{broken}-broke"
    assert s.named("error")[0]["hint"] == "mend it"
    assert s.named("turn_finished")[0]["outcome"] == "failed"
    assert s.voice.spoken[0].startswith("Sorry")
    assert not s.assistant.history.exchanges
    s.ask()
    s.wait_for_turns(2)
    assert s.named("turn_finished")[1]["outcome"] == "answered"


@pytest.mark.parametrize("broken", ["stt", "llm"])
def test_what_fails_once_in_a_draft_is_tried_again_when_the_turn_is_over(
    stage: Callable[..., Stage], broken: str
) -> None:
    error = failing(broken)
    s = stage(
        recognizer=FakeRecognizer(error, "hello") if broken == "stt" else None,
        llm=FakeLlm(error, "Fine.") if broken == "llm" else None,
    )
    s.ask()
    s.wait_for_turns(1)
    assert s.named("error")[0]["code"] == f"{broken}-broke"
    assert s.named("turn_finished")[0]["outcome"] == "answered"


def test_a_draft_thinks_no_further_than_its_first_clause_until_it_is_committed(
    stage: Callable[..., Stage],
) -> None:
    llm = FakeLlm("It is a long story, and I will tell it to you from its beginning to its end.")
    llm.ends_with = 0.001  # the words go on: the wait is the longest
    s = stage(recognizer=FakeRecognizer("Tell me a story."), llm=llm)
    s.card.speech(1.0)
    s.card.silence(0.6)
    assert not s.named("committed")
    assert len(s.named("reply")) == 1
    assert llm.stats.generated_tokens < 10
    s.wait_for_turns(1)
    assert len(s.named("reply")) > 1
    assert s.named("playback_finished")[0]["heard"].endswith("to its end.")


def test_a_failing_voice_is_told_in_print_and_the_loop_lives(
    stage: Callable[..., Stage],
) -> None:
    s = stage(voice=FakeVoice(failure=failing("tts")))
    s.card.speech(1.0)
    s.wait_for_turns(1)
    assert s.named("error")[0]["code"] == "tts-broke"
    assert s.named("turn_finished")[0]["outcome"] == "failed"
    s.card.speech(1.0)
    s.wait_for_turns(2)


@pytest.mark.parametrize("failure", [ValueError("no"), UnicodeDecodeError("utf-8", b"", 0, 1, "x")])
def test_whatever_an_engine_raises_has_a_code(
    stage: Callable[..., Stage], failure: Exception
) -> None:
    s = stage(llm=FakeLlm(failure, "Fine."))
    s.ask()
    s.wait_for_turns(1)
    assert s.named("error")[0]["code"] == "llm-failed"
    assert s.named("error")[0]["hint"]


def test_an_empty_reply_is_an_error_that_is_said(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm(" ", " ", "Fine."))
    s.ask()
    s.wait_for_turns(1)
    assert s.named("error")[0]["code"] == "empty-reply"
    assert s.voice.spoken[0].startswith("Sorry")


def test_say_and_ask_come_one_after_the_other(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm("Blue."))
    said = s.assistant.say("Dinner is ready.")
    asked = s.assistant.ask("what colour is the sky")
    s.wait_for_turns(2)
    assert said.wait(HUNG_S)
    assert asked.wait(HUNG_S)
    assert (said.outcome, said.heard) == (Outcome.ANSWERED, "Dinner is ready.")
    assert (asked.outcome, asked.heard) == (Outcome.ANSWERED, "Blue.")
    assert s.llm.prompts[0][-1].content == "what colour is the sky"


def test_too_many_requests_are_refused_and_stop_frees_the_waiting(
    stage: Callable[..., Stage],
) -> None:
    s = stage()
    handles = [s.assistant.say("hello") for _ in range(MAX_OPEN_REQUESTS)]
    with pytest.raises(PipelineError, match="already waiting"):
        s.assistant.say("one more")
    s.assistant.stop()
    assert all(handle.wait(HUNG_S) for handle in handles)
    assert handles[-1].outcome is Outcome.FAILED
    with pytest.raises(PipelineError, match="not running"):
        s.assistant.say("after the end")


def test_model_and_voice_are_changed_between_two_turns(stage: Callable[..., Stage]) -> None:
    s = stage(llm=FakeLlm("Old."))
    s.ask()
    s.wait_for_turns(1)
    llm, voice, ears = FakeLlm("New."), FakeVoice(), FakeRecognizer("again")
    assert s.assistant._parts is not None
    s.assistant._parts.workshop.use_llm(llm, "Be new.")
    s.assistant._parts.workshop.use_voice(voice, "en")
    s.assistant._parts.workshop.use_recognizer(ears)
    s.ask()
    s.wait_for_turns(2)
    assert s.llm.is_closed
    assert s.voice.is_closed
    assert s.recognizer.is_closed
    assert voice.spoken == ["New."]
    assert [m.content for m in llm.prompts[0]] == ["Be new.", "hello there", "Old.", "again"]


def test_a_new_configuration_changes_what_differs_and_a_wrong_one_nothing(
    stage: Callable[..., Stage],
) -> None:
    s = stage()
    slower = Config().with_overrides({"tts.rate": 0.8})
    assert s.assistant.reconfigure(slower) == ("tts",)
    assert s.assistant.reconfigure(slower) == ()
    s.ask()
    s.wait_for_turns(1)
    assert s.voice.is_closed
    assert not s.voice.spoken, "espeak itself has spoken"
    assert s.named("turn_finished")[0]["outcome"] == "answered"
    with pytest.raises(ModelError):
        s.assistant.use(llm="no-such-model")
    s.ask()
    s.wait_for_turns(2)
    assert not s.llm.is_closed


def _pause(s: Stage) -> None:
    s.card.speech(0.5)
    s.card.silence(0.15)


STATES: dict[str, Callable[[Stage], None]] = {
    "listening": lambda s: s.card.silence(0.2),
    "while the user speaks": lambda s: s.card.speech(0.5),
    "in a pause": _pause,
    "while speaking": lambda s: s.ask(),
}


@pytest.mark.parametrize("state", STATES.keys())
def test_stop_is_clean_in_every_state(stage: Callable[..., Stage], state: str) -> None:
    s = stage(llm=FakeLlm(" ".join(["word"] * 50)))
    STATES[state](s)
    s.assistant.stop()
    s.assistant.stop()
    assert s.card.is_stopped
    assert s.llm.is_closed
    assert s.voice.is_closed
    assert s.recognizer.is_closed
    assert not s.named("error")


def test_a_thread_that_hangs_is_named_and_its_engine_left_alone(
    stage: Callable[..., Stage],
) -> None:
    s = stage(recognizer=HangingRecognizer("late", seconds=5.0))
    s.card.speech(1.0)
    s.silence_until(lambda: bool(s.named("draft_started")))
    s.assistant.stop()
    s._reader.join(HUNG_S)
    assert "stt" in s.named("error")[0]["message"]
    assert not s.recognizer.is_closed
    for thread in threading.enumerate():
        if thread.name == "stt":
            thread.join(HUNG_S)


def test_a_lost_device_is_reported_and_the_end_of_input_closes(
    stage: Callable[..., Stage],
) -> None:
    s = stage()
    s.card.on_lost(DeviceLost("device-lost", "the microphone is gone", "plug it in"))
    s.card.silence(0.1)
    s.silence_until(lambda: bool(s.named("error")))
    assert s.named("error")[0]["hint"] == "plug it in"
    assert not s.assistant.wait_closed(0)
    s.card.on_lost(None)
    assert s.assistant.wait_closed(HUNG_S)


def test_lost_frames_become_silence_and_the_sample_clock_stays_true(
    stage: Callable[..., Stage],
) -> None:
    s = stage()
    s.card.silence(0.2)
    s.card.position += SAMPLE_RATE  # the device was away for a second
    s.card.silence(0.2)
    s.ask()
    assert s.assistant.statistics()["lost_frames"] == SAMPLE_RATE
    assert s.named("speech_started")[0]["t"] == pytest.approx(1.4, abs=0.05)


def test_nobody_reads_the_events_and_nothing_is_blocked(stage: Callable[..., Stage]) -> None:
    s = stage()
    lazy = s.assistant.events(max_waiting=2)
    s.ask()
    s.wait_for_turns(1)
    s.assistant.stop()
    assert [event["event"] for event in lazy] == ["turn_finished", "closed"]
    assert lazy.dropped > 2
