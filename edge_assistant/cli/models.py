"""`edge-assistant models`: what is there, fetch it, check it, throw it away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import models_told, output

if TYPE_CHECKING:
    from rich.progress import TaskID

    from edge_assistant.store.entry import Kind, ModelEntry
    from edge_assistant.store.progress import Progress
    from edge_assistant.store.store import Store

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
        output.emit([models_told.status_dict(status) for status in found])
    elif sys.stdout.isatty():
        output.out().print(models_told.table(found))
    else:
        for status in found:
            cells = [status.entry.id, status.entry.kind]
            cells += [models_told.size(status), models_told.state(status)]
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
        output.emit([models_told.installed_dict(m.entry, m.folder, m.paths) for m in done])
        return
    for model in done:
        output.note(f"{model.entry.id}: ready ({model.entry.licence})")


@models.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--id", "model_id", help="What to call it; of the catalog: supply that model's file.")
@click.option("--kind", type=click.Choice(_KINDS), help="What an ONNX file is for.")
@click.option("--title", default="", help="What it is, for lists.")
@click.option("--licence", default="", help="Its licence, where the file does not say.")
@click.option("--languages", default="", metavar="TAG,...", help="Its languages: en,pt-BR")
@_JSON
def add(
    file: Path,
    model_id: str | None,
    kind: Kind | None,
    title: str,
    licence: str,
    languages: str,
    as_json: bool,
) -> None:
    """Copy a model file of yours into the store, after checking it and running it once.

    Takes GGUF, whisper.cpp ggml, and ONNX (a Piper voice with its .onnx.json beside it). Licence,
    languages, chat template and memory are those that the file tells; say what it does not.
    """
    from edge_assistant.store.adding import Told

    tags = tuple(tag.strip() for tag in languages.split(",") if tag.strip())
    told = Told(title=title, licence=licence, languages=tags)
    model = _store().add(file, model_id, kind, told)
    if as_json:
        output.emit(models_told.installed_dict(model.entry, model.folder, model.paths))
    else:
        click.echo(model.entry.id)


@models.command()
@click.argument("target", metavar="FILE|ID")
@click.option("--quick", is_flag=True, help="Hash and header only, no run in a child process.")
@_JSON
def verify(target: str, quick: bool, as_json: bool) -> None:
    """Check a model again from its bytes: hash, header, and one run in a child process.

    Tells its tensors by type, licence, languages, chat template and memory, and who says so: the
    catalog or the file. FILE may be GGUF, whisper.cpp ggml, ONNX, ORT or the JSON of a voice.
    """
    from edge_assistant.store.verification import smoke

    store = _store()
    reports = store.verify(target, deep=not quick)
    known = store.facts(target, reports)
    if as_json:
        output.emit([models_told.report_dict(report, known) for report in reports])
        return
    for line in models_told.report_lines(target, reports, known, smoke(reports)):
        click.echo(line)


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
        size = f" ({models_told.megabytes(total_bytes)})" if total_bytes else ""
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
