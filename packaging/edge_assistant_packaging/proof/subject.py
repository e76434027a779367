"""What a proof is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_assistant_packaging.proof import turn

if TYPE_CHECKING:
    from edge_assistant.audio.format import Samples
    from edge_assistant.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is proved, and with what speech."""

    config: Config
    models: Path
    """Folder of the store."""
    speech: Samples
    """Float32, (frames,), 16000 Hz."""
    program: tuple[str, ...] = field(default_factory=lambda: turn.assistant())
    """The command line of the assistant."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Laid over the environment of the turn."""
    longest_s: float = turn.LONGEST_S
