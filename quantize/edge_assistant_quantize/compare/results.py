"""What a comparison gives: figures with intervals, verdicts, and what they rest on."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from edge_assistant.bench.machine import Machine
from edge_assistant.engine_bench.readings import Failure, Round
from edge_assistant_quantize.compare.messages import Answered, Candidate, Subject

SCHEMA: Final = "edge-assistant-compare/1"
"""Grows by optional fields; the number changes where an old reader would go wrong."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one model."""

    value: float
    low: float | None = None
    """Ends of the 95 % interval; None where there are too few trials for one."""
    high: float | None = None
    n: int = 1
    versus: float | None = None
    """Beside the reference, as the line's `versus` says; None for the reference itself."""
    versus_low: float | None = None
    versus_high: float | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of all models."""

    key: str
    title: str
    unit: str
    better: Literal["less", "more", ""]
    versus: Literal["ratio", "difference", ""]
    """`ratio`: model / reference; `difference`: model - reference."""
    values: dict[str, Value]
    """By the model's label; without those that could not be measured."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One recording, and what each recogniser made of it."""

    clip: str
    kind: str
    text: str
    texts: dict[str, str]
    """By the model's label."""
    edits: dict[str, int]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the rule says of one model."""

    label: str
    text: str
    is_within: bool
    """Inside all limits; the reference always is."""
    is_on_front: bool
    """No other model is at least as good in size, speed and quality, and better in one."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What to take, and why."""

    pick: str
    """Label of the model."""
    headline: str
    rule: str
    verdicts: list[Verdict]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one comparison; its JSON."""

    schema: str = SCHEMA
    started: str
    version: str
    machine: Machine
    kind: Subject
    models: list[Candidate]
    """The reference first."""
    repeats: int
    seed: int
    lines: list[Line]
    recommendation: Recommendation
    notes: list[str]
    """What was left out, and why; what was disturbed."""
    failures: list[Failure]
    answers: dict[str, list[Answered]]
    """llm: replies to the tasks, by label."""
    heard: list[Heard]
    """stt: the recordings."""
    rounds: list[Round]

    @property
    def reference(self) -> str:
        """Label of the model that the others are held against."""
        return self.models[0].label


def find(lines: list[Line], *keys: str) -> Line | None:
    """The first of these figures that there is."""
    by_key = {line.key: line for line in lines}
    return next((by_key[key] for key in keys if key in by_key), None)
