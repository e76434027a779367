"""What people and the assistant say in a screenplay, and the clock that they say it by."""

from __future__ import annotations

from dataclasses import dataclass

from edge_assistant.audio.playout import Key

CLAUSES = 4
"""Of every reply."""


class VirtualClock:
    """A clock that the screenplay moves."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something that the user says, or a noise (no text)."""

    start_s: float
    end_s: float
    text: str
    is_echo: bool = False
    """It is the loudspeaker that was heard."""


def voice_of(key: Key) -> float:
    """The sample value that stands for a reply's voice."""
    return 0.1 * (key[0] % 8) + 0.01 * key[1]


def clause_of(key: Key, number: int) -> str:
    """Two words that name the reply they belong to."""
    return f"{key[0]}-{key[1]}-{number}a {key[0]}-{key[1]}-{number}b"
