"""What a proof is about, and its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_assistant_packaging.proof import enclosure, turn
from edge_assistant_packaging.proof.enclosure import Ran, Watch
from edge_assistant_packaging.proof.turn import Home, Spoken

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


def hold(
    subject: Subject,
    home: Home,
    watch: Watch,
    *,
    calls: Sequence[str] = enclosure.SOCKET_CALLS,
    is_cut_off: bool,
) -> tuple[Ran, Spoken]:
    """Let the assistant be spoken to once, in a home that is made for it; `enclosure.run` tells of
    `watch`, `calls`, `is_cut_off` and errors."""
    from edge_assistant.audio.files import write_wav

    home.make()
    write_wav(home.speech, subject.speech)
    turn.write_config(subject.config, home)
    ran = enclosure.run(
        lambda events: turn.command(subject.program, home, events),
        environ=home.environ(subject.models, subject.environ),
        folder=home.work,
        watch=watch,
        calls=calls,
        is_cut_off=is_cut_off,
        longest_s=subject.longest_s,
    )
    return ran, turn.spoken(ran.events, ran.output)
