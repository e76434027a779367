"""What every measured engine has: a first call, a measurement, and jobs to be aborted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Heard, Reading, Round, Stage
from edge_assistant.engine_bench.speech import Clip
from edge_assistant.engine_bench.wer import edits, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where one engine's values of one round are written down, as they come."""

    round: Round
    stage: Stage
    model: str

    def put(self, metric: str, value: float) -> None:
        """Write down one value."""
        self.round.readings.append(
            Reading(stage=self.stage, metric=metric, model=self.model, value=value)
        )

    def hear(self, clip: Clip, text: str) -> None:
        """Write down how many words of a clip are wrong in `text`."""
        expected = words(clip.text)
        self.round.heard.append(
            Heard(
                model=self.model,
                clip=clip.name,
                kind=clip.kind,
                edits=edits(expected, words(text)),
                words=len(expected),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work to be aborted."""

    name: str
    """Of the figure: a key of `METRICS["abort"]`."""
    run: Callable[[CancelToken, Callable[[], None]], None]
    """Does the work; calls its second argument where the part begins that is to be aborted."""


class Probe(Protocol):
    """One engine, ready to be measured. One thread at a time; `measure` may raise what the engine
    raises, and TurnCancelled."""

    def first_call(self, token: CancelToken) -> None:
        """The engine's very first work: what is slow only once must not be in the figures."""
        ...

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """Everything about this engine once."""
        ...

    def jobs(self) -> tuple[Job, ...]:
        """Work whose abort is measured; none for an engine that is never cancelled."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
