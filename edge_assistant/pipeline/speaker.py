"""Thread `tts`: speech for each clause of a reply, into playout."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.audio.level import first_audible_frame
from edge_assistant.audio.playout import Playout
from edge_assistant.audio.resample import Resampler
from edge_assistant.clock import SampleClock
from edge_assistant.errors import GenerationError
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.jobs import ForgetJob, SwapJob, TtsJob
from edge_assistant.pipeline.scheduler import Scheduler
from edge_assistant.trace import EventLog
from edge_assistant.tts.normalise import speakable
from edge_assistant.tts.protocol import Forgetful, Voice

RECENT_CLAUSES: Final = 6
"""The voice is ahead of the loudspeaker by some clauses; an echo repeats one of these."""

_NOTHING: Final[Samples] = np.zeros(0, dtype=np.float32)


class Speaker:
    """Thread `tts`: speech for each clause, into playout."""

    def __init__(
        self,
        voice: Voice,
        playout: Playout,
        log: EventLog,
        clock: SampleClock,
        *,
        scheduler: Scheduler,
        language: str = "en",
    ) -> None:
        self.engine = voice
        self._playout, self._log, self._clock = playout, log, clock
        self._scheduler = scheduler
        self._language = language
        self._recent: tuple[str, ...] = ()

    def handle(self, job: TtsJob) -> None:
        if isinstance(job, ForgetJob):
            if isinstance(self.engine, Forgetful):
                self.engine.forget()
            self._recent = ()
            return
        if isinstance(job, SwapJob):
            self.engine.close()
            self.engine, self._language = job.engine, job.language
            return
        if job.text is not None:
            with self._scheduler.busy("tts"):
                self._speak(job.attempt, job.text)
            return
        if not job.attempt.has_audio:
            raise GenerationError(
                "empty-reply", "The reply holds nothing that can be spoken.", "ask in other words"
            )
        self._playout.finish(job.attempt.key)

    def recent(self) -> str:
        """The words of the last clauses; any thread."""
        return " ".join(self._recent)

    def _speak(self, attempt: Attempt, text: str) -> None:
        attempt.clauses_begun += 1
        spoken = speakable(text, self._language)
        if not spoken.strip():
            return
        self._recent = (*self._recent, spoken)[-RECENT_CLAUSES:]
        now, turn, draft = self._clock.now_frames(), attempt.turn, attempt.draft
        self._log.emit("reply", now, turn, draft=draft, text=text, spoken=spoken)
        began = self._clock.now_s()
        rate = self._playout.sample_rate
        # One resampler for all chunks: a sentence may come in slices, and each has no end.
        resampler = Resampler(self.engine.sample_rate, rate)
        frames_in = 0
        for chunk in self.engine.synthesize(spoken, attempt.token):
            if not len(chunk.samples):
                continue
            before, frames_in = frames_in, frames_in + len(chunk.samples)
            begin, end = (round(f * rate / resampler.from_rate) for f in (before, frames_in))
            attempt.add(spoken, chunk, end - begin)
            self._play(attempt, resampler.process(sanitize(chunk.samples)), began)
        self._play(attempt, resampler.process(_NOTHING, last=True), began)

    def _play(self, attempt: Attempt, samples: Samples, began: float) -> None:
        if not len(samples):
            return
        if not attempt.has_audio:
            attempt.timings["tts_s"] = round(self._clock.now_s() - began, 4)
            silence = first_audible_frame(samples) * SAMPLE_RATE
            attempt.marks.leading_silence_frames = silence // self._playout.sample_rate
            attempt.marks.ready_frames = self._clock.now_frames()
        self._playout.put(attempt.key, samples, attempt.token)
