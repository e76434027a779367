"""Engines that are changed while the assistant runs: worked once before they are needed, and closed
where nobody takes them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from edge_assistant.config import Config
from edge_assistant.errors import PipelineError, TranscriptionError
from edge_assistant.llm.protocol import Message
from edge_assistant.pipeline import engines as build
from edge_assistant.pipeline import loading, warm
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeVoice
from tests.pipeline.test_assistant import Stage, stage

__all__ = ["stage"]

OTHERS = {"stt.language": "fr", "llm.system_prompt": "Be new.", "tts.rate": 0.8}


class Others:
    """What the next configuration loads."""

    def __init__(self) -> None:
        self.recognizer, self.llm, self.voice = FakeRecognizer(), FakeLlm("New."), FakeVoice()


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Others:
    made = Others()
    monkeypatch.setattr(build, "build_recognizer", lambda *_: made.recognizer)
    monkeypatch.setattr(build, "build_llm", lambda *_: made.llm)
    monkeypatch.setattr(build, "build_voice", lambda *_: made.voice)
    return made


def test_new_engines_have_worked_before_they_take_their_place(
    stage: Callable[..., Stage], others: Others
) -> None:
    s = stage()
    new = Config().with_overrides(OTHERS)
    assert s.assistant.reconfigure(new) == ("stt", "llm", "tts")
    assert len(others.recognizer.heard) == 1
    assert others.voice.spoken == [warm.WORD]
    assert others.llm.prefilled[-1] == [Message(role="system", content="Be new.")]
    s.ask()
    s.wait_for_turns(1)
    assert others.voice.spoken == [warm.WORD, "New."]


def test_a_new_engine_that_cannot_work_yet_is_put_in_place_all_the_same(
    stage: Callable[..., Stage], others: Others, caplog: pytest.LogCaptureFixture
) -> None:
    broken = TranscriptionError("stt-broke", "it broke", "mend it")
    others.recognizer = FakeRecognizer(broken, "again")
    s = stage()
    with caplog.at_level(logging.DEBUG, loading.__name__):
        s.assistant.reconfigure(Config().with_overrides(OTHERS))
    told = [each.getMessage() for each in caplog.records if each.name == loading.__name__]
    assert told == ["stt could not be warmed up"]
    s.ask()
    s.wait_for_turns(1)
    assert others.llm.prompts[-1][-1].content == "again"


def test_engines_that_cannot_be_put_in_place_are_closed(
    stage: Callable[..., Stage], others: Others
) -> None:
    s = stage()
    s.assistant.stop()
    with pytest.raises(PipelineError, match="full or closed"):
        s.assistant.reconfigure(Config().with_overrides(OTHERS))
    assert others.recognizer.is_closed
    assert others.llm.is_closed
    assert others.voice.is_closed
