"""Something is wrong, and it is said aloud: in fixed phrases, by recordings that need no model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.card import SpeaksAlone
from edge_assistant.audio.format import Samples
from edge_assistant.cli.session import running
from edge_assistant.config import Config, load_profile
from edge_assistant.errors import DeviceLost, ModelNotFound
from edge_assistant.notices.phrases import NAMES, PHRASES, find, phrase
from edge_assistant.notices.recordings import SAMPLE_RATE, recording
from edge_assistant.pipeline import assistant as whole
from edge_assistant.pipeline import conductor
from edge_assistant.pipeline.assistant import Assistant
from edge_assistant.pipeline.loading import Engines
from edge_assistant.trace import EventLog
from tests.fakes.cards import ManualCard
from tests.fakes.engines import (
    FakeLlm,
    FakeRecognizer,
    FakeTurnDetector,
    FakeVad,
    FakeVoice,
    failing,
)
from tests.pipeline.conftest import calm_machine
from tests.pipeline.test_assistant import HUNG_S, Stage

__all__ = ["calm_machine"]

RECORDED = Config().with_overrides({"turns.notices": "recorded", "turns.partials": False})


class SpeakingCard(ManualCard):
    """Can be heard while it hears nothing."""

    def __init__(self) -> None:
        super().__init__(speed=40.0)
        self.alone: list[Samples] = []

    def speak_alone(self, samples: Samples, sample_rate: int) -> bool:
        assert sample_rate == SAMPLE_RATE
        self.alone.append(samples)
        return True


class Booth(Stage):
    """A stage whose notices are recorded."""

    card: SpeakingCard

    def __init__(self, *, language: str = "en", events: Path | None = None, **parts: Any) -> None:
        self.card = SpeakingCard()
        self.recognizer = parts.pop("recognizer", None) or FakeRecognizer()
        self.llm = parts.pop("llm", None) or FakeLlm()
        self.voice = parts.pop("voice", None) or FakeVoice()
        engines = Engines(
            vad=FakeVad(),
            onset_vad=FakeVad(),
            turn_detector=FakeTurnDetector(),
            recognizer=self.recognizer,
            llm=self.llm,
            voice=self.voice,
            language=language,
        )
        log = EventLog(events)
        config = parts.pop("config", RECORDED)
        self.assistant = Assistant(config, self.card, engines=engines, event_log=log)
        self._stream = self.assistant.events(max_waiting=10_000)
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.assistant.start()

    def has_played(self, sound: Samples) -> bool:
        """Whether the loudspeaker gave exactly this, without a hole."""
        heard = self.card.audio()
        (starts,) = np.nonzero(heard[: len(heard) - len(sound) + 1] == sound[0])
        return any(np.array_equal(heard[at : at + len(sound)], sound) for at in starts)


@pytest.fixture
def booth() -> Iterator[Callable[..., Booth]]:
    made: list[Booth] = []

    def make(**parts: Any) -> Booth:
        made.append(Booth(**parts))
        return made[-1]

    yield make
    for each in made:
        each.assistant.stop()
        each._reader.join(HUNG_S)


@pytest.mark.parametrize(
    ("stage", "name"), [("stt", "not_understood"), ("llm", "no_answer"), ("tts", "no_voice")]
)
def test_a_failing_engine_is_told_without_any_engine(
    booth: Callable[..., Booth], stage: str, name: Any
) -> None:
    broken: dict[str, dict[str, Any]] = {
        "stt": {"recognizer": FakeRecognizer(failing("stt"))},
        "llm": {"llm": FakeLlm(failing("llm"))},
        "tts": {"voice": FakeVoice(failure=failing("tts"))},
    }
    b = booth(**broken[stage])
    b.card.speech(1.0)
    b.wait_for_turns(1)
    assert b.named("turn_finished")[0]["outcome"] == "failed"
    assert b.named("playback_finished")[0]["heard"] == phrase(name, "en")
    assert b.has_played(recording(name, "en"))
    assert b.voice.spoken == []
    b.card.speech(1.0)  # and the next is listened to
    b.wait_for_turns(2)


@pytest.mark.parametrize(("language", "spoken"), [("de", "de"), ("fr-fr", "fr"), ("ja", "en")])
def test_it_speaks_the_configured_language_and_else_english(
    booth: Callable[..., Booth], language: str, spoken: str
) -> None:
    b = booth(llm=FakeLlm(failing("llm")), language=language)
    b.card.speech(1.0)
    b.wait_for_turns(1)
    assert b.named("reply")[0]["text"] == PHRASES[spoken]["no_answer"]
    assert b.has_played(recording("no_answer", spoken))


def test_without_recordings_the_voice_speaks_that_language(booth: Callable[..., Booth]) -> None:
    config = RECORDED.with_overrides({"turns.notices": "voice"})
    b = booth(llm=FakeLlm(failing("llm")), language="de", config=config)
    b.card.speech(1.0)
    b.wait_for_turns(1)
    assert " ".join(b.voice.spoken) == phrase("no_answer", "de")
    b.card.on_lost(DeviceLost("microphone-lost", "The microphone has stopped."))
    assert b.card.alone == []


def test_a_lost_microphone_is_told_though_no_tick_comes(booth: Callable[..., Booth]) -> None:
    b = booth(language="es")
    assert isinstance(b.card, SpeaksAlone)
    b.card.silence(0.2)
    b.card.on_lost(DeviceLost("microphone-lost", "The microphone has stopped."))
    assert [each is recording("microphone_lost", "es") for each in b.card.alone] == [True]
    assert b.card.on_back is not None
    b.card.on_back()
    b.wait_for_turns(1)
    assert b.has_played(recording("sound_back", "es"))
    assert b.named("device_back")


def test_a_device_that_only_changed_is_not_told(booth: Callable[..., Booth]) -> None:
    b = booth()
    b.card.on_lost(DeviceLost("loudspeaker-moved", "It was switched."))
    assert b.card.alone == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full here")
def test_a_full_disk_is_told_once(booth: Callable[..., Booth]) -> None:
    b = booth(events=Path("/dev/full"))
    b.wait_for_turns(1)
    assert b.has_played(recording("disk_full", "en"))
    b.card.speech(1.0)
    b.wait_for_turns(2)
    assert [each["code"] for each in b.named("error")] == ["events-incomplete"]
    assert b.named("turn_finished")[1]["outcome"] == "answered"


def test_what_cannot_start_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_ASSISTANT_MODELS_DIR", str(tmp_path))
    card = SpeakingCard()
    config = RECORDED.with_overrides({"llm.model": "qwen2.5-0.5b-instruct"})
    with pytest.raises(ModelNotFound), running(config, card, None, lambda event: None):
        pytest.fail("it cannot start without its model")
    assert [each is recording("out_of_order", "en") for each in card.alone] == [True]
    assert card.is_stopped


@pytest.fixture
def fake_engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """What `running` loads."""
    engines = Engines(
        vad=FakeVad(),
        onset_vad=FakeVad(),
        turn_detector=FakeTurnDetector(),
        recognizer=FakeRecognizer(),
        llm=FakeLlm(),
        voice=FakeVoice(),
    )
    monkeypatch.setattr(whole, "load_engines", lambda *_: engines)
    return engines


@pytest.mark.parametrize("code", ["floor-failed", "ears-failed"])
def test_what_gives_up_says_so(
    fake_engines: Engines, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    if code == "floor-failed":
        monkeypatch.setattr(conductor, "step", fail)
    else:
        monkeypatch.setattr(fake_engines.onset_vad, "speech_prob", fail, raising=False)
    card, events = SpeakingCard(), list[Any]()
    with running(RECORDED, card, None, events.append) as assistant:
        card.silence(0.1)
        assert assistant.wait_closed(HUNG_S)
        assert not card.is_stopped
    assert [event["code"] for event in events if event["event"] == "error"] == [code]
    assert [each is recording("out_of_order", "en") for each in card.alone] == [True]
    assert card.is_stopped


@pytest.mark.parametrize(("end", "is_told"), [(RuntimeError, True), (SystemExit, False)])
@pytest.mark.usefixtures("fake_engines")
def test_a_mistake_of_the_session_is_told_and_a_wanted_end_is_not(
    end: type[BaseException], is_told: bool
) -> None:
    card = SpeakingCard()
    with pytest.raises(end), running(RECORDED, card, None, lambda event: None):
        raise end
    assert bool(card.alone) is is_told
    assert card.is_stopped


def test_every_phrase_is_recorded_as_it_is_written() -> None:
    """A text that was changed must be recorded anew: python packaging/make_notices.py"""
    index = (resources.files("edge_assistant") / "notices" / "recordings.json").read_text("utf-8")
    assert json.loads(index) == {
        f"{language}/{name}": hashlib.sha256(text.encode()).hexdigest()
        for language, phrases in PHRASES.items()
        for name, text in phrases.items()
    }
    for language, phrases in PHRASES.items():
        assert set(phrases) == set(NAMES)
        for name, text in phrases.items():
            sound = recording(name, language)
            assert 0.03 < len(sound) / SAMPLE_RATE / len(text) < 0.12, (language, name)
            assert np.abs(sound).max() > 0.1
            assert find(text) == name


def test_the_kiosk_profile_speaks_and_forgets() -> None:
    kiosk = load_profile("kiosk").turns
    assert (kiosk.notices, kiosk.reset_after_idle_s > 0) == ("recorded", True)
