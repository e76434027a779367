"""What a metric gives: observations of single trials, and measures over many of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_assistant.bench.trial import Outcome, Source, Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One observation that counts."""

    trial: str
    """Id of its trial: the unit that is resampled, since samples of one trial hang together."""
    value: float
    """A measurement in the metric's unit, 0 or 1 for a share, or a number of events."""
    exposure: float = 1.0
    """What the value is divided by in rates and ratios: seconds, hours, minutes or turns."""
    row: str = ""
    """Finer row within the group, such as the length of the utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """Something that was to be observed and does not count, and why."""

    trial: str
    reason: str
    row: str = ""


Observation = Sample | Void


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of the report, never without its n and what was left out."""

    name: str
    """Metric, summary and row, such as `response_gap_p50[under 1.5 s]`."""
    value: float | None
    """None where nothing could be observed: never 0."""
    unit: str
    n: int
    """Samples that count."""
    low: float | None = None
    """Ends of the interval; `Metric.kind` tells which kind of interval it is."""
    high: float | None = None
    voids: tuple[Void, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Trials that are summarised together. `source` is part of it: real and synthetic speech are
    never pooled."""

    system: str
    source: Source
    scenario: str
    condition: str = ""
    """Empty: all conditions of the scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a metric may know besides the outcome."""

    pace: Mapping[str, float] = field(default_factory=dict)
    """Letters a second of each system's voice, see `log.pace`."""
    backchannel_reference: NDArray[np.float64] | None = None
    """When people gave backchannels in the recording that was played, as a histogram over its
    length (any number of bins); Full-Duplex-Bench's JSD is left out without it."""


Kind = Literal["quantiles", "share", "rate", "ratio", "mean", "maximum"]
"""How samples become measures.

quantiles: `_p50`, `_p90`, `_p95`; bootstrap interval. share: Wilson interval. rate: events by
exposure; exact Poisson bounds. ratio: sum of values by sum of exposures; bootstrap. mean:
bootstrap. maximum: no interval.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A public metric."""

    name: str
    unit: str
    kind: Kind
    observe: Callable[[Outcome, Context], list[Observation]]
    applies: Callable[[Trial], bool]
    """Whether a trial is meant to be observed at all; where it is not, it is no void either."""
    scale: float = 1.0
    """Exposures to which a rate or ratio refers, such as 1000 for 'per 1,000 s'."""
    is_pooled: bool = True
    """Whether rows may be summarised together as well."""
