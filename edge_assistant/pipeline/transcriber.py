"""Thread `stt`: what the user says, while he says it and when he pauses."""

from __future__ import annotations

from collections.abc import Callable

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.clock import SampleClock
from edge_assistant.llm.prompt import SENTENCE_ENDS
from edge_assistant.pipeline.jobs import ForgetJob, PartialJob, Post, SttJob, SwapJob, TranscribeJob
from edge_assistant.pipeline.scheduler import Scheduler, Work
from edge_assistant.stt.protocol import Forgetful, Recognizer
from edge_assistant.stt.running import Heard, RunningText, RunningTranscript
from edge_assistant.trace import EventLog
from edge_assistant.turns.events import PartialTranscribed, Transcribed
from edge_assistant.turns.phrases import repeats

_Range = tuple[int, int, int, tuple[int, ...]]


def _range_of(job: TranscribeJob | PartialJob) -> _Range:
    return job.from_frames, job.to_frames, job.pad_frames, job.breaks


class Transcriber:
    """Thread `stt`: the transcript of a turn, while it grows and when it pauses."""

    def __init__(
        self,
        recognizer: Recognizer,
        heard: Heard,
        post: Post,
        log: EventLog,
        clock: SampleClock,
        *,
        scheduler: Scheduler,
        spoken: Callable[[], str],
    ) -> None:
        self.engine = recognizer
        self._heard = heard
        self._running = RunningTranscript(heard)
        self._heard_last: tuple[_Range, RunningText] | None = None
        """The pass before: a draft may want what a look at the same sound has just found."""
        self._scheduler, self._spoken = scheduler, spoken
        self._post, self._log, self._clock = post, log, clock

    def handle(self, job: SttJob) -> None:
        match job:
            case SwapJob():
                self.engine.close()
                self.engine, self._heard_last = job.engine, None
            case ForgetJob():
                if isinstance(self.engine, Forgetful):
                    self.engine.forget()
                self._running, self._heard_last = RunningTranscript(self._heard), None
            case PartialJob():
                self._look(job)
            case TranscribeJob():
                self._transcribe(job)

    def _look(self, job: PartialJob) -> None:
        if not self._scheduler.plan(Work.PARTIAL, turn=job.turn).run:
            self._post(PartialTranscribed(turn=job.turn, ahead=""))
            return
        heard = self._hear(job)
        words = {"text": heard.text, "stable": heard.stable}
        self._log.emit("transcript", self._clock.now_frames(), job.turn, **words, final=False)
        is_whole = job.pad_frames > 0
        ahead = heard.text if is_whole else heard.ahead
        self._post(PartialTranscribed(turn=job.turn, ahead=ahead, is_whole=is_whole))

    def _hear(self, job: TranscribeJob | PartialJob) -> RunningText:
        if self._heard_last is not None and self._heard_last[0] == _range_of(job):
            return self._heard_last[1]
        new_s = (job.to_frames - self._running.open_frames(job.from_frames)) / SAMPLE_RATE
        with self._scheduler.busy("stt", audio_s=new_s):
            heard = self._running.hear(
                self.engine,
                job.from_frames,
                job.to_frames,
                job.breaks,
                job.token,
                pad_frames=job.pad_frames,
            )
        self._heard_last = (_range_of(job), heard)
        return heard

    def _transcribe(self, job: TranscribeJob) -> None:
        attempt = job.attempt
        self._scheduler.give_threads(self.engine, Work.FINAL, turn=attempt.turn)
        began = self._clock.now_s()
        text = self._hear(job).text
        attempt.timings["stt_s"] = round(self._clock.now_s() - began, 4)
        attempt.user_text = text
        attempt.speech_s = (job.to_frames - job.from_frames) / SAMPLE_RATE
        self._log.emit("transcript", self._clock.now_frames(), attempt.turn, text=text, final=True)
        is_echo = repeats(text, self._spoken())
        self._post(
            Transcribed(
                turn=attempt.turn,
                draft=attempt.draft,
                text=text,
                is_echo=is_echo,
                is_closed=text.endswith(SENTENCE_ENDS),
            )
        )
