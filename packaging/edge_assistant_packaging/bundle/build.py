"""Makes a bundle of a staging folder: hashes it, signs the list, packs it, signs the whole."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, NoReturn

from edge_assistant_packaging.bundle import archive
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import new_file, opened
from edge_assistant_packaging.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    SUMS,
    FileEntry,
    Manifest,
    check,
    is_safe,
)
from edge_assistant_packaging.signing import KeyPair, sign, sign_digest

INSTALLER: Final = "install.sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a manifest says besides its files; see there."""

    name: str
    version: str
    build: int
    platform: str
    profile: str
    python: str
    cpu_flags: str
    cpu_features: str
    is_permissive_only: bool
    made_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A bundle that was made."""

    path: Path
    signature_path: Path
    size_bytes: int
    sha256: str
    manifest: Manifest


def build(
    staging: Path, facts: Facts, output: Path, pair: KeyPair, *, overwrite: bool = False
) -> Built:
    """Make the bundle `output` of all files below `staging`, and `output.minisig` beside it.

    The same staging folder, facts and key give the same bytes. `SHA256SUMS` is made anew, and
    `install.sh` is that of this package where the folder has none.

    Raises:
        ShippingError: `staging-missing`, `staging-unfit`, `file-changed`, `manifest-too-large`,
            `output-exists`, `output-in-staging`, `output-unwritable`.
    """
    if output.resolve().is_relative_to(staging.resolve()):
        raise ShippingError(
            "output-in-staging", f"{output} is in {staging}, which it is made of", "name another"
        )
    contents = _contents(staging)
    manifest = _manifest(facts, contents)
    raw = manifest.to_bytes()
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ShippingError(
            "manifest-too-large", f"a list of {len(manifest.files)} files", "stage fewer files"
        )
    signature = sign(raw, pair, manifest.comment).encode()
    with new_file(output, overwrite=overwrite) as part:
        size_bytes, sha256, digest = _pack(part, manifest, raw, signature, contents)
        signature_path = output.with_name(f"{output.name}.minisig")
        with new_file(signature_path, overwrite=True) as signature_part:  # first, or no bundle
            signature_part.write_text(sign_digest(digest, pair, manifest.comment), "ascii")
    return Built(
        path=output,
        signature_path=signature_path,
        size_bytes=size_bytes,
        sha256=sha256,
        manifest=manifest,
    )


class _Tee:
    """A file, and the hashes of what went into it."""

    def __init__(self, part: Path) -> None:
        self._file = part.open("wb")
        self.sha256 = hashlib.sha256()
        self.blake2b = hashlib.blake2b()
        self.size_bytes = 0

    def write(self, data: bytes, /) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.blake2b.update(data)
        self.size_bytes += len(data)

    def close(self) -> None:
        self._file.close()


def _pack(
    part: Path,
    manifest: Manifest,
    raw: bytes,
    signature: bytes,
    contents: Mapping[str, Path | bytes],
) -> tuple[int, str, bytes]:
    """Write the archive; its size, its SHA-256, and its BLAKE2b for a signature."""
    target = _Tee(part)
    try:
        writer = archive.Writer(target, manifest.made_at_s)
        writer.add(_entry(MANIFEST, raw), [raw])
        writer.add(_entry(SIGNATURE, signature), [signature])
        for entry in manifest.files:
            writer.add(entry, _chunks(contents[entry.path]))
        writer.finish()
    finally:
        target.close()
    return target.size_bytes, target.sha256.hexdigest(), target.blake2b.digest()


def _contents(staging: Path) -> dict[str, Path | bytes]:
    """Every file that is to be in the bundle, by its path there."""
    if not staging.is_dir():
        raise ShippingError("staging-missing", f"there is no folder {staging}", "stage one first")
    found: dict[str, Path | bytes] = {}
    for path in _below(staging):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(staging).as_posix()
        if name in (SUMS, MANIFEST, SIGNATURE):
            continue
        if not stat.S_ISREG(mode):
            raise _unfit(f"{name} is neither a file nor a folder")
        if not is_safe(name):
            raise _unfit(f"{name!r} is no name that a bundle takes")
        found[name] = path
    if INSTALLER not in found:
        found[INSTALLER] = _installer()
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder. `rglob` passes over what it may not read, without a word."""

    def refuse(error: OSError) -> NoReturn:
        raise _unfit(f"{error.filename} cannot be read: {error.strerror}") from error

    for place, folders, files in os.walk(folder, onerror=refuse):
        yield from (Path(place, name) for name in (*folders, *files))


def _installer() -> bytes:
    script = resources.files("edge_assistant_packaging") / "install" / INSTALLER
    if not script.is_file():
        raise _unfit(f"there is no {INSTALLER}")
    return script.read_bytes()


def _manifest(facts: Facts, contents: dict[str, Path | bytes]) -> Manifest:
    """List and hash all; adds the sums to `contents`."""
    entries = [_entry(name, content) for name, content in contents.items()]
    sums = "".join(f"{each.sha256}  {each.path}\n" for each in sorted(entries)).encode()
    contents[SUMS] = sums
    manifest = Manifest(
        name=facts.name,
        version=facts.version,
        build=facts.build,
        platform=facts.platform,
        profile=facts.profile,
        python=facts.python,
        cpu_flags=facts.cpu_flags,
        cpu_features=facts.cpu_features,
        is_permissive_only=facts.is_permissive_only,
        made_at_s=facts.made_at_s,
        files=tuple(sorted([*entries, _entry(SUMS, sums)])),
    )
    try:
        check(manifest)
    except (TypeError, ValueError) as error:
        raise _unfit(str(error)) from error
    return manifest


def _entry(name: str, content: Path | bytes) -> FileEntry:
    size_bytes = 0
    sha256 = hashlib.sha256()
    for chunk in _chunks(content):
        size_bytes += len(chunk)
        sha256.update(chunk)
    if isinstance(content, Path):
        is_executable = bool(content.stat().st_mode & stat.S_IXUSR)
    else:
        is_executable = name == INSTALLER
    return FileEntry(
        path=name,
        size_bytes=size_bytes,
        sha256=sha256.hexdigest(),
        is_executable=is_executable or name == INSTALLER,
    )


def _chunks(content: Path | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with opened(content) as file:
        while chunk := file.read(archive.CHUNK_BYTES):
            yield chunk


def _unfit(why: str) -> ShippingError:
    return ShippingError(
        "staging-unfit", f"this cannot become a bundle: {why}", "mend that, and build it again"
    )
