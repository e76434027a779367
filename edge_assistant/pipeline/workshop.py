"""The engine threads `judge`, `stt`, `llm` and `tts`, and the channels between them."""

from __future__ import annotations

from collections.abc import Callable

from edge_assistant.audio.playout import Playout
from edge_assistant.clock import SampleClock
from edge_assistant.errors import EdgeAssistantError, PipelineError
from edge_assistant.llm.history import History
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.jobs import (
    AnswerJob,
    ForgetJob,
    JudgeJob,
    LlmJob,
    PartialJob,
    Post,
    PrefillJob,
    ReadJob,
    SpeakJob,
    SttJob,
    SwapJob,
    TranscribeJob,
    TtsJob,
)
from edge_assistant.pipeline.judge import Judge
from edge_assistant.pipeline.loading import Engines
from edge_assistant.pipeline.scheduler import Scheduler
from edge_assistant.pipeline.speaker import Speaker
from edge_assistant.pipeline.stage import Stage
from edge_assistant.pipeline.thinker import Thinker
from edge_assistant.pipeline.tokens import TokenLedger
from edge_assistant.pipeline.transcriber import Transcriber
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.stt.running import Heard
from edge_assistant.trace import EventLog
from edge_assistant.tts.protocol import Voice

OnAttemptFailed = Callable[[str, Attempt, EdgeAssistantError], None]
AnyJob = (
    JudgeJob
    | TranscribeJob
    | PartialJob
    | AnswerJob
    | PrefillJob
    | ReadJob
    | SpeakJob
    | SwapJob[Recognizer]
    | SwapJob[LanguageModel]
    | SwapJob[Voice]
    | ForgetJob
)


class Workshop:
    """Owns the engines from `start` to `stop`; each is used by its own thread only.

    One that another takes the place of is closed by that thread too; `stop` closes the rest, each
    once its thread has ended.
    """

    def __init__(
        self,
        engines: Engines,
        *,
        heard: Heard,
        post: Post,
        report: Callable[[EdgeAssistantError], None],
        playout: Playout,
        history: History,
        log: EventLog,
        clock: SampleClock,
        scheduler: Scheduler,
        system_prompt: str,
    ) -> None:
        self._engines = engines
        self._report = report
        self._on_attempt_failed: OnAttemptFailed | None = None
        self.tokens = TokenLedger()
        self.judge: Stage[JudgeJob] | None = None
        if engines.turn_detector is not None:
            judge = Judge(engines.turn_detector, heard, post, log, clock, scheduler)
            self.judge = Stage("judge", judge.handle, self._failed, capacity=4)
        self._speaker = Speaker(
            engines.voice, playout, log, clock, scheduler=scheduler, language=engines.language
        )
        self._transcriber = Transcriber(
            engines.recognizer,
            heard,
            post,
            log,
            clock,
            scheduler=scheduler,
            spoken=self._speaker.recent,
        )
        self.stt: Stage[SttJob] = Stage("stt", self._transcriber.handle, self._failed, capacity=8)
        self.tts: Stage[TtsJob] = Stage("tts", self._speaker.handle, self._failed, capacity=32)
        self._thinker = Thinker(
            engines.llm,
            history=history,
            system_prompt=system_prompt,
            voice=self.tts.channel,
            tokens=self.tokens,
            post=post,
            log=log,
            clock=clock,
            scheduler=scheduler,
        )
        self.llm: Stage[LlmJob] = Stage("llm", self._thinker.handle, self._failed, capacity=8)

    def start(self, on_attempt_failed: OnAttemptFailed) -> None:
        """Start the threads; `on_attempt_failed` is called on the thread of the failing stage."""
        self._on_attempt_failed = on_attempt_failed
        self._thinker.tell_prompt()
        for stage in (self.judge, self.stt, self.llm, self.tts):
            if stage is not None:
                stage.start()

    def stop(self, timeout_s: float) -> list[str]:
        """Stop the threads and close their engines; returns the names of those that hang."""
        hung = []
        ends = (
            (self.stt, self._transcriber),
            (self.llm, self._thinker),
            (self.tts, self._speaker),
        )
        for stage, worker in ends:
            if stage.stop(timeout_s):
                worker.engine.close()
            else:
                hung.append(stage.name)
        if self.judge is not None and self._engines.turn_detector is not None:
            if self.judge.stop(timeout_s):
                self._engines.turn_detector.close()
            else:
                hung.append(self.judge.name)
        return hung

    def use_recognizer(self, engine: Recognizer) -> None:
        self._swap(self.stt.channel.offer(SwapJob(engine=engine)), engine)

    def use_llm(self, engine: LanguageModel, system_prompt: str) -> None:
        job = SwapJob(engine=engine, system_prompt=system_prompt)
        self._swap(self.llm.channel.offer(job), engine)

    def use_voice(self, engine: Voice, language: str) -> None:
        job = SwapJob(engine=engine, language=language)
        self._swap(self.tts.channel.offer(job), engine)

    def peaks(self) -> dict[str, int]:
        """The fullest that each channel has been."""
        stages = (self.judge, self.stt, self.llm, self.tts)
        return {s.name: s.channel.statistics().peak for s in stages if s is not None}

    def _swap(self, is_taken: bool, engine: Recognizer | LanguageModel | Voice) -> None:
        if not is_taken:
            engine.close()
            raise PipelineError(
                "stage-stalled", "The engine's channel is full or closed.", "try again"
            )

    def _failed(self, stage: str, job: AnyJob, error: EdgeAssistantError) -> None:
        if isinstance(job, TranscribeJob | AnswerJob | SpeakJob) and self._on_attempt_failed:
            self._on_attempt_failed(stage, job.attempt, error)
        else:
            self._report(error)
