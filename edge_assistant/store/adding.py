"""Bringing a user's own file into the store: vetted first, copied, pinned."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from edge_assistant.errors import ModelCorrupt, ModelError, ModelIncompatible
from edge_assistant.store.catalog import Catalog
from edge_assistant.store.checks import expected_form
from edge_assistant.store.entry import FileSpec, Kind, ModelEntry
from edge_assistant.store.hashing import digest
from edge_assistant.store.ledger import Ledger, Pin
from edge_assistant.store.locks import file_lock
from edge_assistant.store.names import id_fault, language_fault, name_fault, text_fault
from edge_assistant.store.pulling import LOCK_TIMEOUT_S, copy_capped, pull_lock
from edge_assistant.store.unlisted import describe, vet, vet_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the user says of a file; empty: what its header says."""

    title: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()

    def over(self, entry: ModelEntry) -> ModelEntry:
        """Put it over what the header said.

        Raises:
            ModelError: `bad-description`.
        """
        faults = [text_fault(self.title), text_fault(self.licence)]
        faults += [language_fault(tag) for tag in self.languages]
        if fault := next(filter(None, faults), ""):
            raise ModelError("bad-description", fault, "languages are written like this: en,pt-BR")
        return replace(
            entry,
            title=self.title or entry.title,
            licence=self.licence or entry.licence,
            languages=self.languages or entry.languages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adder:
    """Adds files to one store."""

    root: Path
    catalog: Catalog
    ledger: Ledger

    def add(self, file: Path, model_id: str | None, kind: Kind | None, told: Told) -> str:
        """Add a file, or supply one of a catalog model by hand; returns the model's id."""
        if model_id is not None and model_id in self.catalog:
            if told != Told():
                raise ModelError(
                    "model-listed",
                    f"{model_id} is of the catalog, which says its title, licence and languages",
                    "leave them out, or add the file under another --id",
                )
            self._supply(self.catalog.get(model_id), file)
            return model_id
        entry = told.over(describe(file, kind))
        entry = self._named(replace(entry, id=model_id or entry.id))
        verdicts = vet_all(self.ledger, entry, file.parent)
        pins = {
            name: self._place(entry.id, file.parent / name, name, verdict.sha256)
            for name, verdict in verdicts.items()
        }
        self.ledger.pin(entry.id, pins, added=entry)
        return entry.id

    def _named(self, entry: ModelEntry) -> ModelEntry:
        if fault := id_fault(entry.id):
            raise ModelError("bad-id", f"{entry.id[:64]!r} cannot be an id: {fault}", "use --id")
        if entry.id in self.catalog or entry.id in self.ledger.book().added:
            raise ModelError(
                "id-taken",
                f"there is a model {entry.id} already",
                f"edge-assistant models remove {entry.id}, or use --id",
            )
        for spec in entry.files:
            if fault := name_fault(spec.name):
                raise ModelError("bad-name", f"{spec.name[:80]!r}: {fault}", "rename the file")
        return entry

    def _supply(self, entry: ModelEntry, file: Path) -> None:
        """Take a file of a catalog model that came by other means than `pull`."""
        spec = _matching(entry, file)
        form = expected_form(entry, spec)
        if spec.sha256 is not None:
            sha256 = digest(file).sha256
            if sha256 != spec.sha256:
                raise ModelCorrupt(
                    "hash-mismatch",
                    f"{file.name}: SHA-256 is {sha256[:16]}..., not {spec.sha256[:16]}...",
                    f"edge-assistant models pull {entry.id}",
                )
            self._place(entry.id, file, spec.name, sha256)
            return
        verdict = vet(self.ledger, file, form, f"edge-assistant models pull {entry.id}")
        pin = self._place(entry.id, file, spec.name, verdict.sha256)
        self.ledger.pin(entry.id, {spec.name: pin})

    def _place(self, model_id: str, source: Path, name: str, sha256: str) -> Pin:
        """Copy, make sure that the copy is what was vetted, and give it its name."""
        folder = self.root / model_id
        with file_lock(pull_lock(self.root, model_id), LOCK_TIMEOUT_S):
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f"{name}.part"
            copy_capped(source, part, source.stat().st_size)
            copied = digest(part)
            if copied.sha256 != sha256:
                part.unlink()
                raise ModelCorrupt("file-changed", f"{source} changed meanwhile", "try again")
            part.chmod(0o644)
            part.replace(folder / name)
        return Pin(size_bytes=copied.identity.size_bytes, sha256=sha256, source=f"file:{source}")


def _matching(entry: ModelEntry, file: Path) -> FileSpec:
    named = [spec for spec in entry.files if spec.name == file.name]
    if named:
        return named[0]
    if len(entry.files) == 1:
        return entry.files[0]
    names = ", ".join(spec.name for spec in entry.files) or "none"
    raise ModelIncompatible(
        "file-not-of-model",
        f"{entry.id} has no file {file.name}; its files: {names}",
        "rename the file, or add it under another --id",
    )


def discard(root: Path, ledger: Ledger, model_id: str) -> None:
    """Delete a model's folder and forget its pins."""
    with file_lock(pull_lock(root, model_id), LOCK_TIMEOUT_S):
        shutil.rmtree(root / model_id)
        ledger.forget(model_id)
