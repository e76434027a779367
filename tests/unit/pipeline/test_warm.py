"""The warm start: every engine works once, leaves nothing behind, and never stops the start."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.config import Config
from edge_assistant.errors import ModelNotFound, TranscriptionError
from edge_assistant.llm.protocol import Message
from edge_assistant.pipeline import engines as build
from edge_assistant.pipeline import loading, warm
from edge_assistant.pipeline.loading import Engines, load_engines
from edge_assistant.store.store import Store
from edge_assistant.stt.invention import is_silent
from edge_assistant.stt.protocol import Transcript
from edge_assistant.tts.protocol import SpeechChunk
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeTurnDetector, FakeVad, FakeVoice

HUNG_S = 20.0


class CountingVad(FakeVad):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def speech_prob(self, window: Samples) -> float:
        self.calls.append("speech_prob")
        return super().speech_prob(window)

    def reset(self) -> None:
        self.calls.append("reset")


class Slow(FakeRecognizer):
    """Works until it is told to stop."""

    was_cancelled = False

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        stopped = threading.Event()
        token.on_cancel(stopped.set)
        assert stopped.wait(HUNG_S)
        self.was_cancelled = True
        raise TurnCancelled(token.reason)


class Parts:
    """Fakes for every engine, built by whatever `load_engines` calls."""

    def __init__(self) -> None:
        self.vad = CountingVad()
        self.detector: FakeTurnDetector | None = FakeTurnDetector()
        self.recognizer = FakeRecognizer()
        self.llm = FakeLlm("One two three four five.")
        self.voice = FakeVoice()

    def load(self, token: CancelToken | None = None) -> Engines:
        return load_engines(Config(), Store.default(), lambda error: None, token)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts()
    monkeypatch.setattr(build, "build_vad", lambda *_: made.vad)
    monkeypatch.setattr(build, "build_turn_detector", lambda *_: made.detector)
    monkeypatch.setattr(build, "build_recognizer", lambda *_: made.recognizer)
    monkeypatch.setattr(build, "build_llm", lambda *_: made.llm)
    monkeypatch.setattr(build, "build_voice", lambda *_: made.voice)
    return made


def test_the_noise_is_loud_enough_to_be_looked_at() -> None:
    noise = warm.speech_like_noise()
    assert noise.shape == (SAMPLE_RATE,)
    assert noise.dtype == np.float32
    assert float(np.max(np.abs(noise))) <= 1.0
    assert not is_silent(noise)
    assert np.array_equal(noise, warm.speech_like_noise())


def test_every_engine_has_worked_when_loading_is_over(parts: Parts) -> None:
    engines = parts.load()
    assert parts.vad.calls == ["speech_prob", "reset"]
    assert [len(audio) for audio in parts.recognizer.heard] == [SAMPLE_RATE]
    assert parts.detector is not None
    assert parts.detector.asked == [SAMPLE_RATE]
    assert parts.voice.spoken == [warm.WORD]
    assert len(parts.llm.prompts) == 1
    assert engines.llm is parts.llm


def test_the_model_is_left_behind_the_system_prompt(parts: Parts) -> None:
    parts.load()
    used, fresh = parts.llm, FakeLlm()
    prompt = [Message(role="system", content=Config().llm.system_prompt)]
    fresh.prefill(prompt, CancelToken())
    assert used.held == fresh.held
    assert used.evaluated > fresh.evaluated, "it said something in between"


def test_a_configuration_without_a_turn_detector_starts(parts: Parts) -> None:
    parts.detector = None
    assert parts.load().turn_detector is None


def test_a_warm_up_that_fails_does_not_stop_the_start(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.recognizer = FakeRecognizer(TranscriptionError("stt-broke", "it broke", "mend it"))

    class Broken(FakeVoice):
        def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
            raise ZeroDivisionError  # no error of ours: a mistake in an adapter

    parts.voice = Broken()
    with caplog.at_level(logging.DEBUG, loading.__name__):
        engines = parts.load()
    assert engines.recognizer is parts.recognizer
    assert not parts.recognizer.is_closed
    told = [record.getMessage() for record in caplog.records]
    assert told == ["stt could not be warmed up", "tts could not be warmed up"]
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_a_warm_up_that_takes_too_long_is_broken_off(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts.recognizer = slow = Slow()
    monkeypatch.setattr(loading, "WARM_UP_S", 0.0)
    with caplog.at_level(logging.DEBUG, loading.__name__):
        assert parts.load().recognizer is slow
    assert slow.was_cancelled
    assert not slow.is_closed
    assert not [r for r in caplog.records if r.getMessage().startswith("stt")]


def test_a_missing_engine_breaks_off_the_warm_up_of_the_others(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.recognizer = slow = Slow()
    monkeypatch.setattr(loading, "WARM_UP_S", HUNG_S)
    monkeypatch.setattr(build, "build_llm", _raising(ModelNotFound("no", "no such model", "pull")))
    with pytest.raises(ModelNotFound):
        parts.load()
    assert slow.was_cancelled
    assert slow.is_closed


def test_whoever_starts_can_break_the_warm_up_off(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.recognizer = slow = Slow()
    monkeypatch.setattr(loading, "WARM_UP_S", HUNG_S)
    token = CancelToken()
    token.cancel("stopped")
    assert parts.load(token).recognizer is slow
    assert slow.was_cancelled


def test_no_thread_outlives_the_loading(parts: Parts) -> None:
    before = set(threading.enumerate())
    parts.load()
    assert set(threading.enumerate()) <= before


def _raising(error: Exception) -> Callable[..., FakeLlm]:
    def build_it(*_: object) -> FakeLlm:
        raise error

    return build_it
