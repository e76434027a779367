"""`edge-assistant models`: what is there, fetch it, check it, throw it away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import output

if TYPE_CHECKING:
    from rich.progress import TaskID

    from edge_assistant.store.entry import Kind, ModelEntry
    from edge_assistant.store.progress import Progress
    from edge_assistant.store.store import FileReport, ModelStatus, Store

_KINDS = ("stt", "llm", "tts", "vad", "turn_detector")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.group()
def models() -> None:
    """List, fetch, add, verify and remove models.

    Models live in EDGE_ASSISTANT_MODELS_DIR, or in the data folder of your account. Only `pull`
    touches the network.
    """


@models.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only models of this kind.")
@click.option("--installed", is_flag=True, help="Only models that are installed.")
@_JSON
def list_models(kind: str | None, installed: bool, as_json: bool) -> None:
    """List the models of the catalog and those that you added."""
    found = [
        status
        for status in _store().list()
        if kind in (None, status.entry.kind) and (status.is_installed or not installed)
    ]
    if as_json:
        output.emit([_status_dict(status) for status in found])
    elif sys.stdout.isatty():
        output.out().print(_table(found))
    else:
        for status in found:
            cells = (status.entry.id, status.entry.kind, _size(status), _state(status))
            click.echo("\t".join(cell or "-" for cell in cells))


@models.command()
@click.argument("names", metavar="ID|PACK...", nargs=-1, required=True)
@click.option("--offline", is_flag=True, help="Only check what is here, fetch nothing.")
@_JSON
def pull(names: tuple[str, ...], offline: bool, as_json: bool) -> None:
    """Fetch models, or whole packs: `starter`, `standard`. What is here already is only checked."""
    store = _store()
    entries = _named(store, names)
    done = []
    with _progress() as progress:
        for entry in entries:
            done.append(store.pull(entry.id, progress, offline=offline))
    if as_json:
        output.emit([_installed_dict(m.entry, m.folder, m.paths) for m in done])
        return
    for model in done:
        output.note(f"{model.entry.id}: ready ({model.entry.licence})")


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "model_id", help="What to call it; of the catalog: supply that model's file.")
@click.option("--kind", type=click.Choice(_KINDS), help="What an ONNX file is for.")
@_JSON
def add(file: Path, model_id: str | None, kind: Kind | None, as_json: bool) -> None:
    """Copy a model file of yours into the store, after checking it and running it once.

    Takes GGUF, whisper.cpp ggml, and ONNX (a Piper voice with its .onnx.json beside it).
    """
    model = _store().add(file, model_id, kind)
    if as_json:
        output.emit(_installed_dict(model.entry, model.folder, model.paths))
    else:
        click.echo(model.entry.id)


@models.command()
@click.argument("target", metavar="FILE|ID")
@click.option("--quick", is_flag=True, help="Hash and header only, no run in a child process.")
@_JSON
def verify(target: str, quick: bool, as_json: bool) -> None:
    """Check a model again from its bytes: hash, header, and one run in a child process."""
    reports = _store().verify(target, deep=not quick)
    if as_json:
        output.emit([_report_dict(report) for report in reports])
        return
    for report in reports:
        ran = ", ran" if report.was_run else ""
        click.echo(f"ok  {report.path}  sha256:{report.sha256}  {report.summary}{ran}")
    if not reports:
        click.echo(f"ok  {target}: it has no files of its own")


@models.command()
@click.argument("model_id", metavar="ID")
@_JSON
def path(model_id: str, as_json: bool) -> None:
    """Print where a model is: its file, or the folder of one with several."""
    found = str(_store().path(model_id))
    if as_json:
        output.emit({"id": model_id, "path": found})
    else:
        click.echo(found)


@models.command()
@click.argument("model_ids", metavar="ID...", nargs=-1, required=True)
@_JSON
def remove(model_ids: tuple[str, ...], as_json: bool) -> None:
    """Delete the files of models."""
    store = _store()
    for model_id in model_ids:
        store.remove(model_id)
        output.note(f"{model_id}: removed")
    if as_json:
        output.emit(model_ids)


def _store() -> Store:
    from edge_assistant.store.store import Store

    return Store.default()


def _named(store: Store, names: tuple[str, ...]) -> list[ModelEntry]:
    """Turn ids and packs into models, each once, in the order given."""
    entries: dict[str, ModelEntry] = {}
    for name in names:
        found = store.catalog.pack(name) or (store.entry(name),)
        entries |= {entry.id: entry for entry in found}
    return list(entries.values())


@contextmanager
def _progress() -> Iterator[Progress]:
    """Draw bars on a terminal, print a line a file elsewhere; always on stderr."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.err()) as bars:
        yield _Bars(bars)


class _Lines:
    """Progress for logs: one line when a file begins."""

    def started(self, label: str, total_bytes: int | None) -> None:
        size = f" ({_megabytes(total_bytes)})" if total_bytes else ""
        output.note(f"fetching {label}{size}")

    def advanced(self, done_bytes: int) -> None:
        """Say nothing."""

    def finished(self) -> None:
        """Say nothing."""


class _Bars:
    """Progress for people."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def started(self, label: str, total_bytes: int | None) -> None:
        self._task = self._bars.add_task(label, total=total_bytes)

    def advanced(self, done_bytes: int) -> None:
        self._bars.update(self._task, completed=done_bytes)

    def finished(self) -> None:
        # A bar without a total would swing on forever.
        for task in self._bars.tasks:
            if task.id == self._task and task.total is None:
                self._bars.update(self._task, total=max(1, task.completed))
        self._bars.stop_task(self._task)


def _table(found: list[ModelStatus]) -> Any:
    from rich.table import Table
    from rich.text import Text

    names = ["id", "kind", "size", "state"]
    if output.out().width >= 110:
        names[2:2] = ["languages", "licence"]
        names.insert(-1, "RAM")
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in ("size", "RAM") else "left", no_wrap=True)
    for status in found:
        # Text, so that nothing in a name is taken for markup.
        cells = (Text(_cell(status, name)) for name in names)
        table.add_row(*cells, style="" if status.is_installed else "dim")
    return table


def _cell(status: ModelStatus, name: str) -> str:
    entry = status.entry
    match name:
        case "languages":
            more = len(entry.languages) - 2
            return ", ".join(entry.languages[:2]) + (f" +{more}" if more > 0 else "")
        case "size":
            return _size(status)
        case "RAM":
            return _megabytes(entry.ram_bytes)
        case "state":
            return _state(status)
    return str(getattr(entry, name))


def _size(status: ModelStatus) -> str:
    known = status.entry.files and status.size_bytes
    return _megabytes(known) if isinstance(known, int) else ""


def _state(status: ModelStatus) -> str:
    if status.is_installed:
        return "installed" if status.entry.files else "comes along"
    return "" if status.is_pinned else "pinned on first pull"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def _status_dict(status: ModelStatus) -> dict[str, Any]:
    entry = status.entry
    return {
        "id": entry.id,
        "kind": entry.kind,
        "engine": entry.engine,
        "title": entry.title,
        "languages": entry.languages,
        "licence": entry.licence,
        "ram_bytes": entry.ram_bytes,
        "size_bytes": status.size_bytes,
        "packs": entry.packs,
        "notes": entry.notes,
        "installed": status.is_installed,
        "pinned": status.is_pinned,
        "folder": str(status.folder) if status.is_installed and entry.files else None,
    }


def _installed_dict(entry: ModelEntry, folder: Path, paths: dict[str, Path]) -> dict[str, Any]:
    files = {name: str(file) for name, file in paths.items()}
    return {"id": entry.id, "kind": entry.kind, "folder": str(folder), "files": files}


def _report_dict(report: FileReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "path": str(report.path),
        "size_bytes": report.size_bytes,
        "sha256": report.sha256,
        "summary": report.summary,
        "was_run": report.was_run,
    }
