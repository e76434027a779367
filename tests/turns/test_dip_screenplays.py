"""Conversations in virtual time: what a dip in the level and a transcript tell of the end of a turn
before the pause does."""

from __future__ import annotations

import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.turns.commands import (
    Answer,
    JudgeTurn,
    ReadAhead,
    StartDraft,
    TranscribePartial,
)
from edge_assistant.turns.events import Outcome
from edge_assistant.turns.settings import Settings
from tests.fakes.screenplay import Screenplay
from tests.turns.test_ahead_screenplays import asked, times


def test_the_draft_has_the_words_of_the_look_at_the_dip() -> None:
    play = asked(Screenplay(stt_ms=900, partial_ms=50)).run(6.0)
    look = play.commands(TranscribePartial)[-1]
    (draft,) = play.commands(StartDraft)
    assert times(play, TranscribePartial)[-1] == pytest.approx(2.0 + 0.02, abs=0.011)
    assert draft.is_looked_at
    assert (draft.from_frames, draft.to_frames) == (look.from_frames, look.to_frames)
    assert draft.pad_frames == look.pad_frames > 0
    assert play.when(Answer) == pytest.approx(2.0 + 0.02 + 0.05, abs=0.011)


def test_a_look_at_a_dip_that_is_slow_is_waited_for() -> None:
    play = asked(Screenplay(stt_ms=900, partial_ms=200)).run(6.0)
    assert play.when(Answer) == pytest.approx(2.0 + 0.02 + 0.2, abs=0.011)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_in_a_loud_room_the_draft_transcribes_what_there_is() -> None:
    play = asked(Screenplay(is_loud=True)).run(6.0)
    (draft,) = play.commands(StartDraft)
    assert not draft.is_looked_at
    assert draft.to_frames == int((2.0 + 0.04) * SAMPLE_RATE)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_a_dip_that_is_no_pause_is_one_more_look() -> None:
    play = Screenplay(rules=Settings(pause_ms=100)).user(0.5, 1.5, "what is").user(1.56, 3.0, "it")
    play.run(8.0)
    looks = play.commands(TranscribePartial)
    assert [each.to_frames / SAMPLE_RATE for each in looks if each.pad_frames] == pytest.approx(
        [1.52, 3.02], abs=0.011
    )
    assert "what is" in [read.text for read in play.commands(ReadAhead) if read.is_whole]
    assert len(play.commands(StartDraft)) == 1
    assert [answer.text for answer in play.commands(Answer)] == ["what is it"]


def test_the_turn_detector_is_asked_where_the_words_are_open() -> None:
    play = asked(Screenplay(is_closed=False)).run(6.0)
    assert play.when(JudgeTurn) == play.when(Answer)
    assert play.outcomes == {1: [Outcome.ANSWERED]}


def test_it_is_left_alone_where_they_are_closed() -> None:
    assert not asked().run(6.0).commands(JudgeTurn)


def test_it_is_asked_where_the_words_are_long_in_coming() -> None:
    play = asked(Screenplay(stt_ms=900, partial_ms=900)).run(8.0)
    assert play.when(JudgeTurn) == pytest.approx(2.0 + 0.04 + 0.3, abs=0.021)
    assert len(play.commands(JudgeTurn)) == 1
    assert play.outcomes == {1: [Outcome.ANSWERED]}
