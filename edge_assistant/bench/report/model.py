"""What a report holds, and its JSON.

Only values: nothing here measures. Durations end in `_s` and are on the sample clock of a trial.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from edge_assistant.bench.trial import Source
from edge_assistant.errors import EdgeAssistantError

SCHEMA: Final = "edge-assistant-bench/1"
"""Grows by optional fields; the number changes where an old reader would go wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it ran."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    """Operating system and kernel."""
    python: str
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that change what is measured."""
    load: float = 0.0
    """Highest load average that was seen at the end of a trial."""
    steal_s: float = 0.0
    """CPU time that the hypervisor took away, all trials together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One system that was driven."""

    name: str
    command: tuple[str, ...]
    version: str = ""
    models: dict[str, str] = field(default_factory=dict)
    """What it says it runs, such as {"stt": "moonshine-tiny-en"}; empty where it does not say."""
    trials: int = 0
    voids: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number, for one row of the report."""

    scenario: str
    condition: str
    """Empty: all conditions of the scenario."""
    source: Source
    system: str
    name: str
    """Metric, summary and row, such as `response_gap_p50[under 1.5 s]`."""
    value: float | None
    """None where nothing could be measured."""
    unit: str
    """`s`, `share` (0 to 1), or whatever stands behind the number."""
    n: int
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    voids: int = 0
    """Trials that were left out."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it measures, apart from the system."""
        return (self.scenario, self.condition, self.source, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Somebody speaks, or something sounds."""

    begin_s: float
    end_s: float
    who: str
    """`user`, `other` or `system`."""
    text: str = ""
    label: str = ""
    """Role and name of the clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that the system's own log says."""

    at_s: float
    name: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One conversation to look at and listen to; kept for the worst cases only."""

    step_s: float
    """Seconds for one value of the two envelopes."""
    user: bytes
    """Envelope of the microphone: 255 * sqrt(peak) for each step."""
    reply: bytes
    """Envelope of the loudspeaker, on the same clock."""
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    audio: bytes = b""
    """A FLAC file: left the user, right the reply. Never in the JSON."""
    audio_begin_s: float = 0.0
    """Where in the trial `audio` begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial of one system."""

    id: str
    scenario: str
    condition: str
    source: Source
    system: str
    seed: int
    outcome: str
    """In words, such as `answered`."""
    fault: float = 0.0
    """How bad it was: 0 nothing wrong, 1 as bad as the scale of the composite goes."""
    void: str = ""
    """Why it does not count."""
    gap_s: float | None = None
    """Response gap, where the scenario has one and there was a reply."""
    expects_gap: bool = False
    """It is a finished question: its gap is part of the distribution, its silence a fault."""
    values: dict[str, float] = field(default_factory=dict)
    """What else was measured in this trial."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of each stage of the gap, in order, by the system's own log."""
    timeline: Timeline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part of the composite score."""

    label: str
    name: str
    """Of the figure, that over all conditions of the scenario."""
    scenario: str
    good: float
    """Value that earns 100 points."""
    bad: float
    """Value that earns none; between them it is linear."""
    weight: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One system in a plane of two measures."""

    system: str
    across: Figure
    """A time that should be short."""
    far: Figure | None
    """A higher quantile of the same time."""
    up: Figure
    """A share that says what the shortness costs."""
    family: str = ""
    """Same for systems whose names differ in the last number only, such as `wait-*`; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The systems of a run by one share."""

    title: str
    points: tuple[Point, ...]
    """Two or more; those of a family in the order of their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """A time against the shares that it is bought with, for one source of speech."""

    title: str
    about: str
    """How to read it."""
    source: Source
    """Of the time; a sound that a recipe makes is `synthetic` beside recorded people too."""
    across: str
    """What the time is, in words."""
    far: str
    """What the higher quantile is, in words."""
    up: str
    """What the share is, in words."""
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run."""

    title: str
    date: str
    """ISO 8601, UTC."""
    bench_version: str
    seed: int
    machine: Machine
    systems: tuple[Examined, ...]
    figures: tuple[Figure, ...]
    trials: tuple[TrialRow, ...] = ()
    trade_offs: tuple[TradeOff, ...] = ()
    """Only where two systems or more were measured."""
    composite: tuple[Component, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know: norms that are missing, what was not run."""
    intervals: str = "95 %, percentile bootstrap over trials"
    limits: dict[str, float] = field(default_factory=dict)
    """Beyond which a trial counted as disturbed; empty where it is not known."""
    schema: str = SCHEMA

    @property
    def ranks(self) -> dict[str, int]:
        """Place of each system among all by its name; gives the order of rows, and the colour."""
        return {system.name: at for at, system in enumerate(self.systems)}


def to_json(report: Report) -> bytes:
    """The report as JSON, indented, without sound (the page carries that of the worst cases)."""
    silent = tuple(
        replace(row, timeline=replace(row.timeline, audio=b"")) if row.timeline else row
        for row in report.trials
    )
    raw = msgspec.json.encode(replace(report, trials=silent))
    return msgspec.json.format(raw, indent=1) + b"\n"


def from_json(raw: bytes, name: str = "report") -> Report:
    """Read what `to_json` wrote; fields that it does not know are passed over.

    Raises:
        EdgeAssistantError: it is not such a report, or one of a schema that we do not know.
    """
    hint = "give the report.json of a folder that `edge-assistant bench -o` wrote"
    try:
        head = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        schema = msgspec.json.decode(head.get("schema", msgspec.Raw(b'""')), type=str)
        if schema != SCHEMA:
            raise EdgeAssistantError(
                "bench-report-unknown",
                f"{name} has the schema {schema!r}, this version reads {SCHEMA!r}",
                hint,
            )
        return msgspec.json.decode(raw, type=Report)
    except msgspec.MsgspecError as error:
        raise EdgeAssistantError(
            "bench-report-invalid", f"{name} is not a report of the bench: {error}", hint
        ) from error


def read(path: Path) -> Report:
    """Read a report's file, or the `report.json` in a folder.

    Raises:
        EdgeAssistantError: there is none, or it cannot be read.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise EdgeAssistantError(
            "file-missing",
            f"{file} is not there",
            f"make it with: edge-assistant bench report {path}",
        ) from error
    return from_json(raw, str(file))
