"""Thread `llm`: reads along, judges whether that was all, and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from edge_assistant.clock import SampleClock
from edge_assistant.errors import GenerationError
from edge_assistant.llm.history import History
from edge_assistant.llm.prompt import SENTENCE_ENDS
from edge_assistant.llm.protocol import LanguageModel, Message
from edge_assistant.llm.sentences import SentenceSplitter
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.jobs import (
    AnswerJob,
    ForgetJob,
    LlmJob,
    Post,
    PrefillJob,
    ReadJob,
    SpeakJob,
    SwapJob,
    TtsChannel,
)
from edge_assistant.pipeline.scheduler import Scheduler, Work
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.trace import EventLog
from edge_assistant.turns.events import WordsJudged


class Thinker:
    """Thread `llm`: answers, clause by clause, into the channel of the voice."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        history: History,
        system_prompt: str,
        voice: TtsChannel,
        tokens: TokenLedger,
        post: Post,
        log: EventLog,
        clock: SampleClock,
        scheduler: Scheduler,
    ) -> None:
        self.engine = model
        self._history = history
        self._system_prompt = system_prompt
        self._voice = voice
        self._tokens = tokens
        self._post = post
        self._log = log
        self._clock = clock
        self._scheduler = scheduler

    def handle(self, job: LlmJob) -> None:
        match job:
            case SwapJob():
                self.engine.close()
                self.engine, self._system_prompt = job.engine, job.system_prompt
                self.tell_prompt()
            case ForgetJob():
                with self._at_work(None):
                    self.engine.forget()
            case PrefillJob():
                self._scheduler.give_threads(self.engine, Work.IDLE_PREFILL)
                messages = self._messages(None)
                with self._at_work(None):
                    self.engine.prefill(messages, job.token)
            case ReadJob():
                work = Work.READ_WHOLE if job.is_whole else Work.IDLE_PREFILL
                self._scheduler.give_threads(self.engine, work, turn=job.turn)
                messages = self._messages(job.text)
                with self._at_work(job.turn):
                    self.engine.end_probability(messages, job.token)
            case AnswerJob():
                self._answer(job.attempt)

    def tell_prompt(self) -> None:
        """Say by its hash what the model is told before the conversation: whoever has locked the
        prompt can see that it is this one, and the log need not hold it."""
        digest = hashlib.sha256(self._system_prompt.encode(errors="surrogatepass")).hexdigest()
        self._log.emit("prompt", self._clock.now_frames(), sha256=digest)

    @contextmanager
    def _at_work(self, turn: int | None, *, draft_of: int | None = None) -> Iterator[None]:
        """Book what a call of the engine costs, however it ends. Begin it at once: before that, the
        engine's statistics are those of the call before."""
        try:
            with self._scheduler.busy("llm", draft_of=draft_of):
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
        token, turn = attempt.token, attempt.turn
        if (
            attempt.is_draft
            and not self._scheduler.plan(Work.DRAFT, turn=turn, speech_s=attempt.speech_s).run
        ):
            attempt.hold()
        began = self._clock.now_s()
        messages = self._messages(attempt.user_text)
        splitter = SentenceSplitter()
        self._take_threads(attempt)
        if attempt.is_draft:  # the turn may go on: its words say how likely that is
            self._judge_words(attempt, messages)
        with self._at_work(turn, draft_of=turn if attempt.is_draft else None):
            for piece in self.engine.generate(messages, token):
                attempt.timings.setdefault("ttft_s", round(self._clock.now_s() - began, 4))
                for clause in splitter.feed(piece):
                    attempt.timings.setdefault("clause_s", round(self._clock.now_s() - began, 4))
                    self._give(clause, attempt)
                    if attempt.is_draft:
                        with self._scheduler.resting("llm"):
                            attempt.hold()
                    self._take_threads(attempt)
        for clause in splitter.finish():
            self._give(clause, attempt)
        if not attempt.is_on_its_way:
            raise GenerationError(
                "empty-reply", "The language model gave no answer.", "ask in other words"
            )
        self._voice.put(SpeakJob(attempt=attempt, text=None), token)

    def _take_threads(self, attempt: Attempt) -> None:
        work = Work.DRAFT if attempt.is_draft else Work.ANSWER_COMMITTED
        self._scheduler.give_threads(
            self.engine, work, turn=attempt.turn, speech_s=attempt.speech_s
        )

    def _judge_words(self, attempt: Attempt, messages: list[Message]) -> None:
        with self._at_work(attempt.turn, draft_of=attempt.turn):
            probability = self.engine.end_probability(messages, attempt.token)
        judged = WordsJudged(
            turn=attempt.turn,
            draft=attempt.draft,
            probability=probability,
            is_closed=attempt.user_text.endswith(SENTENCE_ENDS),
        )
        self._log.emit(
            "judged",
            self._clock.now_frames(),
            attempt.turn,
            by="words",
            probability=round(probability, 4),
            closed=judged.is_closed,
        )
        self._post(judged)

    def _give(self, clause: str, attempt: Attempt) -> None:
        if clause.strip():
            attempt.clauses.append(clause)
            self._voice.put(SpeakJob(attempt=attempt, text=clause), attempt.token)
