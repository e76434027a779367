"""Thread `judge`: what the turn detector says of a pause."""

from __future__ import annotations

from edge_assistant.clock import SampleClock
from edge_assistant.pipeline.jobs import JudgeJob, Post
from edge_assistant.pipeline.scheduler import Scheduler
from edge_assistant.stt.running import Heard
from edge_assistant.trace import EventLog
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.turns.events import TurnJudged


class Judge:
    """Thread `judge`: asks the turn detector about a pause."""

    def __init__(
        self,
        detector: TurnDetector,
        heard: Heard,
        post: Post,
        log: EventLog,
        clock: SampleClock,
        scheduler: Scheduler,
    ) -> None:
        self._detector, self._heard, self._post = detector, heard, post
        self._log, self._clock, self._scheduler = log, clock, scheduler

    def handle(self, job: JudgeJob) -> None:
        audio = self._heard(job.from_frames, job.to_frames)
        with self._scheduler.busy("judge"):
            probability = self._detector.end_probability(audio, job.token)
        now = self._clock.now_frames()
        self._log.emit("judged", now, job.turn, by="sound", probability=round(probability, 4))
        self._post(TurnJudged(turn=job.turn, paused_frames=job.to_frames, probability=probability))
