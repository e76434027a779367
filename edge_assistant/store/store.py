"""The store: the one door through which model files enter, and through which engines get them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.errors import ModelError, ModelNotFound
from edge_assistant.store.catalog import Catalog, unknown_model
from edge_assistant.store.checks import check_file, expected_form
from edge_assistant.store.entry import FileSpec, InstalledModel, Kind, ModelEntry
from edge_assistant.store.ledger import Ledger, Pin
from edge_assistant.store.names import id_fault, name_fault
from edge_assistant.store.progress import NoProgress, Progress
from edge_assistant.store.pulling import Fetcher, Puller, expectation

SYSTEM_FOLDER = Path("/usr/share/edge-assistant/models")
"""Where a distribution may put models; read first, never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One line of `models list`."""

    entry: ModelEntry
    is_installed: bool
    is_pinned: bool
    """Every file has a known hash: from the catalog, or from the first pull."""
    folder: Path
    size_bytes: int | None
    """Of all files; None while somebody has yet to pull one of unknown size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What `verify` found of one file."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    summary: str
    """What the header says."""
    was_run: bool
    """It was loaded and run once in a child process."""


def default_root() -> Path:
    """Return EDGE_ASSISTANT_MODELS_DIR, or `edge-assistant/models` in the user's data folder."""
    if override := os.environ.get("EDGE_ASSISTANT_MODELS_DIR"):
        return Path(override).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("edge-assistant", appauthor=False)) / "models"


class Store:
    """Models on disk, one folder for each id.

    Only `pull` may touch the network. Methods block (hashing reads about 0.5 GB/s and more) and may
    be called from any thread; two processes may share a store.

    Args:
        root: folder of the store; made when something is first written.
        catalog: the models that can be named.
        system: read-only folder that is looked at first; None for none.
        fetcher: how files are fetched; tests pass one that may talk to loopback.
    """

    def __init__(
        self,
        root: Path,
        catalog: Catalog,
        *,
        system: Path | None = SYSTEM_FOLDER,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.root = root.absolute()
        self.catalog = catalog
        self._system = system
        self._fetcher = fetcher or Fetcher()
        self._ledger = Ledger(self.root)

    @classmethod
    def default(cls) -> Store:
        """Build the store of this user with the catalog that ships with the package."""
        return cls(default_root(), Catalog.load())

    # What is there

    def entry(self, model_id: str) -> ModelEntry:
        """Find a model of the catalog, or one that the user added.

        Raises:
            ModelNotFound: `model-unknown`.
        """
        if model_id in self.catalog:
            return self.catalog.get(model_id)
        added = self._ledger.book().added
        if model_id not in added:
            raise unknown_model(model_id, [*(entry.id for entry in self.catalog), *added])
        return _sound(added[model_id])

    def list(self) -> tuple[ModelStatus, ...]:
        """Tell of every model of the catalog and every added one, without reading their files."""
        book = self._ledger.book()
        added = [_sound(entry) for entry in book.added.values() if entry.id not in self.catalog]
        return tuple(self._status(e, book.pins.get(e.id, {})) for e in (*self.catalog, *added))

    def installed(self, model_id: str) -> bool:
        """Say whether all files of a model are there; it looks at names only, `open` checks them.

        Raises:
            ModelNotFound: `model-unknown`.
        """
        return self._is_there(self.entry(model_id))

    def path(self, model_id: str) -> Path:
        """Return the file of a single-file model, or the folder of one with several.

        Raises:
            ModelNotFound: `model-unknown`, `model-not-installed`.
        """
        entry = self._installed_entry(model_id)
        folder = self._folder(entry)
        return folder / entry.files[0].name if len(entry.files) == 1 else folder

    # What engines call

    def open(self, target: str | Path, kind: Kind | None = None) -> InstalledModel:
        """Hand out a model whose every file has been checked. Never touches the network.

        Args:
            target: an id, or the path of a file that the user names himself.
            kind: refuse a model of another kind; for an unlisted file, also what it is for.

        Raises:
            ModelNotFound: `model-unknown`, `model-not-installed`, `file-missing`.
            ModelCorrupt: hash, size or header is wrong; native code has not seen the file.
            ModelIncompatible: a model of another kind, or it failed its run in the child process.
        """
        entry = self._installed_entry(str(target))
        folder = self._folder(entry)
        for spec in entry.files:
            self._check(entry, spec, folder, fresh=False)
        return InstalledModel(
            entry=entry,
            folder=folder,
            paths={spec.name: folder / spec.name for spec in entry.files},
        )

    # What changes the store

    def pull(
        self, model_id: str, progress: Progress | None = None, *, offline: bool = False
    ) -> InstalledModel:
        """Fetch what is missing or broken of a model, check it, and open it.

        Raises:
            ModelNotFound: `model-unknown`.
            DownloadError: `offline` and all that can go wrong on the way; no file that failed its
                check is under its final name.
        """
        entry = self.entry(model_id)
        if not self._is_there_and_sound(entry):
            Puller(
                entry=entry,
                root=self.root,
                ledger=self._ledger,
                fetcher=self._fetcher,
                progress=progress or NoProgress(),
                offline=offline,
            ).pull()
        return self.open(model_id)

    def remove(self, model_id: str) -> None:
        """Delete the files of a model from the user's store, with their pins.

        Raises:
            ModelNotFound: `model-unknown`, `model-not-installed`.
            ModelError: `model-read-only`: it belongs to the system.
        """
        entry = self._installed_entry(model_id)
        folder = self.root / entry.id
        if not entry.files or (self._folder(entry) != folder and not folder.exists()):
            raise ModelError(
                "model-read-only", f"{model_id} belongs to the system, not to this store", ""
            )
        shutil.rmtree(folder)
        self._ledger.forget(model_id)

    # Inner parts

    def _installed_entry(self, model_id: str) -> ModelEntry:
        entry = self.entry(model_id)
        if not self._is_there(entry):
            raise ModelNotFound(
                "model-not-installed",
                f"{model_id} is not installed",
                f"edge-assistant models pull {model_id}",
            )
        return entry

    def _is_there(self, entry: ModelEntry) -> bool:
        if not entry.files:
            return importlib.util.find_spec("espeakng_loader") is not None
        folder = self._folder(entry)
        return all((folder / spec.name).is_file() for spec in entry.files)

    def _is_there_and_sound(self, entry: ModelEntry) -> bool:
        if not self._is_there(entry):
            return False
        folder = self._folder(entry)
        try:
            for spec in entry.files:
                self._check(entry, spec, folder, fresh=False)
        except ModelError:
            return False
        return True

    def _folder(self, entry: ModelEntry) -> Path:
        if self._system is not None and entry.files:
            folder = self._system / entry.id
            if all((folder / spec.name).is_file() for spec in entry.files):
                return folder
        return self.root / entry.id

    def _check(self, entry: ModelEntry, spec: FileSpec, folder: Path, *, fresh: bool) -> FileReport:
        path = folder / spec.name
        hint = f"edge-assistant models pull {entry.id}"
        expected = expectation(self._ledger, entry, spec)
        if expected is None:
            raise ModelError("file-unpinned", f"nobody has vouched for {path}", hint)
        form = expected_form(entry, spec)
        verdict = check_file(self._ledger, path, form, expected, hint, fresh=fresh)
        return FileReport(
            name=spec.name,
            path=path,
            size_bytes=verdict.identity.size_bytes,
            sha256=verdict.sha256,
            summary=verdict.summary,
            was_run=verdict.was_run,
        )

    def _status(self, entry: ModelEntry, pins: dict[str, Pin]) -> ModelStatus:
        sizes = [
            spec.size_bytes or (pins[spec.name].size_bytes if spec.name in pins else None)
            for spec in entry.files
        ]
        known = [size for size in sizes if size is not None]
        return ModelStatus(
            entry=entry,
            is_installed=self._is_there(entry),
            is_pinned=len(known) == len(sizes),
            folder=self._folder(entry),
            size_bytes=sum(known) if len(known) == len(sizes) else None,
        )


def _sound(entry: ModelEntry) -> ModelEntry:
    """Distrust names that come from `pins.json`: they become paths."""
    faults = [id_fault(entry.id), *(name_fault(spec.name) for spec in entry.files)]
    if any(faults):
        raise ModelError("store-damaged", f"bad name in pins.json: {entry.id!r}", "")
    return entry
