"""The runner of the engine threads: nothing that it was given may outlive `stop`."""

from __future__ import annotations

import threading

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.pipeline.jobs import PrefillJob, SwapJob
from edge_assistant.pipeline.stage import Stage
from edge_assistant.tts.protocol import Voice
from tests.fakes.engines import FakeVoice, pause

HUNG_S = 20.0

Job = PrefillJob | SwapJob[Voice]


class Worker:
    """Works on a job until it is cancelled; puts another engine in place at once."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.swapped: list[Voice] = []

    def handle(self, job: Job) -> None:
        if isinstance(job, SwapJob):
            self.swapped.append(job.engine)
            return
        self.begun.set()
        pause(HUNG_S, job.token)


def never(stage: str, job: Job, error: EdgeAssistantError) -> None:
    raise AssertionError(error)


def test_a_job_that_was_taken_up_while_stopping_is_cancelled_too() -> None:
    worker = Worker()
    stage = Stage[Job]("llm", worker.handle, never)
    take = stage.channel.get

    def take_and_be_stopped() -> Job:
        job = take()
        stopper = threading.Thread(target=stage.stop, args=(0.0,))
        stopper.start()
        stopper.join(HUNG_S)
        return job

    stage.channel.get = take_and_be_stopped  # type: ignore[method-assign]
    stage.channel.offer(PrefillJob(token=CancelToken()))
    stage.start()
    assert stage.stop(HUNG_S / 2)


def test_an_engine_that_waits_to_be_put_in_place_gets_its_owner_before_the_end() -> None:
    worker = Worker()
    stage = Stage[Job]("tts", worker.handle, never)
    stage.start()
    stage.channel.offer(PrefillJob(token=CancelToken()))
    assert worker.begun.wait(HUNG_S)
    late, voice = PrefillJob(token=CancelToken()), FakeVoice()
    stage.channel.offer(late)
    stage.channel.offer(SwapJob(engine=voice))
    assert stage.stop(HUNG_S / 2)
    assert worker.swapped == [voice]
    assert late.token.is_cancelled
