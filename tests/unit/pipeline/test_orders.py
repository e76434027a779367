"""What the floor orders is carried out once, also when the loudspeaker was faster."""

from __future__ import annotations

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.llm.history import History
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.channel import Channel
from edge_assistant.pipeline.orders import Orders
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.pipeline.workers import (
    AnswerJob,
    PrefillJob,
    SpeakJob,
    SwapJob,
    TranscribeJob,
)
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.trace import EventLog
from edge_assistant.tts.protocol import SpeechChunk, Voice, WordMark
from edge_assistant.turns.commands import (
    Answer,
    Command,
    Commit,
    Conclude,
    FinishTurn,
    ResumeTurn,
    Yield,
)
from edge_assistant.turns.events import Event, Outcome, PlaybackFinished, PlaybackStarted, Yielded

KEY = (1, 1)
BLOCK = SAMPLE_RATE // 100


class Desk:
    """Orders with a real playout and history; the test is the card, the stages and the floor."""

    def __init__(self, playback_rate: int = SAMPLE_RATE) -> None:
        self.playout = Playout(playback_rate)
        self.history = History()
        self.log = EventLog()
        self.stream = self.log.subscribe()
        self.stt: Channel[TranscribeJob | SwapJob[Recognizer]] = Channel(8)
        self.llm: Channel[AnswerJob | PrefillJob | SwapJob[LanguageModel]] = Channel(8)
        self.tts: Channel[SpeakJob | SwapJob[Voice]] = Channel(32)
        self.tokens = TokenLedger()
        self.finished: list[tuple[int | None, int | None, Outcome, str]] = []
        self.orders = Orders(
            playout=self.playout,
            history=self.history,
            log=self.log,
            clock=SampleClock(SAMPLE_RATE, 0, MonotonicClock()),
            judge=None,
            stt=self.stt,
            llm=self.llm,
            tts=self.tts,
            tokens=self.tokens,
            frame_at=lambda time_s: round(time_s * SAMPLE_RATE),
            post=lambda event: None,
            on_finished=lambda *report: self.finished.append(report),
        )
        self.attempt: Attempt | None = None

    def obey(self, *commands: Command) -> None:
        for command in commands:
            self.orders.execute(command)

    def answered(self) -> Desk:
        """The user has asked `question`, and the answer is committed."""
        self.obey(Answer(turn=1, draft=1, text="question"), Commit(turn=1, draft=1))
        job = self.llm.get()
        assert isinstance(job, AnswerJob)
        self.attempt = job.attempt
        return self

    def speak(self, text: str, frames: int) -> Desk:
        """The voice has spoken `text`, one word, in so many frames."""
        assert self.attempt is not None
        self.note(text, frames)
        self.playout.put(KEY, np.full(frames, 0.5, np.float32), self.attempt.token)
        return self

    def note(self, text: str, frames: int) -> None:
        """The voice has spoken and is about to hand the audio over."""
        assert self.attempt is not None
        chunk = SpeechChunk(
            samples=np.full(frames, 0.5, np.float32),
            start_char=0,
            end_char=len(text),
            words=(WordMark(end_char=len(text), end_frames=frames),),
        )
        self.attempt.add(text, chunk, frames)

    def card(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.playout.on_playback(np.zeros(BLOCK, np.float32), 0, 0.0)

    def tick(self) -> list[Event]:
        """What playout reports becomes facts for the floor."""
        facts = [self.orders.played(fact) for fact in self.playout.service()]
        return [fact for fact in facts if fact is not None]

    def events(self, name: str) -> list[dict[str, object]]:
        self.log.close()
        return [event for event in self.stream if event["event"] == name]


def test_a_yield_that_comes_after_the_last_frame_changes_nothing_that_was_heard() -> None:
    desk = Desk().answered().speak("Yes", 2 * BLOCK)
    desk.playout.finish(KEY)
    desk.card(3)
    facts = desk.playout.service()  # on the ears' thread: the whole reply was played
    desk.obey(Yield(turn=1, draft=1))  # on the floor's, which has not read that yet
    events = [desk.orders.played(fact) for fact in facts]
    desk.card()
    events += desk.tick()
    assert [type(event) for event in events] == [PlaybackStarted, PlaybackFinished, Yielded]
    desk.obey(FinishTurn(turn=1, outcome=Outcome.INTERRUPTED))
    (exchange,) = desk.history.exchanges
    assert (exchange.heard, exchange.is_interrupted) == ("Yes", False)
    assert desk.finished == [(None, 1, Outcome.INTERRUPTED, "Yes")]
    assert not desk.events("yielded")
    assert desk.playout.is_idle


def test_what_goes_on_is_not_remembered_twice() -> None:
    # The first frame left in the block in which the user's voice was recognised: the floor reopens
    # the turn, and its whole audio is transcribed again.
    desk = Desk().answered().speak("Yes", 50 * BLOCK)
    desk.card()
    desk.obey(Yield(turn=1, draft=1), ResumeTurn(turn=1))
    desk.card()
    assert [type(event) for event in desk.tick()] == [PlaybackStarted, Yielded]
    assert not desk.history.exchanges


def test_words_that_never_reached_playout_are_not_remembered() -> None:
    desk = Desk().answered().speak("Yes,", 2 * BLOCK)
    desk.obey(Conclude(turn=1, draft=1))
    desk.playout.finish(KEY)  # the voice has come to the end that the floor ordered
    desk.card(3)
    desk.note("and more", BLOCK)
    desk.tick()
    assert [exchange.heard for exchange in desk.history.exchanges] == ["Yes,"]


def test_only_one_prefill_can_stand_before_an_answer() -> None:
    desk = Desk()
    desk.orders.prefill()
    first = desk.llm.get()
    desk.orders.prefill()
    assert first.token.is_cancelled
    desk.obey(Answer(turn=1, draft=1, text="question"))
    second = desk.llm.get()
    assert isinstance(second, PrefillJob)
    assert second.token.is_cancelled
