"""How models are told: tables and lines for people, dictionaries for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_assistant.cli import output

if TYPE_CHECKING:
    from edge_assistant.store.entry import ModelEntry
    from edge_assistant.store.headers import HeaderInfo
    from edge_assistant.store.store import ModelStatus
    from edge_assistant.store.verification import FileReport, ModelFacts

_WIDTH = 16
_MAX_TAGS = 12
_SOURCES = {"catalog": "catalog", "added": "as it was added"}


def table(found: list[ModelStatus]) -> Any:
    """The list for a terminal; a wide one has more columns."""
    from rich.table import Table
    from rich.text import Text

    names = ["id", "kind", "size", "state"]
    if output.out().width >= 110:
        names[2:2] = ["languages", "licence"]
        names.insert(-1, "RAM")
    grid = Table(box=None, pad_edge=False)
    for name in names:
        grid.add_column(name, justify="right" if name in ("size", "RAM") else "left", no_wrap=True)
    for status in found:
        # Text, so that nothing in a name is taken for markup.
        cells = (Text(_cell(status, name)) for name in names)
        grid.add_row(*cells, style="" if status.is_installed else "dim")
    return grid


def _cell(status: ModelStatus, name: str) -> str:
    entry = status.entry
    match name:
        case "languages":
            more = len(entry.languages) - 2
            return ", ".join(entry.languages[:2]) + (f" +{more}" if more > 0 else "")
        case "size":
            return size(status)
        case "RAM":
            return megabytes(entry.ram_bytes)
        case "state":
            return state(status)
    return str(getattr(entry, name))


def size(status: ModelStatus) -> str:
    """Size on disk; empty where it is not known yet."""
    known = status.entry.files and status.size_bytes
    return megabytes(known) if isinstance(known, int) else ""


def state(status: ModelStatus) -> str:
    """Whether it is there, and whether we know what it has to be."""
    if status.is_installed:
        return "installed" if status.entry.files else "comes along"
    return "" if status.is_pinned else "pinned on first pull"


def megabytes(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def status_dict(status: ModelStatus) -> dict[str, Any]:
    """One model of the list."""
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


def installed_dict(entry: ModelEntry, folder: Path, paths: dict[str, Path]) -> dict[str, Any]:
    """A model that is ready."""
    files = {name: str(file) for name, file in paths.items()}
    return {
        "id": entry.id,
        "kind": entry.kind,
        "title": entry.title,
        "licence": entry.licence,
        "languages": entry.languages,
        "ram_bytes": entry.ram_bytes,
        "template": entry.template or None,
        "folder": str(folder),
        "files": files,
    }


def report_dict(report: FileReport, known: ModelFacts) -> dict[str, Any]:
    """A file that was verified, with what is known of its model."""
    header = report.header
    return {
        "name": report.name,
        "path": str(report.path),
        "size_bytes": report.size_bytes,
        "sha256": report.sha256,
        "summary": report.summary,
        "was_run": report.was_run,
        "run_note": report.run_note,
        "format": header.form,
        "tensors": header.tensors,
        "tensor_bytes": header.tensor_bytes,
        "types": {
            name: {"tensors": tensors, "size_bytes": size_bytes}
            for name, (tensors, size_bytes) in header.types.items()
        },
        "context_length": header.context_length or None,
        "model": asdict(known),
    }


def report_lines(
    target: str, reports: Sequence[FileReport], known: ModelFacts, smoke: str
) -> Iterator[str]:
    """Every file in a line with its tensors below, then what is known of the model."""
    for report in reports:
        ran = ", ran" if report.was_run and not report.run_note else ""
        yield f"ok  {report.path}  sha256:{report.sha256}  {report.summary}{ran}"
        if report.header.types:
            yield _line("tensors", _types(report.header))
        if report.header.context_length:
            yield _line("context", f"trained with {report.header.context_length} tokens")
    if not reports:
        yield f"ok  {target}: it has no files of its own"
    yield _line("licence", _said(known.licence, known.licence_in_file, known))
    yield _line("languages", _said(_tags(known.languages), _tags(known.languages_in_file), known))
    if known.template:
        yield _line("chat template", _template(known))
    yield _line("RAM", _ram(known))
    if reports:
        yield _line("smoke run", smoke)


def _line(name: str, text: str) -> str:
    return f"    {name:<{_WIDTH}}{text}"


def _types(header: HeaderInfo) -> str:
    shares = [
        f"{tensors} of {name} ({megabytes(size_bytes)})"
        for name, (tensors, size_bytes) in header.types.items()
    ]
    return f"{header.tensors}: {', '.join(shares)}"


def _tags(languages: Sequence[str]) -> str:
    more = len(languages) - _MAX_TAGS
    return ", ".join(languages[:_MAX_TAGS]) + (f" and {more} more" if more > 0 else "")


def _said(ours: str, in_file: str, known: ModelFacts) -> str:
    if known.source == "file":
        return f"{in_file}, says the file" if in_file else "unknown: the file does not say"
    file_says = f"the file says {in_file}" if in_file else "the file does not say"
    return f"{ours} ({_SOURCES[known.source]}); {file_says}"


def _template(known: ModelFacts) -> str:
    if not known.has_template:
        own = "the file has none of its own"
    elif known.template_in_file == known.template:
        own = "the file's own looks like it"
    elif known.template_in_file:
        own = f"the file's own looks like {known.template_in_file}, which is another"
    else:
        own = "the file's own looks like none that we know"
    pinned = "it would be run with this" if known.source == "file" else "pinned"
    return f"{known.template} ({pinned}); {own}"


def _ram(known: ModelFacts) -> str:
    by_header_known = known.ram_by_header_bytes > 0
    by_header = megabytes(known.ram_by_header_bytes)
    if known.source == "file":
        return f"{by_header} of weights and caches, by the header; work memory comes on top"
    ours = f"{megabytes(known.ram_bytes)} ({_SOURCES[known.source]})"
    return f"{ours}; weights and caches by the header: {by_header}" if by_header_known else ours
