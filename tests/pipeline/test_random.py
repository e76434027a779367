"""People who interrupt at any instant, engines that fail now and then, cards of other rates: real
threads, seeded."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config
from edge_assistant.errors import PipelineError, SynthesisError
from edge_assistant.llm.protocol import Message
from edge_assistant.llm.sentences import SentenceSplitter
from edge_assistant.pipeline.assistant import Assistant
from edge_assistant.pipeline.loading import Engines
from edge_assistant.stt.protocol import Transcript
from edge_assistant.tts.protocol import SpeechChunk
from tests.fakes.cards import ManualCard
from tests.fakes.engines import (
    FakeLlm,
    FakeRecognizer,
    FakeTurnDetector,
    FakeVad,
    FakeVoice,
    failing,
    pause,
)

HUNG_S = 30.0
FAILING = 0.02
TEXT = (
    "alpha bravo charlie delta echo foxtrot. golf hotel india juliet kilo lima. "
    "mike november oscar papa quebec romeo. sierra tango uniform victor whiskey xray."
)
REPLY = TEXT.split()


def clauses_of(text: str) -> list[list[str]]:
    """The words of every clause that goes to the voice."""
    splitter = SentenceSplitter()
    return [clause.split() for clause in (*splitter.feed(text), *splitter.finish())]


CLAUSES = clauses_of(TEXT)
BEGINS = {clause[0]: number for number, clause in enumerate(CLAUSES)}


class Moody:
    """Fails now and then."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def may_fail(self, stage: str, token: CancelToken) -> None:
        if self._random.random() < FAILING:
            raise failing(stage)
        pause(self._random.random() * 0.004, token)


class Recognizer(FakeRecognizer):
    def __init__(self, mood: Moody) -> None:
        super().__init__()
        self._mood = mood

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        self._mood.may_fail("stt", token)
        return Transcript(text="stop" if len(audio) % 7 == 0 else "go on")


class Llm(FakeLlm):
    def __init__(self, mood: Moody) -> None:
        super().__init__(TEXT)
        self._mood = mood

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        for word in super().generate(messages, token):
            self._mood.may_fail("llm", token)
            yield word


class Voice(FakeVoice):
    def __init__(self, mood: Moody) -> None:
        super().__init__(word_ms=60)
        self._mood = mood
        self.broken: Counter[str] = Counter()
        """First words of the clauses that it failed on."""

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        try:
            self._mood.may_fail("tts", token)
        except SynthesisError:
            self.broken[text.split()[0]] += 1
            raise
        yield from super().synthesize(text, token)


def assistant_on(card: ManualCard, config: Config, seed: int) -> Assistant:
    return Assistant(
        config,
        card,
        engines=Engines(
            vad=FakeVad(),
            onset_vad=FakeVad(),
            turn_detector=FakeTurnDetector(),
            recognizer=Recognizer(Moody(seed)),
            llm=Llm(Moody(seed + 1)),
            voice=Voice(Moody(seed + 2)),
        ),
    )


def make_life(assistant: Assistant, card: ManualCard, seed: int, until_s: float) -> None:
    """Speak, ask, press, fall silent and lose frames at random, for so long and 30 turns."""
    rng = random.Random(seed)
    ends_s = time.monotonic() + until_s
    limit = ends_s + HUNG_S
    while time.monotonic() < ends_s or assistant._conductor.state.next_turn <= 30:
        assert time.monotonic() < limit, assistant._conductor.state
        card.silence(rng.random())
        match rng.randrange(12):
            case 0:
                with_refusal(assistant.ask if rng.random() < 0.5 else assistant.say)
            case 1:
                assistant.press()
                card.silence(rng.random() / 3)
                assistant.release()
            case 2:
                card.position += rng.randrange(2 * SAMPLE_RATE)
            case _:
                card.speech(rng.random())


def with_refusal(request: Any) -> None:
    with suppress(PipelineError):  # too many are waiting
        request("hello there")


@pytest.mark.parametrize(("seed", "draft_at"), [(1, "endpoint"), (2, "pause")])
def test_whatever_happens_every_turn_ends_once_and_nothing_is_left(
    seed: int, draft_at: str
) -> None:
    before = set(threading.enumerate())
    card = ManualCard(speed=400.0)
    config = Config().with_overrides({"turns.draft_at": draft_at})
    assistant = assistant_on(card, config, seed)
    stream = assistant.events(max_waiting=1_000_000)
    assistant.start()
    make_life(assistant, card, seed, until_s=5.0)
    limit = time.monotonic() + HUNG_S
    while not assistant.is_idle:
        assert time.monotonic() < limit, assistant._conductor.state
        card.silence(0.1)
    orders = assistant._conductor._orders
    assert orders is not None
    assert not orders._attempts
    assert not orders._heard
    assert not orders._ends
    assert not orders._requests
    assert not len(assistant._handles)
    assistant.stop()
    events = list(stream)
    begun = {e["turn"] for e in events if e["event"] in ("speech_started", "committed")}
    ended = sorted(e["turn"] for e in events if e["event"] == "turn_finished")
    assert ended == sorted(begun)
    assert len(ended) > 20
    llm = assistant._engines.llm if assistant._engines is not None else None
    assert isinstance(llm, Llm)
    told = [e for e in events if "tokens_computed" in e]
    assert [e["event"] for e in told] == ["turn_finished"] * len(ended) + ["closed"]
    assert sum(e["tokens_computed"] for e in told) == llm.evaluated > 100
    assert sum(e["tokens_discarded"] for e in told) == llm.evaluated - len(llm.held) > 100
    assert_documented(events)
    broken = {"stt-broke", "llm-broke", "tts-broke", "empty-reply"}
    assert {e["code"] for e in events if e["event"] == "error"} <= broken
    voice = assistant._engines.voice if assistant._engines is not None else None
    assert isinstance(voice, Voice)
    missing: Counter[str] = Counter()
    for exchange in assistant.history.exchanges:
        missing.update(left_out(exchange.heard))
    assert missing <= voice.broken
    assert not [t.name for t in threading.enumerate() if t not in before]


def left_out(heard: str) -> list[str]:
    """First words of the clauses of the reply that are missing before the end of what was heard.

    Raises:
        AssertionError: it is not the reply from its first word on. A clause that was cut may be
            taken up again from its beginning, with those before it that were missing.
    """
    missing: list[str] = []
    clause, at = 0, 0  # what should come next
    for word in heard.split():
        if not at or word != CLAUSES[clause][at]:
            assert word in BEGINS, heard
            before, clause, at = clause, BEGINS[word], 0
            missing += [each[0] for each in CLAUSES[before:clause]]
            assert all(each[0] in missing for each in CLAUSES[clause:before]), heard
        at += 1
        if at == len(CLAUSES[clause]):
            clause, at = clause + 1, 0
    return missing


@pytest.mark.parametrize(
    ("heard", "missing"),
    [
        ("", []),
        ("alpha bravo charlie delta echo foxtrot. golf", []),
        ("alpha bravo alpha bravo charlie", []),
        (f"{TEXT.removesuffix(' victor whiskey xray.')} sierra tango", []),
        ("alpha bravo charlie delta echo golf hotel foxtrot. golf", ["foxtrot."]),
        ("alpha foxtrot. mike", ["alpha", "golf"]),
    ],
)
def test_what_is_missing_in_a_reply_is_found(heard: str, missing: list[str]) -> None:
    assert left_out(heard) == missing


@pytest.mark.parametrize(
    "heard",
    [
        "bravo charlie",
        "alpha charlie",
        "alpha bravo bravo",
        "alpha bravo charlie delta echo foxtrot. golf alpha",
        f"{TEXT} sierra",
        "Sorry, alpha",
    ],
)
def test_what_is_no_reply_is_found(heard: str) -> None:
    with pytest.raises(AssertionError):
        left_out(heard)


def assert_documented(events: list[dict[str, Any]]) -> None:
    """Every event and every field of it stands in the table of docs/interfaces.md."""
    page = Path(__file__).parents[2] / "docs" / "interfaces.md"
    rows = re.findall(r"^\| (`[^|]+)\|([^|]*)\|", page.read_text("utf-8"), re.MULTILINE)
    known = {
        name: set(re.findall(r"`(\w+)`", fields))
        for names, fields in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    for event in events:
        assert event["event"] in known, event
        assert set(event) - {"t", "event", "turn"} <= known[event["event"]], event


class OtherRates(ManualCard):
    """A microphone of 48 kHz and a loudspeaker of 44.1 kHz, as a sound card has them."""

    is_lock_step = False
    capture_rate = 48_000
    playback_rate = 44_100

    def block(self, sound: Samples | None = None) -> None:
        """20 ms."""
        block = np.zeros(960, np.float32) if sound is None else np.repeat(sound, 3)
        out = np.zeros(882, np.float32)
        first = self.position
        self.position += self.block_frames
        self._on_capture(block, first * 3, first / SAMPLE_RATE)
        self._on_playback(out, first, self.position / SAMPLE_RATE)
        self.played.append(out)
        time.sleep(0.02 / self.speed)


def test_what_was_heard_is_exact_at_the_rates_of_a_sound_card() -> None:
    card = OtherRates()
    voice = FakeVoice(word_ms=210)
    parts = Engines(
        vad=FakeVad(),
        onset_vad=FakeVad(),
        turn_detector=None,
        recognizer=FakeRecognizer("count"),
        llm=FakeLlm(TEXT),
        voice=voice,
    )
    assistant = Assistant(Config(), card, engines=parts)
    stream = assistant.events()
    assistant.start()
    card.speech(1.0)
    while not any(out.any() for out in card.played):
        card.silence(0.1)
    card.silence(1.5)
    card.speech(1.0)
    audible = np.count_nonzero(np.abs(np.concatenate(card.played)) > 0)
    assistant.stop()
    (heard,) = [e["heard"] for e in stream if e["event"] == "yielded"]
    words = len(heard.split())
    assert heard.split() == REPLY[:words]
    word_frames = 44_100 * 210 // 1000
    assert words * word_frames <= audible + 200 <= (words + 1) * word_frames + 400
