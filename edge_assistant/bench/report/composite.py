"""One number out of many: the points of each part and their weighted mean, as the page shows them.

The terms are those of `metrics.composite`; here they meet the figures of a report, so that a report
that was read from JSON can be scored again.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_assistant.bench.report.model import Component, Report
from edge_assistant.bench.report.pick import groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """What one system earns from one source, for each component of the report, in order."""

    system: str
    source: str
    values: tuple[float | None, ...]
    """As measured; None where it was not."""
    points: tuple[float | None, ...]
    """0 to 100."""

    def score(self, weights: tuple[float, ...]) -> float | None:
        """Weighted mean; None as soon as something that weighs was not measured.

        A score over what is left would be another score: give the missing part no weight, and it
        is said in the open.
        """
        parts = [(w, p) for w, p in zip(weights, self.points, strict=True) if w > 0]
        total = sum(weight for weight, _ in parts)
        if total <= 0 or any(points is None for _, points in parts):
            return None
        return sum(weight * (points or 0.0) for weight, points in parts) / total


def points_of(component: Component, value: float) -> float:
    """Linear from `bad` (0 points) to `good` (100), no more and no less."""
    share = (component.bad - value) / (component.bad - component.good)
    return 100 * min(max(share, 0.0), 1.0)


def table(report: Report) -> list[Points]:
    """The points of every system and source that has any."""
    found = []
    for system, source in groups(report):
        values = tuple(_value(report, part, system, source) for part in report.composite)
        if all(value is None for value in values):
            continue
        points = tuple(
            None if value is None else points_of(part, value)
            for part, value in zip(report.composite, values, strict=True)
        )
        found.append(Points(system=system, source=source, values=values, points=points))
    return found


def _value(report: Report, part: Component, system: str, source: str) -> float | None:
    """The component's figure over all conditions of its scenario."""
    for figure in report.figures:
        if (figure.system, figure.source, figure.condition) == (system, source, "") and (
            figure.scenario,
            figure.name,
        ) == (part.scenario, part.name):
            return figure.value
    return None
