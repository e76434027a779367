"""What the floor orders is carried out once, also when the loudspeaker was faster."""

from __future__ import annotations

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.playout import Key, Playout
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.llm.history import Exchange, History
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.channel import Channel
from edge_assistant.pipeline.jobs import (
    AnswerJob,
    LlmChannel,
    PartialJob,
    PrefillJob,
    ReadJob,
    SpeakJob,
    SttChannel,
    TranscribeJob,
    TtsChannel,
)
from edge_assistant.pipeline.orders import Orders
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.trace import EventLog
from edge_assistant.tts.protocol import SpeechChunk, WordMark
from edge_assistant.turns.commands import (
    Answer,
    Command,
    Commit,
    Conclude,
    Discard,
    FinishTurn,
    GoOn,
    ReadAhead,
    ResumeTurn,
    Speak,
    StartDraft,
    TranscribePartial,
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
        self.stt: SttChannel = Channel(8)
        self.llm: LlmChannel = Channel(8)
        self.tts: TtsChannel = Channel(32)
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
        samples = np.full(frames, 0.5, np.float32)
        self.playout.put(self.attempt.key, samples, self.attempt.token)
        return self

    def note(self, text: str, frames: int) -> None:
        """The voice has spoken and is about to hand the audio over."""
        assert self.attempt is not None
        self.attempt.clauses_begun += 1
        chunk = SpeechChunk(
            samples=np.full(frames, 0.5, np.float32),
            start_char=0,
            end_char=len(text),
            words=(WordMark(end_char=len(text), end_frames=frames),),
        )
        self.attempt.add(text, chunk, frames)

    def says(self, *clauses: str) -> Desk:
        """The model has given these to the voice, which has spoken each in two blocks."""
        assert self.attempt is not None
        self.attempt.clauses.extend(clauses)
        for clause in clauses:
            self.speak(clause, 2 * BLOCK)
        return self

    def cut(self, blocks: int) -> Desk:
        """The reply is silenced after so many blocks, by a turn in which nothing is said."""
        assert self.attempt is not None
        turn, draft = self.attempt.key
        self.card(blocks)
        self.tick()
        self.obey(Yield(turn=turn, draft=draft))
        self.card()
        assert Yielded(turn=turn, draft=draft) in self.tick()
        self.obey(FinishTurn(turn=turn, outcome=Outcome.INTERRUPTED))
        return self

    def goes_on(self, turn: int, after: Key) -> list[str]:
        """The reply `after` is taken up in `turn`; returns what is spoken of it."""
        self.obey(
            GoOn(turn=turn, draft=2, after=after),
            Commit(turn=turn, draft=2),
        )
        texts = []
        while self.tts.statistics().waiting:
            job = self.tts.get()
            assert isinstance(job, SpeakJob)
            self.attempt = job.attempt
            if job.text is None:
                self.playout.finish(job.attempt.key)
            else:
                texts.append(job.text)
                self.speak(job.text, 2 * BLOCK)
        return texts

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


def heard(desk: Desk) -> list[tuple[str, str, bool]]:
    return [(each.user, each.heard, each.is_interrupted) for each in desk.history.exchanges]


def test_a_reply_goes_on_from_the_clause_that_was_cut() -> None:
    desk = Desk().answered().says("One,", "two,", "three.").cut(2)  # the fade is a part of "two"
    assert heard(desk) == [("question", "One,", True)]
    assert desk.goes_on(2, after=KEY) == ["two,", "three."]
    desk.card(5)
    assert desk.tick()[-1] == PlaybackFinished(turn=2, draft=2)
    assert heard(desk) == [("question", "One, two, three.", False)]
    desk.obey(FinishTurn(turn=2, outcome=Outcome.ANSWERED))
    assert desk.finished[-1] == (None, 2, Outcome.ANSWERED, "two, three.")


def test_a_reply_that_goes_on_can_be_cut_again() -> None:
    desk = Desk().answered().says("One,", "two,", "three.").cut(2)
    desk.goes_on(2, after=KEY)
    desk.cut(2)
    assert heard(desk) == [("question", "One, two,", True)]
    assert desk.goes_on(3, after=(2, 2)) == ["three."]
    desk.card(3)
    desk.tick()
    assert heard(desk) == [("question", "One, two, three.", False)]


def test_only_the_reply_that_was_cut_last_is_taken_up() -> None:
    desk = Desk().answered().says("One,", "two.").cut(2)
    assert desk.goes_on(3, after=(2, 1)) == []


def test_a_reply_of_which_nothing_is_left_is_over_at_once() -> None:
    # A program has asked, somebody coughed: the model had not given a clause yet.
    desk = Desk().answered().cut(0)
    assert desk.goes_on(2, after=KEY) == []
    desk.card()
    assert desk.tick() == [PlaybackFinished(turn=2, draft=2)]
    assert desk.playout.is_idle


def test_what_a_program_said_goes_on_without_a_trace_in_the_history() -> None:
    desk = Desk()
    desk.history.append(Exchange(user="hello", heard="Hi."))
    desk.obey(Speak(turn=1, draft=1, text="Tea is ready.", request=7), Commit(turn=1, draft=1))
    job = desk.tts.get()
    assert isinstance(job, SpeakJob)
    desk.attempt = job.attempt
    desk.speak("Tea is ready.", 2 * BLOCK).tts.get()
    desk.cut(1)
    assert desk.goes_on(2, after=KEY) == ["Tea is ready."]
    desk.card(3)
    desk.tick()
    assert heard(desk) == [("hello", "Hi.", False)]


def test_an_answer_that_nobody_heard_before_it_goes_on_is_one_of_its_own() -> None:
    desk = Desk()
    desk.history.append(Exchange(user="hello", heard="Hi."))
    desk.answered()
    assert desk.attempt is not None
    desk.attempt.clauses.append("One.")  # the voice is busy with it
    desk.cut(0)
    assert desk.goes_on(2, after=KEY) == ["One."]
    desk.card(3)
    desk.tick()
    assert heard(desk) == [("hello", "Hi.", False), ("question", "One.", False)]


def draft(number: int = 1) -> StartDraft:
    return StartDraft(turn=1, draft=number, from_frames=0, to_frames=BLOCK, breaks=(5,))


def test_a_draft_ends_what_was_done_ahead_of_it() -> None:
    desk = Desk()
    desk.obey(
        TranscribePartial(turn=1, from_frames=0, to_frames=BLOCK, breaks=(5,)),
        ReadAhead(turn=1, text="what is"),
        draft(),
        TranscribePartial(turn=1, from_frames=0, to_frames=2 * BLOCK),
        ReadAhead(turn=1, text="what is the"),
    )
    look, drafted, next_look = (desk.stt.get() for _ in range(3))
    read, next_read = (desk.llm.get() for _ in range(2))
    assert isinstance(look, PartialJob)
    assert isinstance(drafted, TranscribeJob)
    assert look.breaks == drafted.breaks == (5,)
    assert isinstance(read, ReadJob)
    assert read.text == "what is"
    assert [each.token.is_cancelled for each in (look, read)] == [True, True]
    assert not any(each.token.is_cancelled for each in (drafted, next_look, next_read))


def test_a_draft_that_is_discarded_leaves_the_look_that_follows_alone() -> None:
    desk = Desk()
    desk.obey(draft(), TranscribePartial(turn=1, from_frames=0, to_frames=2 * BLOCK))
    desk.obey(ResumeTurn(turn=1), Discard(turn=1, draft=1, reason="resumed"))
    look = desk.stt.get()
    assert isinstance(look, PartialJob), "what was to be transcribed for the draft is purged"
    assert not look.token.is_cancelled


def test_reading_ahead_takes_the_place_of_what_is_done_while_nobody_speaks() -> None:
    desk = Desk()
    desk.orders.prefill()
    desk.obey(ReadAhead(turn=1, text="what is"))
    prefill, read = desk.llm.get(), desk.llm.get()
    assert (prefill.token.is_cancelled, read.token.is_cancelled) == (True, False)


def test_a_recogniser_that_is_too_slow_for_looks_fails_nobody() -> None:
    desk = Desk()
    look = TranscribePartial(turn=1, from_frames=0, to_frames=BLOCK)
    desk.obey(*[look] * 9)
    assert desk.stt.statistics().waiting == 8
    assert not desk.events("error")


def look_at(frames: int, pad_frames: int = 0) -> TranscribePartial:
    return TranscribePartial(turn=1, from_frames=0, to_frames=frames, pad_frames=pad_frames)


def test_a_look_at_a_dip_takes_the_place_of_the_look_under_way_and_of_nothing_else() -> None:
    desk = Desk()
    desk.obey(look_at(BLOCK), ReadAhead(turn=1, text="what is"), look_at(2 * BLOCK, BLOCK))
    look, dip = desk.stt.get(), desk.stt.get()
    assert isinstance(look, PartialJob)
    assert isinstance(dip, PartialJob)
    assert [look.token.is_cancelled, dip.token.is_cancelled] == [True, False]
    assert [look.pad_frames, dip.pad_frames] == [0, BLOCK]
    assert not desk.llm.get().token.is_cancelled


def test_a_draft_of_what_a_look_covers_leaves_it_and_what_is_read_alone() -> None:
    desk = Desk()
    looked_at = StartDraft(
        turn=1, draft=1, from_frames=0, to_frames=BLOCK, pad_frames=BLOCK, is_looked_at=True
    )
    whole = ReadAhead(turn=1, text="what is it?", is_whole=True)
    desk.obey(look_at(BLOCK, BLOCK), whole, looked_at)
    look, read = desk.stt.get(), desk.llm.get()
    assert isinstance(read, ReadJob)
    assert read.is_whole
    assert not look.token.is_cancelled
    assert not read.token.is_cancelled
    desk.obey(draft(2))
    assert look.token.is_cancelled
    assert read.token.is_cancelled
