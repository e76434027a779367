"""What each engine thread does with a job. A worker knows its engine, the attempt, and where
results go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.audio.level import first_audible_frame
from edge_assistant.audio.playout import Playout
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import SampleClock
from edge_assistant.errors import GenerationError
from edge_assistant.llm.history import History
from edge_assistant.llm.protocol import LanguageModel, Message
from edge_assistant.llm.sentences import SentenceSplitter
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.channel import Channel
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.trace import EventLog
from edge_assistant.tts.normalise import speakable
from edge_assistant.tts.protocol import Voice
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.turns.events import Event, Transcribed, TurnJudged, WordsJudged

Heard = Callable[[int, int], Samples]
"""(from_frames, to_frames) of the sample clock to a copy of the audio."""

Post = Callable[[Event], None]
"""Takes a fact for the floor; never blocks."""

Engine = TypeVar("Engine", Recognizer, LanguageModel, Voice)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeJob:
    turn: int
    from_frames: int
    to_frames: int
    token: CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeJob:
    attempt: Attempt
    from_frames: int
    to_frames: int

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerJob:
    attempt: Attempt

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillJob:
    """Evaluate the conversation so far while nobody waits."""

    token: CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakJob:
    """Speak `text`; None says that the reply is complete."""

    attempt: Attempt
    text: str | None

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapJob(Generic[Engine]):
    """Put another engine in place of the present one, between two jobs."""

    engine: Engine
    language: str = ""
    """Of a voice."""
    system_prompt: str = ""
    """Of a language model."""

    @property
    def token(self) -> CancelToken:
        """Nobody's: a swap is not cancelled, so that the new engine gets an owner who closes it."""
        return CancelToken()


class Judge:
    """Thread `judge`: asks the turn detector about a pause."""

    def __init__(self, detector: TurnDetector, heard: Heard, post: Post) -> None:
        self._detector, self._heard, self._post = detector, heard, post

    def handle(self, job: JudgeJob) -> None:
        audio = self._heard(job.from_frames, job.to_frames)
        probability = self._detector.end_probability(audio, job.token)
        self._post(TurnJudged(turn=job.turn, paused_frames=job.to_frames, probability=probability))


class Transcriber:
    """Thread `stt`: the transcript of a draft."""

    def __init__(
        self, recognizer: Recognizer, heard: Heard, post: Post, log: EventLog, clock: SampleClock
    ) -> None:
        self.engine = recognizer
        self._heard, self._post, self._log, self._clock = heard, post, log, clock

    def handle(self, job: TranscribeJob | SwapJob[Recognizer]) -> None:
        if isinstance(job, SwapJob):
            self.engine.close()
            self.engine = job.engine
            return
        attempt = job.attempt
        began = self._clock.now_s()
        audio = self._heard(job.from_frames, job.to_frames)
        text = self.engine.transcribe(audio, job.token).text.strip()
        attempt.timings["stt_s"] = round(self._clock.now_s() - began, 4)
        attempt.user_text = text
        self._log.emit("transcript", self._clock.now_frames(), attempt.turn, text=text, final=True)
        self._post(Transcribed(turn=attempt.turn, draft=attempt.draft, text=text))


class Thinker:
    """Thread `llm`: answers, clause by clause, into the channel of the voice."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        history: History,
        system_prompt: str,
        voice: Channel[SpeakJob | SwapJob[Voice]],
        tokens: TokenLedger,
        post: Post,
        clock: SampleClock,
    ) -> None:
        self.engine = model
        self._history = history
        self._system_prompt = system_prompt
        self._voice = voice
        self._tokens = tokens
        self._post = post
        self._clock = clock

    def handle(self, job: AnswerJob | PrefillJob | SwapJob[LanguageModel]) -> None:
        match job:
            case SwapJob():
                self.engine.close()
                self.engine, self._system_prompt = job.engine, job.system_prompt
            case PrefillJob():
                messages = self._messages(None)
                with self._booked(None):
                    self.engine.prefill(messages, job.token)
            case AnswerJob():
                self._answer(job.attempt)

    @contextmanager
    def _booked(self, turn: int | None) -> Iterator[None]:
        """Book what a call of the engine costs, however it ends. Begin it at once: before that, the
        engine's statistics are those of the call before."""
        try:
            yield
        finally:
            self._tokens.book(turn, self.engine.stats)

    def _messages(self, user: str | None) -> list[Message]:
        return self._history.fit(
            self._system_prompt,
            user,
            count=self.engine.count_tokens,
            budget=self.engine.prompt_budget,
        )

    def _answer(self, attempt: Attempt) -> None:
        token = attempt.token
        began = self._clock.now_s()
        messages = self._messages(attempt.user_text)
        splitter = SentenceSplitter()
        if attempt.is_draft:  # the turn may go on: its words say how likely that is
            with self._booked(attempt.turn):
                probability = self.engine.end_probability(messages, token)
            self._post(WordsJudged(turn=attempt.turn, draft=attempt.draft, probability=probability))
        with self._booked(attempt.turn):
            for piece in self.engine.generate(messages, token):
                attempt.timings.setdefault("ttft_s", round(self._clock.now_s() - began, 4))
                for clause in splitter.feed(piece):
                    attempt.timings.setdefault("clause_s", round(self._clock.now_s() - began, 4))
                    self._give(clause, attempt)
                    if attempt.is_draft:
                        attempt.hold()
        for clause in splitter.finish():
            self._give(clause, attempt)
        if not attempt.is_on_its_way:
            raise GenerationError(
                "empty-reply", "The language model gave no answer.", "ask in other words"
            )
        self._voice.put(SpeakJob(attempt=attempt, text=None), token)

    def _give(self, clause: str, attempt: Attempt) -> None:
        if clause.strip():
            attempt.is_on_its_way = True
            self._voice.put(SpeakJob(attempt=attempt, text=clause), attempt.token)


class Speaker:
    """Thread `tts`: speech for each clause, into playout."""

    def __init__(
        self,
        voice: Voice,
        playout: Playout,
        log: EventLog,
        clock: SampleClock,
        *,
        language: str = "en",
    ) -> None:
        self.engine = voice
        self._playout, self._log, self._clock = playout, log, clock
        self._language = language

    def handle(self, job: SpeakJob | SwapJob[Voice]) -> None:
        if isinstance(job, SwapJob):
            self.engine.close()
            self.engine, self._language = job.engine, job.language
            return
        if job.text is not None:
            self._speak(job.attempt, job.text)
            return
        if not job.attempt.has_audio:
            raise GenerationError(
                "empty-reply", "The reply holds nothing that can be spoken.", "ask in other words"
            )
        self._playout.finish(job.attempt.key)

    def _speak(self, attempt: Attempt, text: str) -> None:
        spoken = speakable(text, self._language)
        if not spoken.strip():
            return
        now, turn, draft = self._clock.now_frames(), attempt.turn, attempt.draft
        self._log.emit("reply", now, turn, draft=draft, text=text, spoken=spoken)
        began = self._clock.now_s()
        voice_rate = self.engine.sample_rate
        for chunk in self.engine.synthesize(spoken, attempt.token):
            if not len(chunk.samples):
                continue
            samples = resample(sanitize(chunk.samples), voice_rate, self._playout.sample_rate)
            attempt.add(spoken, chunk, len(samples))
            if not attempt.has_audio:
                attempt.timings["tts_s"] = round(self._clock.now_s() - began, 4)
                silence = first_audible_frame(samples) * SAMPLE_RATE
                attempt.marks.leading_silence_frames = silence // self._playout.sample_rate
                attempt.marks.ready_frames = self._clock.now_frames()
            self._playout.put(attempt.key, samples, attempt.token)
