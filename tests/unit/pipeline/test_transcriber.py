"""What the `stt` thread transcribes, and what it knows already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.jobs import PartialJob, TranscribeJob
from edge_assistant.pipeline.load import Load
from edge_assistant.pipeline.scheduler import Scheduler
from edge_assistant.pipeline.transcriber import Transcriber
from edge_assistant.trace import EventLog
from edge_assistant.turns.events import Event, PartialTranscribed, Transcribed
from tests.fakes.engines import FakeRecognizer

END = SAMPLE_RATE
PAD = frames_of_ms(130)


class Desk:
    """A transcriber; what it finds out is in `facts`."""

    def __init__(self, *texts: str | Exception) -> None:
        clock, log = SampleClock(SAMPLE_RATE, 0, MonotonicClock()), EventLog()
        self.recognizer = FakeRecognizer(*texts)
        self.facts: list[Event] = []
        self.scheduler = Scheduler(
            cores=2, read_load=Load, ears_lag_ms=lambda: 0.0, clock=clock, log=log
        )
        self.transcriber = Transcriber(
            self.recognizer,
            heard,
            self.facts.append,
            log,
            clock,
            scheduler=self.scheduler,
            spoken=lambda: "",
        )

    def look(self, pad_frames: int = PAD) -> PartialJob:
        return PartialJob(
            turn=1,
            from_frames=0,
            to_frames=END,
            breaks=(5,),
            pad_frames=pad_frames,
            token=CancelToken(),
        )

    def draft(self, number: int = 1) -> TranscribeJob:
        attempt = Attempt(key=(1, number))
        return TranscribeJob(
            attempt=attempt, from_frames=0, to_frames=END, breaks=(5,), pad_frames=PAD
        )


def heard(from_frames: int, to_frames: int) -> Samples:
    return np.full(to_frames - from_frames, 0.1, np.float32)


def test_a_draft_takes_over_what_a_look_at_the_same_sound_has_found() -> None:
    desk = Desk("what is it?", "something else")
    desk.transcriber.handle(desk.look())
    rtf = desk.scheduler._stt_rtf
    desk.transcriber.handle(desk.draft())
    assert len(desk.recognizer.heard) == 1
    assert len(desk.recognizer.heard[0]) == END + PAD
    assert desk.facts == [
        PartialTranscribed(turn=1, ahead="what is it?", is_whole=True),
        Transcribed(turn=1, draft=1, text="what is it?", is_closed=True),
    ]
    assert desk.scheduler._stt_rtf == rtf, "what costs nothing tells nothing of the recogniser"


@pytest.mark.parametrize(
    "other",
    [{"from_frames": 160}, {"to_frames": END + 160}, {"pad_frames": 0}, {"breaks": ()}],
    ids=lambda other: next(iter(other)),
)
def test_other_sound_is_transcribed(other: dict[str, int]) -> None:
    desk = Desk("what is", "what is it,")
    desk.transcriber.handle(desk.look())
    desk.transcriber.handle(replace(desk.draft(), **other))  # type: ignore[arg-type]
    assert len(desk.recognizer.heard) == 2
    assert desk.facts[1:] == [Transcribed(turn=1, draft=1, text="what is it,", is_closed=False)]


def test_a_look_that_was_broken_off_is_nothing_to_go_by() -> None:
    desk = Desk(RuntimeError("broken off"), "what is it?")
    with pytest.raises(RuntimeError):
        desk.transcriber.handle(desk.look())
    desk.transcriber.handle(desk.draft())
    assert desk.facts == [Transcribed(turn=1, draft=1, text="what is it?", is_closed=True)]


def test_a_look_that_is_no_dip_holds_the_last_word_back() -> None:
    desk = Desk("what is it")
    desk.transcriber.handle(desk.look(pad_frames=0))
    assert desk.facts == [PartialTranscribed(turn=1, ahead="what is", is_whole=False)]
