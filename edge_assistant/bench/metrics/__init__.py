"""The metrics of the bench: pure functions from outcomes to values with their n and their voids.

docs/bench-metrics.md defines every one of them.
"""

from __future__ import annotations

from edge_assistant.bench.metrics.composite import Composite, Term, composite, read_terms
from edge_assistant.bench.metrics.registry import (
    METRICS,
    context_of,
    groups,
    observe,
    summarise,
    trial_values,
)
from edge_assistant.bench.metrics.values import (
    Context,
    Group,
    Measure,
    Metric,
    Observation,
    Sample,
    Void,
)

__all__ = [
    "METRICS",
    "Composite",
    "Context",
    "Group",
    "Measure",
    "Metric",
    "Observation",
    "Sample",
    "Term",
    "Void",
    "composite",
    "context_of",
    "groups",
    "observe",
    "read_terms",
    "summarise",
    "trial_values",
]
