"""What the verbs of the model workshop share: its modules, its progress, its results."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import output
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant_quantize.made import Made, Progress, TypeShare


def workshop(module: str) -> ModuleType:
    """Import a module of `edge_assistant_quantize`.

    Raises:
        EdgeAssistantError: `workshop-missing` (WorkshopError, where there is one): its libraries
            are not installed.
    """
    error_class: type[EdgeAssistantError] = EdgeAssistantError
    try:
        from edge_assistant_quantize.errors import WorkshopError

        error_class = WorkshopError
        return importlib.import_module(f"edge_assistant_quantize.{module}")
    except ImportError as error:
        raise error_class(
            "workshop-missing",
            f"the libraries of the model workshop are not installed ({error})",
            'pip install "edge-assistant[quantize]"',
        ) from error


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Draw a bar for each step on a terminal, print a line a step elsewhere; always on stderr."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _lines()
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.err()) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=1.0)
            bars.update(tasks[what], completed=share)

        yield tell


def _lines() -> Progress:
    told: set[str] = set()

    def tell(what: str, share: float) -> None:
        del share
        if what not in told:
            told.add(what)
            output.note(f"{what} ...")

    return tell


def report(made: Made, *, as_json: bool) -> None:
    """Say what was made, and which types its tensors really got."""
    if as_json:
        output.emit(made_dict(made))
        return
    if sys.stdout.isatty():
        output.out().print(_table(made))
    else:
        for share in made.types:
            click.echo("\t".join(_cells(share, made)))
    for text in made.notes:
        output.note(f"note: {text}")
    before, after = made.source_bytes, made.size_bytes
    change = f", {100 * after / before:.0f} % of the source" if before else ""
    output.note(f"{made.path}: {after / 1e6:.1f} MB{change}, in {made.took_s:.1f} s")


def made_dict(made: Made) -> dict[str, Any]:
    """For machines."""
    return {
        "path": str(made.path),
        "size_bytes": made.size_bytes,
        "source_bytes": made.source_bytes,
        "took_s": made.took_s,
        "types": [
            {"type": each.type_name, "tensors": each.tensors, "size_bytes": each.size_bytes}
            for each in made.types
        ],
        "notes": list(made.notes),
    }


def _table(made: Made) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("type")
    for name in ("tensors", "size", "share"):
        table.add_column(name, justify="right")
    for share in made.types:
        table.add_row(*_cells(share, made))
    return table


def _cells(share: TypeShare, made: Made) -> tuple[str, str, str, str]:
    total = sum(each.size_bytes for each in made.types) or 1
    return (
        share.type_name,
        str(share.tensors),
        f"{share.size_bytes / 1e6:.1f} MB",
        f"{100 * share.size_bytes / total:.1f} %",
    )
