"""One number out of many: how many points each part earns, and their weighted mean."""

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
        """Weighted mean over what was measured; None where that is nothing."""
        parts = [
            (weight, points)
            for weight, points in zip(weights, self.points, strict=True)
            if points is not None
        ]
        total = sum(weight for weight, _ in parts)
        return sum(w * p for w, p in parts) / total if total > 0 else None


def points_of(component: Component, value: float) -> float:
    """Linear from `bad` (0 points) to `good` (100), no more and no less."""
    share = (value - component.bad) / (component.good - component.bad)
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
    """Mean of the component's figures, each counting as often as it has trials."""
    parts = [
        (figure.n, figure.value)
        for figure in report.figures
        if figure.name == part.name
        and figure.scenario == part.scenario
        and figure.system == system
        and figure.source == source
        and (not part.conditions or figure.condition in part.conditions)
        and figure.value is not None
        and figure.n > 0
    ]
    total = sum(n for n, _ in parts)
    return sum(n * value for n, value in parts) / total if total else None
