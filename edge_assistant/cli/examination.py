"""What a bench was asked to do, kept beside its run so that it can be resumed and replayed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edge_assistant.errors import ConfigError, EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant.bench.clips import Clip, Pool
    from edge_assistant.bench.report.assemble import About
    from edge_assistant.bench.runner import System
    from edge_assistant.bench.trial import Trial

PLAN: Final = "plan.json"
SPEECH: Final = "speech"
"""Folder of the speech that was made for the run."""

OURS: Final = "edge-assistant"
_ASK_S: Final = 30.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One system of the plan."""

    name: str
    command: tuple[str, ...]
    takes_events: bool
    version: str = ""
    models: dict[str, str] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run needs to be made again."""

    systems: tuple[Asked, ...]
    scenarios: tuple[str, ...] = ()
    """What `scenarios.choice` reads; empty: all of them."""
    recordings: str = ""
    """A manifest, or a folder with a `manifest.jsonl`; empty: none."""
    has_made_speech: bool = True
    voice: tuple[str, ...] = ()
    """Command that makes speech; empty: our own."""
    size: Literal["quick", "standard", "full"] = "standard"
    count: int | None = None
    """Trials of each scenario, or condition that is named; None: as many as its size says."""
    seed: int = 0

    def trials(self, folder: Path) -> list[Trial]:
        """All trials, with their sound; makes the speech that is not in `folder` yet."""
        from edge_assistant.bench.scenarios import plan

        return plan(
            self._pools(folder), self.scenarios, self.seed, size=self.size, count=self.count
        )

    def _pools(self, folder: Path) -> list[Pool]:
        from edge_assistant.bench.clips import Pool, load_manifest
        from edge_assistant.bench.scenarios.texts import TEXTS

        openers = self._made(folder, [("opener", text) for text in TEXTS["opener"]])
        pools = []
        if self.recordings:
            pools.append(load_manifest(Path(self.recordings), openers))
        if self.has_made_speech:
            texts = [(k, text) for k, texts in TEXTS.items() if k != "opener" for text in texts]
            clips = self._made(folder, texts)
            pools.append(Pool(source="synthetic", clips=clips, openers=openers))
        return pools

    def _made(self, folder: Path, texts: list[tuple[str, str]]) -> tuple[Clip, ...]:
        from edge_assistant.bench.clips import VARIANTS, make_speech

        if self.voice:
            return make_speech(texts, folder / SPEECH, self.voice, ((),))
        ours = (sys.executable, "-m", "edge_assistant", "say", "{text}", "-o", "{file}")
        return make_speech(texts, folder / SPEECH, ours, VARIANTS)

    def runnable(self) -> list[System]:
        """The systems as the runner wants them."""
        from edge_assistant.bench.runner import System

        return [
            System(name=each.name, command=each.command, takes_events=each.takes_events)
            for each in self.systems
        ]

    def about(self) -> dict[str, About]:
        """What the report says of the systems."""
        from edge_assistant.bench.report.assemble import About

        return {each.name: About(version=each.version, models=each.models) for each in self.systems}

    def write(self, folder: Path) -> None:
        """Keep it beside the run."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PLAN).write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))


def read_plan(folder: Path) -> Plan:
    """What the run in `folder` was asked to do.

    Raises:
        EdgeAssistantError: there is no plan, or it cannot be read.
    """
    file = folder / PLAN
    hint = "name a folder that `edge-assistant bench -o` made"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Plan)
    except FileNotFoundError as error:
        raise EdgeAssistantError("file-missing", f"{file} is not there", hint) from error
    except msgspec.MsgspecError as error:
        raise EdgeAssistantError("bench-plan-invalid", f"{file}: {error}", hint) from error


def asked_systems(texts: Sequence[str], has_events: bool) -> tuple[Asked, ...]:
    """Systems of the command line: `COMMAND` or `NAME=COMMAND`; none means our own.

    Raises:
        ConfigError: a command that the shell could not read, or two of one name.
    """
    if not texts:
        ours = (sys.executable, "-m", "edge_assistant", "converse", "--pipe")
        return (_asked(OURS, ours, has_events=True),)
    found: list[Asked] = []
    for text in texts:
        named = re.match(r"([\w .+-]+)=(.+)$", text, re.DOTALL)
        try:
            command = tuple(shlex.split(named[2] if named else text))
        except ValueError as error:
            raise ConfigError(
                "bench-system", f"{text!r} is not a command: {error}", "close every quote"
            ) from error
        if not command:
            raise ConfigError("bench-system", "a system needs a command", "such as NAME=COMMAND")
        name = named[1].strip() if named else " ".join(command)
        if any(each.name == name for each in found):
            raise ConfigError(
                "bench-system", f"two systems are called {name}", "give them names: NAME=COMMAND"
            )
        found.append(_asked(name, command, has_events))
    return tuple(found)


def _asked(name: str, command: tuple[str, ...], has_events: bool) -> Asked:
    """Ask a build of ours for its version and models; a stranger is not asked anything."""
    if "converse" not in command or not any("edge" in word for word in command):
        return Asked(name=name, command=command, takes_events=has_events)
    at = command.index("converse")
    program, flags = command[:at], [word for word in command[at + 1 :] if word != "--pipe"]
    version = _answer([*program, "--version"]).strip().rpartition(" ")[2]
    shown = _answer([*program, "config", "show", "--json", *flags])
    try:
        config = json.loads(shown)
        models = {
            "stt": str(config["stt"]["model"]),
            "llm": str(config["llm"]["model"]),
            "voice": str(config["tts"]["voice"]),
        }
    except (ValueError, KeyError, TypeError):
        models = {}
    return Asked(name=name, command=command, takes_events=True, version=version, models=models)


def _answer(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""  # the report then says that it is not known; the run itself will show why
    return done.stdout
