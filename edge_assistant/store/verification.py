"""What `verify` tells of a model: each of its files, and what is known of the whole, by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_assistant.store.entry import ModelEntry
from edge_assistant.store.headers import Form, HeaderInfo, inspect
from edge_assistant.store.ledger import Ledger, Verdict
from edge_assistant.store.trial import can_run
from edge_assistant.store.unlisted import template_of, vet, way_out


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What `verify` found of one file."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    summary: str
    """What the header says, in a line."""
    header: HeaderInfo
    """What it says in full."""
    was_run: bool
    """It was loaded in a child process, and run there unless `run_note` says why not."""
    run_note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of a model. Whatever the catalog or the file does not tell is empty."""

    source: Literal["catalog", "added", "file"]
    """Who says what is not said by the file: the catalog, whoever added the model, or nobody."""
    licence: str
    licence_in_file: str
    languages: tuple[str, ...]
    languages_in_file: tuple[str, ...]
    template: str
    """The pinned chat template that it is run with; empty if it is no language model."""
    template_in_file: str
    """The pinned one that the file's own is like; empty if none is."""
    has_template: bool
    """The file has a chat template of its own, which is never run."""
    ram_bytes: int
    """The catalog's figure; of other models an estimate from the header."""
    ram_by_header_bytes: int
    """Weights and caches, without what the engine computes in."""


def report(path: Path, form: Form, verdict: Verdict) -> FileReport:
    """Tell of a file that has just been checked."""
    return FileReport(
        name=path.name,
        path=path,
        size_bytes=verdict.identity.size_bytes,
        sha256=verdict.sha256,
        summary=verdict.summary,
        header=inspect(path, form),
        was_run=verdict.was_run,
        run_note=verdict.run_note,
    )


@way_out()
def verify_file(ledger: Ledger, path: Path, *, run: bool) -> tuple[FileReport, ...]:
    """Check a file of any format that we know, with the JSON of a voice beside it.

    Args:
        ledger: takes the verdicts.
        path: absolute path.
        run: also load and run it once in a child process.

    Raises:
        ModelError: as for `Store.verify`.
    """
    form = inspect(path).form
    beside = path.with_name(path.name + ".json")
    files: dict[Path, Form] = {}
    if form == "onnx" and beside.is_file():
        files[beside] = "piper-json"
    files[path] = form
    verdicts = {file: vet(ledger, file, of, "", fresh=True, run=run) for file, of in files.items()}
    return tuple(report(file, of, verdicts[file]) for file, of in files.items())


def facts(
    reports: Sequence[FileReport], entry: ModelEntry | None, *, is_listed: bool
) -> ModelFacts:
    """Bring together what entry and headers say.

    Args:
        reports: of all files of the model.
        entry: of the catalog or of the user's own; None for a file named by its path.
        is_listed: the entry is of the catalog.
    """
    headers = [each.header for each in reports]
    by_header = sum(header.ram_bytes for header in headers)
    llm = next((header for header in headers if header.form == "gguf"), None)
    own = template_of(llm) if llm is not None else ""
    return ModelFacts(
        source="file" if entry is None else "catalog" if is_listed else "added",
        licence=entry.licence if entry else "",
        licence_in_file=next((h.licence for h in headers if h.licence), ""),
        languages=entry.languages if entry else (),
        languages_in_file=next((h.languages for h in headers if h.languages), ()),
        template=entry.template if entry else own,
        template_in_file=llm.template if llm is not None else "",
        has_template=llm is not None and llm.has_template,
        ram_bytes=entry.ram_bytes if entry else by_header,
        ram_by_header_bytes=by_header,
    )


def smoke(reports: Sequence[FileReport]) -> str:
    """Say in a line whether native code took the files."""
    native = [each for each in reports if can_run(each.header.form)]
    if not native:
        return "nothing to run"
    if not all(each.was_run for each in native):
        return "not run"
    notes = [each.run_note for each in native if each.run_note]
    return "; ".join(notes) if notes else "loaded and run in a child process"
