"""The store: the one door through which model files enter, and through which engines get them."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.errors import ModelError, ModelIncompatible, ModelNotFound
from edge_assistant.places import cache_folder, data_folder
from edge_assistant.store.adding import Adder, Told, discard
from edge_assistant.store.catalog import Catalog, unknown_model
from edge_assistant.store.checks import check_file, expected_form
from edge_assistant.store.entry import FileSpec, InstalledModel, Kind, ModelEntry
from edge_assistant.store.ledger import Ledger, Pin, Verdict
from edge_assistant.store.names import id_fault, name_fault
from edge_assistant.store.programs import PREFIX, program_missing, program_path, program_voice
from edge_assistant.store.progress import NoProgress, Progress
from edge_assistant.store.pulling import Fetcher, Puller, expectation
from edge_assistant.store.unlisted import describe, vet, vet_all
from edge_assistant.store.verification import FileReport, ModelFacts, facts, report, verify_file

SYSTEM_FOLDER = Path("/usr/share/edge-assistant/models")
"""Where a distribution may put models; read first, never written."""
_OWNERS = {
    "espeak": ("the package espeakng-loader", "it goes when edge-assistant is uninstalled"),
    "espeak-program": ("the system", "sudo apt remove espeak-ng"),
}
_NO_PACKAGE = f"pip install espeakng-loader, or let a program speak: --voice {PREFIX}en-us"
_SUFFIXES = (".gguf", ".bin", ".onnx", ".ort", ".ggml")


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


def default_root() -> Path:
    """Return EDGE_ASSISTANT_MODELS_DIR, or `models` in the folder of `places.data_folder`."""
    if override := os.environ.get("EDGE_ASSISTANT_MODELS_DIR"):
        return Path(override).expanduser().absolute()
    return data_folder() / "models"


class Store:
    """Models on disk, one folder for each id.

    Only `pull` may touch the network. Methods block (hashing reads about 0.5 GB/s and more) and may
    be called from any thread; two processes may share a store.

    Args:
        root: folder of the store; made when something is first written.
        catalog: the models that can be named.
        system: read-only folder that is looked at first; None for none.
        spare: folder for what was found of files where `root` cannot be written; None for none.
        fetcher: how files are fetched; tests pass one that may talk to loopback.
    """

    def __init__(
        self,
        root: Path,
        catalog: Catalog,
        *,
        system: Path | None = SYSTEM_FOLDER,
        spare: Path | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.root = root.absolute()
        self.catalog = catalog
        self._system = system
        self._fetcher = fetcher or Fetcher()
        self._ledger = Ledger(self.root, spare)

    @classmethod
    def default(cls) -> Store:
        """Build the store of this user with the catalog that ships with the package."""
        return cls(default_root(), Catalog.load(), spare=cache_folder() / "verdicts")

    # What is there

    def entry(self, model_id: str) -> ModelEntry:
        """Find a model of the catalog, one that the user added, or a voice of a program.

        Raises:
            ModelNotFound: `model-unknown`, `voice-not-found`.
        """
        if (spoken := program_voice(model_id)) is not None:
            return spoken
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
        listed = self._listed(target)
        if listed is None:
            return self._open_unlisted(Path(target).expanduser().resolve(), kind)
        entry = self._require_there(listed)
        if kind not in (None, entry.kind):
            raise ModelIncompatible(
                "wrong-kind",
                f"{entry.id} is a model for {entry.kind}, not for {kind}",
                "edge-assistant models list",
            )
        folder = self._folder(entry)
        for spec in entry.files:
            self._check(entry, spec, folder, fresh=False)
        return _handed_out(entry, folder)

    def verify(self, target: str | Path, *, deep: bool = True) -> tuple[FileReport, ...]:
        """Check a model or a file again from its bytes, whatever was found before.

        Args:
            target: an id or a path.
            deep: also load and run every model file once in a child process, catalog or not.

        Raises:
            ModelError: as for `open`; the first fault ends the check.
        """
        listed = self._listed(target)
        if listed is None:
            return verify_file(self._ledger, Path(target).expanduser().resolve(), run=deep)
        entry = self._require_there(listed)
        folder = self._folder(entry)
        verdicts = {spec.name: self._check(entry, spec, folder, fresh=True) for spec in entry.files}
        if deep:
            verdicts = vet_all(self._ledger, entry, folder)
        return tuple(
            report(folder / spec.name, expected_form(entry, spec), verdicts[spec.name])
            for spec in entry.files
        )

    def facts(self, target: str | Path, reports: tuple[FileReport, ...]) -> ModelFacts:
        """Tell what is known of a model that `verify` reported on, and who says it."""
        entry = self._listed(target)
        return facts(reports, entry, is_listed=entry is not None and entry.id in self.catalog)

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
        if not entry.files or not (self.root / entry.id).is_dir():
            owner, remover = (
                ("the system", "ask who looks after this machine")
                if entry.files
                else _OWNERS[entry.engine]
            )
            raise ModelError(
                "model-read-only", f"{model_id} belongs to {owner}, not to this store", remover
            )
        discard(self.root, self._ledger, entry.id)

    def add(
        self,
        file: Path,
        model_id: str | None = None,
        kind: Kind | None = None,
        told: Told | None = None,
    ) -> InstalledModel:
        """Copy a file of the user into the store, after it was vetted and run once in a child.

        Args:
            file: a GGUF, a whisper.cpp ggml file, or an ONNX file (a Piper voice needs its
                `.onnx.json` beside it and brings it along).
            model_id: what to call it; the id of a catalog model supplies a file of that model.
            kind: what an ONNX file is for.
            told: what the user says of it, over what its header says.

        Raises:
            ModelError: `bad-id`, `id-taken`, `bad-name`, `bad-description`,
                and all of `open`.
        """
        adder = Adder(root=self.root, catalog=self.catalog, ledger=self._ledger)
        model_id = adder.add(file.expanduser().resolve(), model_id, kind, told or Told())
        entry = self.entry(model_id)
        return (
            self.open(model_id)
            if self._is_there(entry)
            else _handed_out(entry, self.root / model_id)
        )

    # Inner parts

    def _listed(self, target: str | Path) -> ModelEntry | None:
        """Find the model that an id names; None for the path of a file."""
        if isinstance(target, Path):
            return None
        try:
            return self.entry(target)
        except ModelNotFound:
            looks_like_path = os.sep in target or "/" in target or target.endswith(_SUFFIXES)
            if target.startswith(PREFIX) or not (looks_like_path or Path(target).is_file()):
                raise
            return None

    def _open_unlisted(self, path: Path, kind: Kind | None) -> InstalledModel:
        entry = describe(path, kind)
        vet_all(self._ledger, entry, path.parent)
        return _handed_out(entry, path.parent)

    def _require_there(self, entry: ModelEntry) -> ModelEntry:
        if not self._is_there(entry):
            if entry.engine == "espeak-program":
                raise program_missing()
            raise ModelNotFound(
                "model-not-installed",
                f"{entry.id} is not installed",
                _NO_PACKAGE
                if entry.engine == "espeak"
                else f"edge-assistant models pull {entry.id}",
            )
        return entry

    def _installed_entry(self, model_id: str) -> ModelEntry:
        return self._require_there(self.entry(model_id))

    def _is_there(self, entry: ModelEntry) -> bool:
        if entry.engine == "espeak-program":
            return program_path() is not None
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

    def _check(self, entry: ModelEntry, spec: FileSpec, folder: Path, *, fresh: bool) -> Verdict:
        path = folder / spec.name
        hint = f"edge-assistant models pull {entry.id}"
        form = expected_form(entry, spec)
        expected = expectation(self._ledger, entry, spec)
        if expected is None:
            # Put here by hand or by the system: vetted like any file that nobody vouches for, and
            # pinned from now on.
            verdict = vet(self._ledger, path, form, hint, fresh=fresh)
            pin = Pin(
                size_bytes=verdict.identity.size_bytes, sha256=verdict.sha256, source=f"file:{path}"
            )
            self._ledger.pin(entry.id, {spec.name: pin})
            return verdict
        return check_file(self._ledger, path, form, expected, hint, fresh=fresh)

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


def _handed_out(entry: ModelEntry, folder: Path) -> InstalledModel:
    paths = {spec.name: folder / spec.name for spec in entry.files}
    return InstalledModel(entry=entry, folder=folder, paths=paths)


def _sound(entry: ModelEntry) -> ModelEntry:
    """Distrust names that come from `pins.json`: they become paths."""
    faults = [id_fault(entry.id), *(name_fault(spec.name) for spec in entry.files)]
    if any(faults):
        raise ModelError("store-damaged", f"bad name in pins.json: {entry.id!r}", "")
    return entry
