"""Checks a bundle byte by byte, and unpacks one that holds."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Final

from edge_assistant_packaging.bundle.archive import Reader, Source
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import opened
from edge_assistant_packaging.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    FileEntry,
    Manifest,
    parse,
)
from edge_assistant_packaging.signing import PublicKey, read_public
from edge_assistant_packaging.signing import verify as verify_signature

_MAX_SIGNATURE_BYTES: Final = 4096
_SPARE_BYTES: Final = 1 << 20

Write = Callable[[bytes], object]
Open = Callable[[FileEntry], AbstractContextManager[Write]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The two files that a bundle begins with, after the signature was found right."""

    manifest: Manifest
    raw: bytes
    signature: bytes


def verify(bundle: Path, public_key: Path | PublicKey) -> Manifest:
    """Read a bundle once, in pieces, and check every byte of it.

    Args:
        bundle: the file.
        public_key: the vendor's, or the file that holds it. From somewhere else than the bundle.

    Returns:
        What is in it, as it was signed.

    Raises:
        ShippingError: `bundle-not-one`, `bundle-altered`, `bundle-truncated`, `manifest-invalid`,
            `signature-invalid`, `signature-other-key`, `signature-wrong`; a file cannot be read.
    """
    key = _key(public_key)
    with opened(bundle) as file:
        return verify_stream(file, key)


def verify_stream(source: Source, key: PublicKey) -> Manifest:
    """Like `verify`, of a bundle that is open or in memory."""
    reader = Reader(source)
    head = _head(reader, key)
    _files(reader, head.manifest, lambda entry: nullcontext(_drop))
    return head.manifest


def unpack(bundle: Path, folder: Path, public_key: Path | PublicKey) -> Manifest:
    """Check a bundle and put its files into the new folder `folder`, with manifest and signature.

    They are written to a hidden folder beside it that gets the name at the end, when all is
    checked and on the disk; whatever fails, there is no `folder`, and the hidden one is gone. A
    process that is killed leaves the hidden one (`.NAME.<8 hex>.part`), which the next call for the
    same `folder` removes.

    Raises:
        ShippingError: as `verify`; `output-exists`, `output-unwritable`, `disk-full`.
    """
    key = _key(public_key)
    with opened(bundle) as file:
        reader = Reader(file)
        head = _head(reader, key)
        with _new_folder(folder) as part:
            _require_room(part, head.manifest)
            tree = _Tree(part, head.manifest.made_at_s)
            for name, data in ((MANIFEST, head.raw), (SIGNATURE, head.signature)):
                with tree.open(name, 0o644) as write:
                    write(data)
            _files(
                reader,
                head.manifest,
                lambda entry: tree.open(entry.path, 0o755 if entry.is_executable else 0o644),
            )
            tree.settle()
    return head.manifest


def _head(reader: Reader, key: PublicKey) -> _Head:
    """Read what says what has to follow; the signature comes before any belief."""
    raw, made_at_s = reader.small(MANIFEST, MAX_MANIFEST_BYTES)
    signature, signed_at_s = reader.small(SIGNATURE, _MAX_SIGNATURE_BYTES)
    comment = verify_signature(raw, signature, key, is_canonical=True)
    manifest = parse(raw)
    if {made_at_s, signed_at_s} != {manifest.made_at_s} or comment != manifest.comment:
        raise ShippingError(
            "bundle-altered", "the bundle's first two files are not as they were", "fetch it again"
        )
    return _Head(manifest=manifest, raw=raw, signature=signature)


def _files(reader: Reader, manifest: Manifest, open_file: Open) -> None:
    for entry in manifest.files:
        with open_file(entry) as write:
            reader.file(entry, manifest.made_at_s, write)
    reader.finish()


class _Tree:
    """New files below a new folder. Nothing is followed, nothing is overwritten."""

    def __init__(self, root: Path, made_at_s: int) -> None:
        self._root = root
        self._folders = {root}
        self._times_s = (made_at_s, made_at_s)

    @contextmanager
    def open(self, name: str, mode: int) -> Iterator[Write]:
        """Make a file below the root; `name` has passed `manifest.is_safe`."""
        path = self._root / name
        self._make(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            yield file.write
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.utime(file.fileno(), self._times_s)
            os.fsync(file.fileno())

    def settle(self) -> None:
        """Have the names of all files on the disk, too: a power cut must not leave half of them."""
        for folder in self._folders:
            _settle(folder)

    def _make(self, folder: Path) -> None:
        if folder not in self._folders:
            self._make(folder.parent)
            folder.mkdir()
            folder.chmod(0o755)
            self._folders.add(folder)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    if os.path.lexists(folder):
        raise _exists(folder)
    part = folder.absolute().with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        for left in part.parent.glob(f".{escape(folder.name)}.????????.part"):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            yield part
            part.chmod(0o755)
            if os.path.lexists(folder):
                raise _exists(folder)
            part.rename(folder)
            _settle(part.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise ShippingError(
            "output-unwritable",
            f"{folder} cannot be written: {error.strerror or error}",
            "choose a place in a folder that is there, with room in it",
        ) from error


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_room(part: Path, manifest: Manifest) -> None:
    needed_bytes = sum(each.size_bytes for each in manifest.files) + _SPARE_BYTES
    free_bytes = shutil.disk_usage(part).free
    if free_bytes < needed_bytes:
        raise ShippingError(
            "disk-full",
            f"it needs {needed_bytes / 1e6:.0f} MB, and {free_bytes / 1e6:.0f} MB are free",
            "free some space; `df -h` shows where it is short",
        )


def _exists(folder: Path) -> ShippingError:
    return ShippingError("output-exists", f"{folder} is there already", "name a new folder")


def _key(public_key: Path | PublicKey) -> PublicKey:
    return public_key if isinstance(public_key, PublicKey) else read_public(public_key)


def _drop(data: bytes) -> None:
    """Forget what was hashed."""
