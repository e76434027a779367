"""What is new in a bundle, as a file of its own: with the old bundle it gives back the new one.

A delta is an archive as a bundle is one: `delta.json`, the signed manifest of NEW with its
signature, the signature of the whole, then the files of NEW, in the manifest's order, whose content
is not in OLD, each content once. Which ones these are follows from the two manifests, so that the
delta need not say it, and every byte of it can be checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from edge_assistant_packaging.bundle.archive import CHUNK_BYTES, Reader, Writer, header, padding
from edge_assistant_packaging.bundle.verify import verify
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import new_file, opened, read_small
from edge_assistant_packaging.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    FileEntry,
    Manifest,
    parse,
)
from edge_assistant_packaging.signing import PublicKey
from edge_assistant_packaging.signing import verify as verify_signature

SCHEMA: Final = 1
KIND: Final = "edge-assistant-delta"
DELTA: Final = "delta.json"
WHOLE: Final = "bundle.minisig"
MAX_DELTA_BYTES: Final = 4096
_MAX_SIGNATURE_BYTES: Final = 4096
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaHead:
    """From which bundle to which; signed by nobody, and so only a way to fail early."""

    base_manifest_sha256: str
    bundle_sha256: str
    """Of the whole new bundle."""

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        fields = {"kind": KIND, "schema": SCHEMA, **asdict(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A delta or a bundle that was made."""

    path: Path
    size_bytes: int
    sha256: str
    manifest: Manifest
    """Of the new bundle."""
    copied_bytes: int
    """Of the new bundle's files, what the old one has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The beginning of a bundle, and where its files are."""

    raw: bytes
    signature: bytes
    manifest: Manifest
    begins: dict[str, int]
    """By content: the first byte of one file that has it."""


def make_delta(
    old: Path, new: Path, output: Path, key: PublicKey, *, overwrite: bool = False
) -> Made:
    """Write what makes `new` of `old`. Both are checked first; `new.minisig` has to be beside it.

    The same two bundles give the same bytes.

    Raises:
        ShippingError: a bundle is not as it was signed; `delta-backwards`; a file cannot be read or
            written.
    """
    verify(old, key)
    verify(new, key)
    whole = read_small(new.with_name(f"{new.name}.minisig"), _MAX_SIGNATURE_BYTES)
    verify_signature(new, whole, key, is_canonical=True)
    with (
        opened(old) as old_file,
        opened(new) as new_bundle,
        new_file(output, overwrite=overwrite) as part,
    ):
        base, target = _opened(old_file), _opened(new_bundle)
        _require_forward(base.manifest, target.manifest)
        head = DeltaHead(
            base_manifest_sha256=hashlib.sha256(base.raw).hexdigest(),
            bundle_sha256=_file_sha256(new),
        )
        with _Tee(part) as tee:
            writer = Writer(tee, target.manifest.made_at_s)
            for name, data in (
                (DELTA, head.to_bytes()),
                (MANIFEST, target.raw),
                (SIGNATURE, target.signature),
                (WHOLE, whole),
            ):
                writer.add(_entry(name, data), [data])
            for entry in _new_content(base, target.manifest):
                begin = target.begins[entry.sha256]
                writer.add(entry, _chunks(new_bundle, begin, entry.size_bytes))
            writer.finish()
    return _made(output, tee, target.manifest, base)


def apply_delta(
    old: Path, delta: Path, output: Path, key: PublicKey, *, overwrite: bool = False
) -> Made:
    """Make the new bundle, byte for byte, and `output.minisig` beside it.

    `output` is there only when its manifest, every byte of its files and the whole were found to be
    what `key` signed. Nothing of `old` or `delta` is believed.

    Raises:
        ShippingError: `delta-invalid`, `delta-wrong-base`, `delta-base-damaged`, `delta-backwards`,
            those of `bundle.verify.verify`; a file cannot be read or written.
    """
    with opened(old) as old_file, opened(delta) as delta_file:
        base = _opened(old_file)
        reader = Reader(delta_file)
        head, target, whole = _head(reader, key)
        if head.base_manifest_sha256 != hashlib.sha256(base.raw).hexdigest():
            raise ShippingError(
                "delta-wrong-base",
                f"{delta.name} does not begin at {old.name} ({base.manifest.comment})",
                "name the bundle that it was made of, or fetch the whole new one",
            )
        _require_forward(base.manifest, target.manifest)
        with new_file(output, overwrite=overwrite) as part:
            with _Tee(part) as tee:
                _put_together(_Sources(old_file, base, delta_file, reader), target, tee)
            if tee.sha256.hexdigest() != head.bundle_sha256:
                raise _invalid("it does not give the bundle that it names")
            verify_signature(part, whole, key, is_canonical=True)
            verify(part, key)
            signature_path = output.with_name(f"{output.name}.minisig")
            with new_file(signature_path, overwrite=True) as signature_part:  # first, or no bundle
                signature_part.write_bytes(whole)
    return _made(output, tee, target.manifest, base)


class _Sources:
    """Where the content of the new files is: in the old bundle, or next in the delta."""

    def __init__(
        self, old: BufferedReader, base: _Opened, delta: BufferedReader, reader: Reader
    ) -> None:
        self._old = old
        self._base = base
        self._delta = delta
        self._reader = reader
        self._kept: dict[str, int] = {}

    def write(self, entry: FileEntry, made_at_s: int, tee: _Tee) -> None:
        """Append a file to the new bundle: header, content, filling."""
        tee.write(
            header(entry.path, entry.size_bytes, made_at_s, is_executable=entry.is_executable)
        )
        if entry.sha256 in self._base.begins:
            self._copy(self._old, self._base.begins[entry.sha256], entry, tee, "delta-base-damaged")
        elif entry.sha256 in self._kept:
            goes_on_at = self._delta.tell()
            self._copy(self._delta, self._kept[entry.sha256], entry, tee, "delta-invalid")
            self._delta.seek(goes_on_at)
        else:
            head_bytes = len(header(entry.path, entry.size_bytes, made_at_s))
            self._kept[entry.sha256] = self._delta.tell() + head_bytes
            self._reader.file(entry, made_at_s, tee.write)
        tee.write(padding(entry.size_bytes))

    def finish(self) -> None:
        """Hold the delta to its end."""
        self._reader.finish()

    def _copy(
        self, source: BufferedReader, begin: int, entry: FileEntry, tee: _Tee, code: str
    ) -> None:
        sha256 = hashlib.sha256()
        for chunk in _chunks(source, begin, entry.size_bytes):
            sha256.update(chunk)
            tee.write(chunk)
        if sha256.hexdigest() != entry.sha256:
            raise ShippingError(
                code,
                f"{source.name} does not hold {entry.path} as its list says",
                "check it with: edge-assistant bundle verify",
            )


def _put_together(sources: _Sources, target: _Opened, tee: _Tee) -> None:
    made_at_s = target.manifest.made_at_s
    for name, data in ((MANIFEST, target.raw), (SIGNATURE, target.signature)):
        Writer(tee, made_at_s).add(_entry(name, data), [data])
    for entry in target.manifest.files:
        sources.write(entry, made_at_s, tee)
    sources.finish()
    Writer(tee, made_at_s).finish()


def _head(reader: Reader, key: PublicKey) -> tuple[DeltaHead, _Opened, bytes]:
    limits = {
        DELTA: MAX_DELTA_BYTES,
        MANIFEST: MAX_MANIFEST_BYTES,
        SIGNATURE: _MAX_SIGNATURE_BYTES,
        WHOLE: _MAX_SIGNATURE_BYTES,
    }
    found = [reader.small(name, limit_bytes) for name, limit_bytes in limits.items()]
    (raw_head, raw, signature, whole), times_s = zip(*found, strict=True)
    head = parse_head(raw_head)
    verify_signature(raw, signature, key, is_canonical=True)
    manifest = parse(raw)
    if set(times_s) != {manifest.made_at_s}:
        raise _invalid("its times are not those of the bundle")
    return head, _Opened(raw=raw, signature=signature, manifest=manifest, begins={}), whole


def parse_head(data: bytes) -> DeltaHead:
    """Read `delta.json`, which nobody vouches for.

    Raises:
        ShippingError: `delta-invalid`.
    """
    try:
        raw: Any = json.loads(data)
        if raw.pop("kind") != KIND or raw.pop("schema") != SCHEMA:
            raise ValueError("a kind or schema that this version does not know")
        head = DeltaHead(**raw)
        hashes = (head.base_manifest_sha256, head.bundle_sha256)
        if not all(type(each) is str and _SHA256.fullmatch(each) for each in hashes):
            raise ValueError("a hash that is none")
        if head.to_bytes() != data:
            raise ValueError("not in its canonical form")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _invalid(f"{type(error).__name__}: {error}"[:200]) from error
    return head


def _opened(file: BufferedReader) -> _Opened:
    """Read the beginning of a bundle, and reckon where its files lie; nothing is verified."""
    file.seek(0)
    reader = Reader(file)
    raw, made_at_s = reader.small(MANIFEST, MAX_MANIFEST_BYTES)
    signature, _ = reader.small(SIGNATURE, _MAX_SIGNATURE_BYTES)
    manifest = parse(raw)
    at = file.tell()
    begins: dict[str, int] = {}
    for entry in manifest.files:
        at += len(header(entry.path, entry.size_bytes, made_at_s))
        begins.setdefault(entry.sha256, at)
        at += entry.size_bytes + len(padding(entry.size_bytes))
    return _Opened(raw=raw, signature=signature, manifest=manifest, begins=begins)


def _new_content(base: _Opened, manifest: Manifest) -> Iterator[FileEntry]:
    seen = set(base.begins)
    for entry in manifest.files:
        if entry.sha256 not in seen:
            seen.add(entry.sha256)
            yield entry


def _chunks(file: BufferedReader, begin: int, size_bytes: int) -> Iterator[bytes]:
    """Up to so many bytes from there; fewer where the file ends."""
    file.seek(begin)
    while size_bytes and (chunk := file.read(min(size_bytes, CHUNK_BYTES))):
        size_bytes -= len(chunk)
        yield chunk


def _entry(name: str, data: bytes) -> FileEntry:
    return FileEntry(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def _require_forward(old: Manifest, new: Manifest) -> None:
    """An update goes to the same product, and to a larger build of it."""
    if (old.name, old.platform, old.profile) != (new.name, new.platform, new.profile):
        raise ShippingError(
            "delta-other-line",
            f"{new.comment} is no update of {old.comment}",
            "take the bundle with the same name, platform and profile",
        )
    if new.build <= old.build:
        raise ShippingError(
            "delta-backwards",
            f"the new bundle has build {new.build}, the old one {old.build}",
            "build the new one with a larger --build",
        )


class _Tee:
    """A file that is being written, its size and its hash."""

    def __init__(self, part: Path) -> None:
        self._file = part.open("wb")
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> _Tee:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes, /) -> None:
        """Append."""
        self._file.write(data)
        self.sha256.update(data)
        self.size_bytes += len(data)


def _made(path: Path, tee: _Tee, manifest: Manifest, base: _Opened) -> Made:
    copied = (each.size_bytes for each in manifest.files if each.sha256 in base.begins)
    return Made(
        path=path,
        size_bytes=tee.size_bytes,
        sha256=tee.sha256.hexdigest(),
        manifest=manifest,
        copied_bytes=sum(copied),
    )


def _file_sha256(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, hashlib.sha256).hexdigest()


def _invalid(why: str) -> ShippingError:
    return ShippingError(
        "delta-invalid", f"the delta is not sound: {why}", "fetch it again, or the whole bundle"
    )
