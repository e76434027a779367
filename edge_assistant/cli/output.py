"""What the verbs say: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.errors import AudioFormatError, EdgeAssistantError

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> Console:
    """Rich on stdout, for results that a person reads. It honours NO_COLOR and FORCE_COLOR."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


@cache
def err() -> Console:
    """Rich on stderr, for progress and notes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def emit(value: Any) -> None:
    """One JSON document on stdout, for machines."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def require_writable(path: Path) -> None:
    """Find out beforehand that a sound file cannot be written; libsndfile does not say why.

    Raises:
        AudioFormatError: it is a folder, or its folder is not there or not ours.
    """
    if path.is_dir():
        fault = "it is a folder"
    elif not path.parent.is_dir():
        fault = f"there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        fault = "that is not allowed"
    else:
        return
    raise AudioFormatError(
        "sound-file-unwritable", f"{path} cannot be written: {fault}", "choose another place"
    )


def note(text: str) -> None:
    """A line for the person at the terminal."""
    click.echo(text, err=True)


def progress(text: str) -> None:
    """One line that is written over by the next; empty at the end. For people at stderr only."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def report(error: EdgeAssistantError) -> None:
    """`error [code]: message` and, below it, the way out."""
    _print_error(error.code, error.message)
    if error.hint:
        click.echo(f"hint: {_one_line(error.hint)}", err=True)


def report_unexpected(error: BaseException) -> None:
    """An exception that nobody expected, in one line."""
    _print_error("internal", f"{type(error).__name__}: {error}")
    click.echo("hint: `edge-assistant --debug ...` shows where; please report it", err=True)


def _print_error(code: str, message: str) -> None:
    label = f"error [{code}]:"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        label = click.style(label, fg="red", bold=True)
    click.echo(f"{label} {_one_line(message)}", err=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
