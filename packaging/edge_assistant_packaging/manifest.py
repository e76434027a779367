"""What is in a bundle, every file with its hash: the one thing that is signed.

The manifest is canonical JSON, so that the same content is the same bytes on every machine.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from edge_assistant_packaging.errors import ShippingError

SCHEMA: Final = 1
TOP: Final = "edge-assistant-bundle"
"""The one folder at the top of the archive."""
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.json.minisig"
PLATFORMS: Final = ("linux-x86_64", "linux-aarch64")
MAX_MANIFEST_BYTES: Final = 1 << 22
MAX_FILES: Final = 10_000
MAX_PATH_BYTES: Final = 200
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"[A-Za-z0-9_+@=,~!-][A-Za-z0-9._+@=,~!-]*|\.[A-Za-z0-9][A-Za-z0-9._-]*")
"""One name of a path: no control characters, no blanks, nothing that a shell or Windows minds."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FileEntry:
    """One file of the bundle."""

    path: str
    """Below `TOP`, with slashes."""
    size_bytes: int
    sha256: str
    is_executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All of a bundle but itself and its signature."""

    name: str
    version: str
    """Of the assistant, PEP 440."""
    build: int
    """Counts up; an update with a smaller one is refused."""
    platform: str
    profile: str
    python: str
    """`3.11`: the wheels are for this one."""
    cpu_flags: str
    """How llama.cpp was compiled, in words: for which processors the bundle is."""
    is_permissive_only: bool
    made_at_s: int
    """SOURCE_DATE_EPOCH, so that two builds are the same."""
    files: tuple[FileEntry, ...]
    """By path."""

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, one newline at the end."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True, separators=(",", ":"))
        return text.encode() + b"\n"


def parse(data: bytes) -> Manifest:
    """Read a manifest, which nobody vouches for yet.

    Raises:
        ShippingError: `manifest-invalid`.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise _invalid(f"it has {len(data)} bytes")
    try:
        raw: Any = json.loads(data)
        manifest = _checked(raw)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _invalid(str(error)) from error
    if manifest.to_bytes() != data:
        raise _invalid("it is not in its canonical form")
    return manifest


def is_safe(path: str) -> bool:
    """Whether a path stays below the folder that it is unpacked in, and is one name for all."""
    parts = path.split("/")
    return (
        len(path.encode()) <= MAX_PATH_BYTES
        and all(_PART.fullmatch(part) for part in parts)
        and str(PurePosixPath(path)) == path
    )


def _checked(raw: Any) -> Manifest:
    if raw.pop("schema") != SCHEMA:
        raise ValueError("a schema that this version does not know")
    entries = raw.pop("files")
    if len(entries) > MAX_FILES:
        raise ValueError(f"{len(entries)} files")
    files = tuple(FileEntry(**entry) for entry in entries)
    manifest = Manifest(**raw, files=files)
    texts = (manifest.name, manifest.version, manifest.profile, manifest.python, manifest.cpu_flags)
    if not all(type(each) is str for each in texts) or manifest.platform not in PLATFORMS:
        raise ValueError("a field of the wrong type, or a platform that is not known")
    numbers = (manifest.build, manifest.made_at_s, *(each.size_bytes for each in files))
    if not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError("a number that is none")
    if type(manifest.is_permissive_only) is not bool:
        raise ValueError("is_permissive_only is neither true nor false")
    paths = [each.path for each in files]
    for each in files:
        if not is_safe(each.path) or each.path in (MANIFEST, SIGNATURE):
            raise ValueError(f"the path {each.path!r}")
        if not _SHA256.fullmatch(each.sha256) or type(each.is_executable) is not bool:
            raise ValueError(f"the entry of {each.path!r}")
    if paths != sorted(paths) or len({path.casefold() for path in paths}) != len(paths):
        raise ValueError("paths out of order, or alike but for case")
    return manifest


def _invalid(why: str) -> ShippingError:
    return ShippingError(
        "manifest-invalid",
        f"the bundle's manifest is not sound: {why}",
        "fetch the bundle again; do not install it",
    )
