"""What a trial's values mean in words, and how bad they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from edge_assistant.bench.metrics import Term

_QUANTILES: Final = ("_p50", "_p90", "_p95")

_Test = Callable[[float], bool]


def _positive(value: float) -> bool:
    return value > 0


def _below_one(value: float) -> bool:
    return value < 1


_FAULTS: Final[tuple[tuple[str, _Test, str], ...]] = (
    ("phantom_replies", _positive, "spoke though nobody had spoken to it"),
    ("self_interruptions", _positive, "interrupted itself"),
    ("pause_take_any", _positive, "began to speak in a pause of the user"),
    ("false_start", _positive, "began before the user had ended"),
    ("stopped", _below_one, "went on against the user"),
    ("answered_audibly", _below_one, "fell silent and did not answer"),
    ("floor_kept[backchannel]", _below_one, "gave way to a backchannel"),
    ("floor_kept[noise]", _below_one, "gave way to a noise"),
    ("floor_kept_under_echo", _below_one, "silenced by its own echo"),
    ("takeover", _below_one, "gave no answer"),
)
"""(metric, test of its mean in the trial, words), the gravest first."""

_GRAVE: Final = frozenset({"phantom_replies", "self_interruptions", "false_start"})
"""Faults that no term of the composite weighs."""


def outcome_of(values: Mapping[str, float], *, asks: bool) -> str:
    """The gravest fault in words; otherwise what went well.

    Args:
        values: of the trial, by metric.
        asks: the trial waits for an answer. Others may end before it comes.
    """
    for name, is_fault, words in _FAULTS:
        if name in values and is_fault(values[name]) and (asks or name != "takeover"):
            return words
    if "stopped" in values:
        return "fell silent for the user"
    if "pause_take_any" in values:
        return "waited through the pause"
    if asks and "response_gap" in values:
        return f"answered after {values['response_gap']:.2f} s"
    if any(name.startswith("floor_kept") for name in values):
        return "kept talking"
    return "nothing to judge"


def fault_of(values: Mapping[str, float], terms: Sequence[Term], scenario: str) -> float:
    """0 to 1: the most that a term of the scenario, or a fault that no term weighs, takes away."""
    worst = 0.0
    for term in terms:
        if term.scenario != scenario:
            continue
        name = term.measure
        for quantile in _QUANTILES:
            name = name.removesuffix(quantile)
        if name in values:
            worst = max(worst, 1.0 - term.score(values[name]))
    for name, is_fault, _ in _FAULTS:
        if name in _GRAVE and name in values and is_fault(values[name]):
            worst = 1.0
    return worst
