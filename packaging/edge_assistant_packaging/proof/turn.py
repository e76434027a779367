"""One spoken turn through the command line, in a home of its own."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge_assistant_packaging.errors import ShippingError

if TYPE_CHECKING:
    from edge_assistant.config import Config

LONGEST_S: Final = 300.0
"""For a turn with its start; the starter pack takes ten seconds on two cores."""

_TELLTALES: Final = ("ORT_DISABLE_TELEMETRY", "CI", "PYTEST_CURRENT_TEST", "EDGE_ASSISTANT_OFFLINE")
"""Variables under which a library or the assistant holds back; the proof is without their help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Folders that a turn has to itself, so that everything it leaves there is its own."""

    folder: Path

    @property
    def user(self) -> Path:
        """What the turn may write to of its own accord: home, caches, state, `TMPDIR`."""
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """Its current folder."""
        return self.folder / "work"

    @property
    def reply(self) -> Path:
        """Where it is asked to write the loudspeaker's sound."""
        return self.folder / "asked" / "reply.wav"

    @property
    def speech(self) -> Path:
        """What the user says: not the turn's own, and not searched."""
        return self.folder / "said" / "user.wav"

    @property
    def config(self) -> Path:
        return self.folder / "said" / "config.toml"

    def make(self) -> None:
        for folder in (self.work, self.reply.parent, self.speech.parent, *self._own().values()):
            folder.mkdir(parents=True, exist_ok=True)
        self._own()["XDG_RUNTIME_DIR"].chmod(0o700)

    def environ(self, models: Path, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of this process without our settings, at home here."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("EDGE_ASSISTANT_", "XDG_")) and name not in _TELLTALES
        }
        own = {name: str(folder) for name, folder in self._own().items()}
        return {**kept, **own, "EDGE_ASSISTANT_MODELS_DIR": str(models), **extra}

    def _own(self) -> dict[str, Path]:
        return {
            "HOME": self.user,
            "TMPDIR": self.user / "tmp",
            "XDG_CACHE_HOME": self.user / "cache",
            "XDG_CONFIG_HOME": self.user / "config",
            "XDG_DATA_HOME": self.user / "data",
            "XDG_STATE_HOME": self.user / "state",
            "XDG_RUNTIME_DIR": self.user / "run",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What was said in a conversation, as its events tell it."""

    transcripts: tuple[str, ...]
    """The last one of every turn."""
    replies: tuple[str, ...]
    """What was committed of every turn, whole."""
    outcomes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "final transcript": list(self.transcripts),
            "final transcript sha256": _hash(self.transcripts),
            "committed reply": list(self.replies),
            "committed reply sha256": _hash(self.replies),
        }


def assistant() -> tuple[str, ...]:
    """The command line of the assistant that is proved: this one."""
    if getattr(sys, "frozen", False):  # a one-folder build is its own interpreter
        return (sys.executable,)
    return (sys.executable, "-m", "edge_assistant")


def command(program: Sequence[str], home: Home, events: str) -> list[str]:
    """`converse` over files; the configuration names everything, the temperature too."""
    return [
        *(*program, "converse", str(home.speech), str(home.reply)),
        *("--events", events, "--config", str(home.config)),
    ]


def write_config(config: Config, home: Home) -> None:
    """Write the configuration at temperature 0: only so are two replies bound to be the same."""
    from edge_assistant.config import dump

    home.config.write_text(dump(config.with_overrides({"llm.temperature": 0.0})), "utf-8")


def spoken(events: bytes, output: bytes) -> Spoken:
    """Read the events of a conversation.

    Raises:
        ShippingError: `proof-not-run`: no turn was held and answered, so that there is nothing to
            prove anything about.
    """
    transcripts: dict[int, str] = {}
    replies: dict[tuple[int, int], str] = {}
    committed: dict[int, int] = {}
    outcomes: dict[int, str] = {}
    for event in map(json.loads, events.splitlines()):
        turn = event.get("turn", 0)
        if event["event"] == "transcript" and event["final"]:
            transcripts[turn] = event["text"]
        elif event["event"] == "reply":
            key = (turn, event["draft"])
            replies[key] = replies.get(key, "") + event["text"]
        elif event["event"] == "committed":
            committed[turn] = event["draft"]
        elif event["event"] == "turn_finished":
            outcomes[turn] = event["outcome"]
    said = {turn: replies.get((turn, draft), "") for turn, draft in committed.items()}
    if not any(said[turn].strip() and transcripts.get(turn) for turn in said):
        last = output.decode(errors="replace").strip().splitlines()[-3:]
        raise ShippingError(
            "proof-not-run",
            f"no turn was held and answered: {' / '.join(last) or 'no reply was committed'}",
            "`edge-assistant doctor` says what is missing; --speech FILE gives another recording",
        )
    return Spoken(
        transcripts=tuple(transcripts.get(turn, "") for turn in sorted(said)),
        replies=tuple(said[turn] for turn in sorted(said)),
        outcomes=tuple(outcomes.get(turn, "") for turn in sorted(said)),
    )


def _hash(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
