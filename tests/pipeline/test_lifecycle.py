"""Starting, stopping and failing at the wrong moment: nothing is left running, nobody waits for
ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_assistant.audio.card import OnCapture, OnLost, OnPlayback
from edge_assistant.audio.format import Samples
from edge_assistant.config import Config
from edge_assistant.errors import AudioFormatError, DeviceNotFound, ModelNotFound, PipelineError
from edge_assistant.pipeline import assistant as assistant_module
from edge_assistant.pipeline import engines as build
from edge_assistant.pipeline.assistant import Assistant
from edge_assistant.pipeline.handles import Handles
from edge_assistant.pipeline.loading import Engines, load_engines
from edge_assistant.store.store import Store
from edge_assistant.trace import EventLog
from edge_assistant.turns.events import Outcome
from tests.fakes.cards import ManualCard
from tests.fakes.engines import FakeLlm, FakeRecognizer, FakeTurnDetector, FakeVad, FakeVoice

HUNG_S = 20.0


class Detector(FakeTurnDetector):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def engines(onset_vad: FakeVad | None = None) -> Engines:
    return Engines(
        vad=FakeVad(),
        onset_vad=onset_vad or FakeVad(),
        turn_detector=Detector(),
        recognizer=FakeRecognizer(),
        llm=FakeLlm(" ".join(["word"] * 50)),
        voice=FakeVoice(),
    )


def closed(of: Engines) -> list[bool]:
    return [part.is_closed for part in (of.turn_detector, of.recognizer, of.llm, of.voice)]  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(1.0)
    assert not [thread.name for thread in left if thread.is_alive()]


def test_a_card_that_fails_to_stop_keeps_nothing_else_from_stopping(tmp_path: Path) -> None:
    class FullDisk(ManualCard):
        def stop(self) -> None:
            raise AudioFormatError("sound-file-unwritable", "the disk is full", "free some space")

    parts = engines()
    log = EventLog(tmp_path / "events.jsonl")
    assistant = Assistant(Config(), FullDisk(), engines=parts, event_log=log)
    stream = assistant.events()
    assistant.start()
    handle = assistant.say("hello")
    with pytest.raises(AudioFormatError):
        assistant.stop()
    assert closed(parts) == [True] * 4
    assert handle.wait(0)
    assert assistant.wait_closed(0)
    assert next(stream)["event"] == "listening"
    assert list(stream) is not None, "the log is closed"


def test_a_card_that_fails_to_start_leaves_nothing_running() -> None:
    class Taken(ManualCard):
        def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
            raise DeviceNotFound("device-busy", "somebody else has the card", "")

    parts = engines()
    assistant = Assistant(Config(), Taken(), engines=parts)
    with pytest.raises(DeviceNotFound):
        assistant.start()
    assert closed(parts) == [True] * 4
    assert assistant.wait_closed(0)


def test_stop_while_loading_closes_what_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, assistant = engines(), Assistant(Config(), ManualCard(), store=Store.default())

    def load(*_: object) -> Engines:
        stopper = threading.Thread(target=assistant.stop)
        stopper.start()
        stopper.join(HUNG_S)
        return parts

    monkeypatch.setattr(assistant_module, "load_engines", load)
    assistant.start()
    assert closed(parts) == [True] * 4
    assert assistant.wait_closed(0)
    with pytest.raises(PipelineError):
        assistant.say("hello")


def test_an_engine_that_cannot_be_had_closes_all_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object) -> FakeLlm:
        raise ModelNotFound("model-not-found", "no such model", "pull it")

    parts = engines()
    monkeypatch.setattr(build, "build_llm", missing)
    monkeypatch.setattr(build, "build_recognizer", lambda *_: parts.recognizer)
    monkeypatch.setattr(build, "build_voice", lambda *_: parts.voice)
    monkeypatch.setattr(build, "build_turn_detector", lambda *_: parts.turn_detector)
    monkeypatch.setattr(build, "build_vad", lambda *_: parts.vad)
    with pytest.raises(ModelNotFound):
        load_engines(Config(), Store.default(), lambda error: None)
    assert closed(parts) == [True, True, False, True]


def test_a_request_that_comes_when_all_were_dropped_waits_for_nothing() -> None:
    handles = Handles()
    handles.drop_all()  # `stop` ran between the check and this
    handle = handles.new()
    assert handle.wait(0)
    assert handle.outcome is Outcome.FAILED


def test_events_that_are_asked_for_after_the_end_end_at_once() -> None:
    assistant = Assistant(Config(), ManualCard(), engines=engines())
    assistant.start()
    assistant.stop()
    reader = threading.Thread(target=list, args=(assistant.events(),), daemon=True)
    reader.start()
    reader.join(HUNG_S / 4)
    assert not reader.is_alive()


def test_an_event_reader_may_stop_the_assistant() -> None:
    parts = engines()
    assistant = Assistant(Config(), ManualCard(), engines=parts)
    stream = assistant.events()

    def read() -> None:
        for event in stream:
            if event["event"] == "listening":
                assistant.stop()

    reader = threading.Thread(target=read)
    reader.start()
    assistant.start()
    reader.join(HUNG_S)
    assert not reader.is_alive()
    assert closed(parts) == [True] * 4


def test_a_card_callback_may_stop_the_assistant() -> None:
    parts, card = engines(), ManualCard()
    assistant = Assistant(Config(), card, engines=parts)
    assistant.start()
    capture = card._on_capture

    def capture_and_stop(block: Samples, first_frame: int, time_s: float) -> None:
        capture(block, first_frame, time_s)
        if first_frame > 3_200:
            assistant.stop()

    card._on_capture = capture_and_stop
    card.speech(0.5)
    assert closed(parts) == [True] * 4


def test_ears_that_fail_are_not_taken_for_a_silent_room() -> None:
    class Broken(FakeVad):
        def speech_prob(self, window: Samples) -> float:
            raise RuntimeError("native trouble")

    assistant = Assistant(Config(), ManualCard(), engines=engines(Broken()))
    stream = assistant.events()
    assistant.start()
    assistant._card.silence(0.1)  # type: ignore[attr-defined]
    try:
        assert assistant.wait_closed(HUNG_S / 4)
    finally:
        assistant.stop()
    errors = [event for event in stream if event["event"] == "error"]
    assert [error["code"] for error in errors] == ["ears-failed"]


def test_an_error_that_is_no_unicode_costs_no_more_than_its_turn(tmp_path: Path) -> None:
    parts, card = engines(), ManualCard(speed=20)
    llm = FakeLlm(ValueError("caf\udce9"), "Fine.")
    log = EventLog(tmp_path / "events.jsonl")
    assistant = Assistant(
        Config(), card, engines=replace(parts, llm=llm, turn_detector=None), event_log=log
    )
    assistant.start()
    outcomes = []
    for _ in range(2):
        handle = assistant.ask("what")
        for _ in range(300):
            card.block()
            if handle.wait(0):
                break
        outcomes.append(handle.outcome)
    assistant.stop()
    assert outcomes == [Outcome.FAILED, Outcome.ANSWERED]
    assert "caf?" in (tmp_path / "events.jsonl").read_text(encoding="utf-8")
