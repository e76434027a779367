"""`edge-assistant doctor`: what is installed, what is missing, and the command that mends it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import click

from edge_assistant import __version__
from edge_assistant.cli.output import emit, out
from edge_assistant.cli.probes import probe_devices, probe_engines
from edge_assistant.cli.voice_told import GPL_PACKAGES, speaks_by_program, told_of_program
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant.config import Config
    from edge_assistant.store.entry import Kind

State = Literal["ok", "missing", "note"]

_MARKS = {"ok": ("green", "ok"), "missing": ("red", "missing"), "note": ("yellow", "note")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    topic: str
    name: str
    state: State
    """`missing` keeps the assistant from talking; a `note` does not."""
    detail: str
    mend: str = ""
    """The command that mends it; empty where nothing is wrong."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--config", "config_file", type=click.Path(), help="Configuration to look at.")
@click.option("--profile", help="Profile to look at.")
def doctor(as_json: bool, config_file: str | None, profile: str | None) -> int:
    """Say what is installed, what is missing, and how to mend it.

    Exits with 1 if the assistant cannot talk as it is configured.
    """
    findings = list(examine(config_file, profile))
    can_talk = all(finding.state != "missing" for finding in findings)
    if as_json:
        emit({"can_talk": can_talk, "findings": [asdict(finding) for finding in findings]})
    else:
        _print(findings, can_talk)
    return 0 if can_talk else 1


def examine(config_file: str | None, profile: str | None) -> Iterator[Finding]:
    """Look at everything, cheapest first."""
    yield Finding(
        topic="program",
        name="edge-assistant",
        state="ok",
        detail=f"{__version__}, Python {platform.python_version()}, {platform.platform()}",
    )
    config = _loaded(config_file, profile)
    unneeded = _unneeded_engines(config)
    for engine in probe_engines():
        is_spared = engine.name in unneeded
        yield Finding(
            topic="engine",
            name=engine.name,
            state="ok" if engine.works else "note" if is_spared else "missing",
            detail=engine.detail,
            mend="" if engine.works or is_spared else engine.mend,
        )
    yield _compiler()
    yield from _devices()
    yield from _configured(config)


def _unneeded_engines(config: Config | EdgeAssistantError) -> frozenset[str]:
    """What may be missing, because a program of the system speaks."""
    if isinstance(config, EdgeAssistantError) or not speaks_by_program(config):
        return frozenset()
    return frozenset(GPL_PACKAGES.values())


def _loaded(config_file: str | None, profile: str | None) -> Config | EdgeAssistantError:
    from pathlib import Path

    from edge_assistant.config import load

    try:
        return load(Path(config_file) if config_file else None, profile)
    except EdgeAssistantError as error:
        return error


def _compiler() -> Finding:
    found = [path for path in (shutil.which("cc"), shutil.which("c++")) if path]
    mend = (
        "xcode-select --install" if sys.platform == "darwin" else "sudo apt install build-essential"
    )
    return Finding(
        topic="build",
        name="C and C++ compiler",
        state="ok" if len(found) == 2 else "note",
        detail=", ".join(found) or "none; needed only to compile llama.cpp again",
        mend="" if len(found) == 2 else mend,
    )


def _devices() -> Iterator[Finding]:
    for device in probe_devices():
        yield Finding(
            topic="sound",
            name=device.name,
            state="ok" if device.works else "missing",
            detail=device.detail,
            mend=device.mend,
        )


def _configured(config: Config | EdgeAssistantError) -> Iterator[Finding]:
    from edge_assistant.config import config_paths
    from edge_assistant.store.programs import program_path

    own = config_paths()[1]
    if isinstance(config, EdgeAssistantError):
        yield Finding(
            topic="config", name="file", state="missing", detail=config.message, mend=config.hint
        )
        return
    where = str(own) if own.is_file() else f"no file of yours ({own})"
    yield Finding(
        topic="config", name="file", state="ok", detail=f"{where}, profile {config.profile}"
    )
    if speaks_by_program(config) and program_path() is not None:  # else its model is missing
        yield Finding(topic="voice", name="program", state="ok", detail=told_of_program())
    yield from _models(config)


def _models(config: Config) -> Iterator[Finding]:
    from edge_assistant.store.store import Store

    store = Store.default()
    targets: dict[Kind, str] = {
        "stt": config.stt.model,
        "llm": config.llm.model,
        "tts": config.tts.voice,
        "turn_detector": config.turn_detector.model,
        "vad": "silero-vad" if config.vad.engine == "silero" else "none",
    }
    for kind, target in targets.items():
        if target == "none":  # switched off
            continue
        try:
            installed = store.open(target, kind)
        except EdgeAssistantError as error:
            yield Finding(
                topic="model", name=kind, state="missing", detail=error.message, mend=error.hint
            )
        else:
            size = sum(path.stat().st_size for path in installed.paths.values())
            detail = f"{target}, {size / 1e6:.0f} MB, {installed.entry.licence}"
            yield Finding(topic="model", name=kind, state="ok", detail=detail)


def _print(findings: list[Finding], can_talk: bool) -> None:
    if sys.stdout.isatty():
        _print_table(findings)
    else:
        for finding in findings:
            click.echo(f"{finding.state}\t{finding.topic}\t{finding.name}\t{finding.detail}")
            if finding.mend:
                click.echo(f"mend\t{finding.topic}\t{finding.name}\t{finding.mend}")
    click.echo("It can talk." if can_talk else "It cannot talk yet: mend what is missing above.")


def _print_table(findings: list[Finding]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 1))
    for _ in range(4):
        table.add_column(overflow="fold")
    for finding in findings:
        color, mark = _MARKS[finding.state]
        detail = escape(finding.detail)
        if finding.mend:
            detail += f"\n[bold]{escape(finding.mend)}[/]"
        table.add_row(f"[{color}]{mark}[/]", escape(finding.topic), escape(finding.name), detail)
    out().print(table)
