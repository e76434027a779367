"""What a proof found, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Verdict = Literal["held", "breached", "incomplete"]

_SHOWN: Final = 20
"""Entries of a list that a person is shown; the JSON has all of them."""


@dataclass(slots=True, kw_only=True)
class Proof:
    """One proof, as it comes about."""

    subject: str
    checked: dict[str, Any] = field(default_factory=dict)
    """What was looked at, and what was seen."""
    breaches: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    """What should have been looked at and could not be, here and now."""
    limits: list[str] = field(default_factory=list)
    """What this kind of proof never sees."""

    @property
    def verdict(self) -> Verdict:
        """Held only where nothing was found and everything was looked at."""
        if self.breaches:
            return "breached"
        return "incomplete" if self.unchecked else "held"

    def to_json(self) -> dict[str, Any]:
        """The whole of it."""
        return {
            "subject": self.subject,
            "verdict": self.verdict,
            "checked": self.checked,
            "breaches": self.breaches,
            "unchecked": self.unchecked,
            "limits": self.limits,
        }

    def to_text(self) -> str:
        """For a terminal: what was checked, what was found, the verdict last."""
        lines = [f"prove --{self.subject}", *_lines(self.checked, "  ")]
        for title, entries in (
            ("not looked at by this proof", self.limits),
            ("could not be checked here", self.unchecked),
            ("BREACH", self.breaches),
        ):
            if entries:
                lines += [f"{title}:", *(f"  - {entry}" for entry in entries)]
        return "\n".join([*lines, f"verdict: {self.verdict}"])


def _lines(value: dict[str, Any], indent: str) -> Iterator[str]:
    for name, entry in value.items():
        if isinstance(entry, dict) and entry:
            yield f"{indent}{name}:"
            yield from _lines(entry, f"{indent}  ")
        elif isinstance(entry, list | tuple) and entry:
            yield f"{indent}{name}:"
            yield from (f"{indent}  {each}" for each in entry[:_SHOWN])
            if len(entry) > _SHOWN:
                yield f"{indent}  ... and {len(entry) - _SHOWN} more (--json has them)"
        else:
            yield f"{indent}{name}: {_plain(entry)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, {}, [], ()) else str(value)
