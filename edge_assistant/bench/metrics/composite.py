"""One number out of several, with its weights in sight. They are data: composite.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from edge_assistant.bench.metrics.values import Group, Measure
from edge_assistant.bench.trial import Source
from edge_assistant.errors import ConfigError

DEFAULT: Final = Path(__file__).with_name("composite.toml")


class Term(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A measure and what it weighs."""

    scenario: str
    measure: str
    """Name of a measure of that scenario, all its conditions together."""
    weight: Annotated[float, msgspec.Meta(gt=0)]
    good: float
    """Value that earns everything."""
    bad: float
    """Value that earns nothing; linear in between, and no more outside."""

    def __post_init__(self) -> None:
        if self.good == self.bad:
            raise ValueError(f"`good` and `bad` of {self.measure} are the same")

    def score(self, value: float) -> float:
        """Between 0 and 1."""
        return min(1.0, max(0.0, (self.bad - value) / (self.bad - self.good)))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: Annotated[tuple[Term, ...], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """The score of one system on one source of speech."""

    system: str
    source: Source
    score: float | None
    """0 to 1; None as soon as one term is missing: a score over what was left is another score."""
    scores: tuple[tuple[Term, float], ...]
    """Of each term that was measured."""
    missing: tuple[Term, ...]


def read_terms(path: Path = DEFAULT) -> tuple[Term, ...]:
    """The terms of a file like composite.toml.

    Raises:
        ConfigError: it cannot be read, or is not such a file.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=_File).terms
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(
            "bench-weights", f"{path}: {error}", f"write it after the pattern of {DEFAULT}"
        ) from error


def composite(table: Mapping[Group, Sequence[Measure]], terms: Sequence[Term]) -> list[Composite]:
    """One score for each system and source; real and synthetic speech are never put together.

    Args:
        table: what `summarise(..., by_condition=False)` gave.
        terms: weights.
    """
    values = {
        (group.system, group.source, group.scenario, measure.name): measure.value
        for group, measures in table.items()
        for measure in measures
        if not group.condition
    }
    keys = dict.fromkeys((group.system, group.source) for group in table)
    found = []
    for system, source in keys:
        scores: list[tuple[Term, float]] = []
        missing: list[Term] = []
        for term in terms:
            value = values.get((system, source, term.scenario, term.measure))
            if value is None:
                missing.append(term)
            else:
                scores.append((term, term.score(value)))
        weight = sum(term.weight for term, _ in scores)
        total = sum(term.weight * score for term, score in scores)
        found.append(
            Composite(
                system=system,
                source=source,
                score=None if missing else total / weight,
                scores=tuple(scores),
                missing=tuple(missing),
            )
        )
    return found
