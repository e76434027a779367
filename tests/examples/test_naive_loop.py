"""The naive loop honours the pipe as ours does, is sequential, and has no other handicap."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.partner import PIPE_BLOCK_BYTES, Partner, Patience
from edge_assistant.config import Config
from edge_assistant.examples.naive_loop import NaiveLoop
from edge_assistant.pipeline.loading import Engines
from edge_assistant.trace import EventLog
from tests.fakes.cards import ManualCard
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeVad, FakeVoice, failing
from tests.pipe.client import BLOCK, RATE, Conversation
from tests.pipe.test_pipe import HUNG_S, first_audible_s, last_audible_s, named, spoken

NAIVE = (sys.executable, "-m", "edge_assistant.examples.naive_loop")
OURS = (sys.executable, "-m", "edge_assistant", "converse", "--pipe")
QUESTION = "What is the largest planet?"


class Room:
    """The loop with engines that do as told, on a card that the test drives."""

    def __init__(self, path: Path, config: Config, **parts: Any) -> None:
        self.path = path
        self.recognizer = parts.get("recognizer") or FakeRecognizer()
        self.llm = parts.get("llm") or FakeLlm()
        self.voice = parts.get("voice") or FakeVoice()
        engines = Engines(
            vad=FakeVad(),
            onset_vad=FakeVad(),
            turn_detector=None,
            recognizer=self.recognizer,
            llm=self.llm,
            voice=self.voice,
        )
        self.log = EventLog(path)
        self.loop = NaiveLoop(config, engines, self.log)
        self.card = ManualCard()
        self.card.start(self._capture, self._playback, lambda error: None)

    def _capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        self._answer = self.loop.answer(block)

    def _playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        out[:] = self._answer

    def named(self, name: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        return [event for event in events if event["event"] == name]

    def silence_until(self, name: str, count: int = 1) -> None:
        limit = time.monotonic() + 20
        while len(self.named(name)) < count:
            assert time.monotonic() < limit, f"no {name}: {self.path.read_text('utf-8')}"
            self.card.silence(0.1)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Makes loops and stops them."""
    made: list[Room] = []

    def make(config: Config | None = None, **parts: Any) -> Room:
        made.append(Room(tmp_path / f"{len(made)}.jsonl", config or Config(), **parts))
        return made[-1]

    yield make
    for each in made:
        each.loop.close()
        each.log.close()


def test_a_question_is_answered_whole_and_remembered_whole(room: Callable[..., Room]) -> None:
    r = room(llm=FakeLlm("It is three. Or four.", "Yes."))
    r.card.silence(0.5)
    r.card.speech(1.0)
    r.silence_until("turn_finished")
    r.card.speech(1.0)
    r.silence_until("turn_finished", 2)
    assert len(r.recognizer.heard[0]) / SAMPLE_RATE == pytest.approx(0.3 + 1.0 + 0.2, abs=0.02)
    assert r.voice.spoken == ["It is three. Or four.", "Yes."]
    heard = [event["heard"] for event in r.named("playback_finished")]
    assert heard == r.voice.spoken
    assert [message.content for message in r.llm.prompts[1][1:]] == [
        "hello there",
        "It is three. Or four.",
        "hello there",
    ]


def test_the_latency_is_what_the_recording_shows(room: Callable[..., Room]) -> None:
    r = room(llm=FakeLlm("One two three.", seconds_per_word=0.03))
    r.card.silence(0.2)
    r.card.speech(1.0)
    r.silence_until("playback_finished")
    (latency,) = r.named("latency")
    parts = sum(value for name, value in latency.items() if name.endswith("_s"))
    assert parts - latency["gap_s"] == pytest.approx(latency["gap_s"], abs=5e-4)
    first_heard = np.flatnonzero(np.abs(r.card.audio()) > 10 ** (-50 / 20))[0]
    heard_s = (first_heard + r.card.block_frames) / SAMPLE_RATE
    assert heard_s - 1.2 == pytest.approx(latency["gap_s"], abs=0.002)
    finished_s = r.named("playback_finished")[0]["t"]
    assert finished_s - r.named("playback_started")[0]["t"] == pytest.approx(0.6)


def test_what_is_said_while_it_thinks_or_speaks_is_dropped(room: Callable[..., Room]) -> None:
    r = room(
        recognizer=FakeRecognizer(seconds=0.2), llm=FakeLlm("One two three four five six.", "Yes.")
    )
    r.card.speech(1.0)
    r.silence_until("committed")
    r.card.speech(0.3)
    r.silence_until("playback_started")
    r.card.speech(0.8)
    r.silence_until("turn_finished")
    r.card.silence(1.0)
    assert len(r.named("speech_started")) == 1
    assert np.count_nonzero(r.card.audio()) == pytest.approx(1.2 * SAMPLE_RATE, abs=6)
    r.card.speech(1.0)
    r.silence_until("turn_finished", 2)
    assert [event["outcome"] for event in r.named("turn_finished")] == ["answered"] * 2


def test_nothing_of_the_deaf_time_gets_into_the_next_question(room: Callable[..., Room]) -> None:
    r = room(llm=FakeLlm("One two."))
    r.card.speech(1.0)
    r.silence_until("playback_started")
    while not r.named("turn_finished"):
        r.card.speech(0.02)
    r.card.speech(0.98)
    r.silence_until("turn_finished", 2)
    # 0.2 s behind the speech as always, but no 0.3 s before it.
    assert len(r.recognizer.heard[1]) / SAMPLE_RATE == pytest.approx(0.98 + 0.2, abs=0.04)


def test_half_a_second_of_silence_is_a_pause(room: Callable[..., Room]) -> None:
    r = room()
    r.card.silence(0.5)
    r.card.speech(1.0)
    r.card.silence(0.5)
    r.card.speech(1.0)
    r.silence_until("turn_finished")
    (heard,) = r.recognizer.heard
    assert len(heard) / SAMPLE_RATE == pytest.approx(0.3 + 2.5 + 0.2, abs=0.02)


@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
def test_a_failing_engine_costs_one_turn(room: Callable[..., Room], stage: str) -> None:
    parts: dict[str, dict[str, Any]] = {
        "stt": {"recognizer": FakeRecognizer(failing("stt"), "again")},
        "llm": {"llm": FakeLlm(failing("llm"), "Yes.")},
        "tts": {"voice": FakeVoice(failure=failing("tts"))},
    }
    r = room(**parts[stage])
    for turn in (1, 2):
        r.card.speech(1.0)
        r.silence_until("turn_finished", turn)
    assert (r.named("error")[0]["stage"], r.named("error")[0]["turn"]) == (stage, 1)
    outcomes = [event["outcome"] for event in r.named("turn_finished")]
    assert outcomes == ["failed", "failed" if stage == "tts" else "answered"]


def test_no_words_get_no_answer(room: Callable[..., Room]) -> None:
    r = room(recognizer=FakeRecognizer("", "hello"))
    r.card.speech(1.0)
    r.silence_until("turn_finished")
    assert r.named("turn_finished")[0]["outcome"] == "ignored"
    assert not r.llm.prompts
    r.card.speech(1.0)
    r.silence_until("playback_started")


def test_a_monologue_is_cut_where_ours_cuts_it(room: Callable[..., Room]) -> None:
    r = room(Config().with_overrides({"turns.max_utterance_ms": 2000}))
    r.card.speech(3.0)
    r.silence_until("turn_finished")
    assert len(r.recognizer.heard[0]) / SAMPLE_RATE == pytest.approx(2.0, abs=0.02)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
@pytest.mark.parametrize("command", [NAIVE, OURS], ids=["naive", "ours"])
def test_both_give_a_block_for_a_block(command: tuple[str, ...], tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    silence = bytes(PIPE_BLOCK_BYTES)
    # The partner of the bench: it finds surplus and missing bytes, and a bad end.
    with Partner([*command, "--events", str(events)], Patience()) as partner:
        assert partner.exchange(silence) == silence
        first = json.loads(events.read_text("utf-8").splitlines()[0])
        assert (first["t"], first["event"]) == (0, "listening")
        assert all(partner.exchange(silence) == silence for _ in range(100))
        partner.end()


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
@pytest.mark.parametrize("command", [NAIVE, OURS], ids=["naive", "ours"])
def test_both_answer_aloud_and_tell_the_truth(command: tuple[str, ...], tmp_path: Path) -> None:
    partner = Conversation(tmp_path / "events.jsonl", command)
    question = spoken(QUESTION)
    partner.say(np.zeros(RATE // 2, np.float32))
    asked_s = partner.say(question)
    late: list[dict[str, Any]] = []
    seen = 0

    def look() -> bool:
        nonlocal seen
        fresh = partner.events()[seen:]
        answered_s = (partner.blocks - 1) * BLOCK / RATE
        late.extend(event for event in fresh if event["t"] < answered_s)
        seen += len(fresh)
        return partner.has("playback_started") and partner.is_audible()

    assert partner.run_until(look, HUNG_S)
    assert partner.close() == 0
    names = [event["event"] for event in partner.events()]
    first = {name: names.index(name) for name in names}
    last = {name: at for at, name in enumerate(names)}
    for earlier, later in (
        ("listening", "speech_started"),
        ("speech_started", "speech_ended"),
        ("speech_started", "draft_started"),
        ("draft_started", "transcript"),
        ("transcript", "reply"),
        ("draft_started", "committed"),
        ("speech_ended", "committed"),
        ("committed", "playback_started"),
        ("reply", "playback_started"),
        ("playback_started", "latency"),
    ):
        assert first[earlier] < last[later], (earlier, later)
    if command is NAIVE:  # it works while the block waits; ours writes from a thread of its own
        # The start and the end of speech are dated back: they are known only later.
        assert not [event for event in late if not event["event"].startswith("speech_")]
    assert "planet" in named(partner, "transcript")[-1]["text"].lower()
    (latency,) = named(partner, "latency")
    ended_s = named(partner, "speech_ended")[0]["t"]
    heard_s = first_audible_s(np.concatenate(partner.heard))
    assert heard_s == pytest.approx(ended_s + latency["gap_s"], abs=0.002)
    said_s = asked_s + last_audible_s(question)
    assert ended_s == pytest.approx(said_s, abs=0.25)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.usefixtures("starter_pack")
def test_speech_does_not_stop_its_reply(tmp_path: Path) -> None:
    partner = Conversation(tmp_path / "events.jsonl", NAIVE)
    partner.say(spoken(QUESTION))
    assert partner.run_until(lambda: partner.has("playback_started"), HUNG_S)
    partner.run(0.5)
    partner.say(spoken("Stop! What is the capital of France?"))
    assert partner.run_until(lambda: partner.has("turn_finished"), HUNG_S)
    partner.run(1.5)
    assert partner.close() == 0
    (reply,) = named(partner, "reply")
    (finished,) = named(partner, "playback_finished")
    assert (finished["heard"], finished["exact"]) == (reply["text"], True)
    assert named(partner, "turn_finished")[0]["outcome"] == "answered"
    assert named(partner, "turn_finished")[0]["tokens_computed"] > 0
    assert len(named(partner, "transcript")) == 1
    begin_s = named(partner, "playback_started")[0]["t"]
    played_s = finished["t"] - begin_s
    assert played_s == pytest.approx(len(spoken(reply["text"])) / RATE, abs=0.05)
    assert played_s > 2.0, "the reply was too short to be talked over"
    last_s = np.flatnonzero(np.concatenate(partner.heard))[-1] / RATE
    assert last_s == pytest.approx(finished["t"], abs=0.5)


def test_a_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[llm]\nmodle = 'x'\n", encoding="utf-8")
    done = subprocess.run(
        [*NAIVE, "--config", str(config)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error [config-unknown-key]: ")
    assert "did you mean `model`?" in done.stderr
    assert not done.stdout


def test_a_bug_is_not_taken_for_a_failed_turn(room: Callable[..., Room]) -> None:
    r = room(llm=FakeLlm(ZeroDivisionError("a bug")))
    r.card.speech(1.0)
    with pytest.raises(ZeroDivisionError):
        r.silence_until("turn_finished")
