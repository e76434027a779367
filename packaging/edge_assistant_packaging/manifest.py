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
MAX_NUMBER: Final = 8**11 - 1
"""What a field of an archive's header holds: 8 GiB of a file, the year 2242."""
SUMS: Final = "SHA256SUMS"
"""The files again, for `sha256sum -c`; all but itself, `MANIFEST` and `SIGNATURE`."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"\.?[A-Za-z0-9_][A-Za-z0-9._+@=,~!-]*(?<!\.)")
"""One name of a path: no control characters, no blanks, nothing that a shell or Windows minds."""
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,63}")
_PYTHON: Final = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}")
_FEATURES: Final = re.compile(r"([a-z0-9_]+( [a-z0-9_]+)*)?")
_LINE: Final = re.compile(r"[ -~]{0,1000}")


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
    cpu_features: str
    """Words of /proc/cpuinfo that each core has to have, with blanks between them; `install.sh`
    refuses a processor without one of them."""
    is_permissive_only: bool
    made_at_s: int
    """SOURCE_DATE_EPOCH, so that two builds are the same."""
    files: tuple[FileEntry, ...]
    """By path."""

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, one newline at the end."""
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True, separators=(",", ":"))
        return text.encode() + b"\n"

    @property
    def comment(self) -> str:
        """The trusted comment of its signature: what it is, and nothing of the clock."""
        return (
            f"edge-assistant bundle {self.name} {self.version} build {self.build} "
            f"{self.platform} {self.profile}"
        )


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
        raise _invalid(f"{type(error).__name__}: {error}"[:200]) from error
    if manifest.to_bytes() != data:
        raise _invalid("it is not in its canonical form")
    return manifest


def is_word(text: str) -> bool:
    """Whether it can be a name, version or profile."""
    return _WORD.fullmatch(text) is not None


def is_safe(path: str) -> bool:
    """Whether a path stays below the folder that it is unpacked in, and is one name for all."""
    return len(path) <= MAX_PATH_BYTES and all(map(_PART.fullmatch, path.split("/")))


def check(manifest: Manifest) -> None:
    """Hold a manifest to what every bundle has to be.

    Raises:
        ValueError: why not.
    """
    words = (manifest.name, manifest.version, manifest.profile)
    if not all(type(each) is str and is_word(each) for each in words):
        raise ValueError(f"a name, version or profile that is none: {words}")
    if not _PYTHON.fullmatch(manifest.python):
        raise ValueError(f"the Python {manifest.python!r} (it is written as 3.11)")
    if not _LINE.fullmatch(manifest.cpu_flags):
        raise ValueError("the cpu_flags, which are one line of ASCII")
    if not _FEATURES.fullmatch(manifest.cpu_features) or len(manifest.cpu_features) > 200:
        raise ValueError("the cpu_features, which are words of /proc/cpuinfo")
    if manifest.platform not in PLATFORMS:
        raise ValueError(f"the platform {manifest.platform!r}, not one of {', '.join(PLATFORMS)}")
    numbers = (manifest.build, manifest.made_at_s, *(each.size_bytes for each in manifest.files))
    if not all(type(each) is int and 0 <= each <= MAX_NUMBER for each in numbers):
        raise ValueError("a number that is none, or too large")
    if type(manifest.is_permissive_only) is not bool:
        raise ValueError("is_permissive_only is neither true nor false")
    if len(manifest.files) > MAX_FILES:
        raise ValueError(f"{len(manifest.files)} files")
    for each in manifest.files:
        if type(each.path) is not str or not is_safe(each.path):
            raise ValueError(f"the path {each.path!r}")
        if not _SHA256.fullmatch(each.sha256) or type(each.is_executable) is not bool:
            raise ValueError(f"the entry of {each.path!r}")
    _check_together([each.path for each in manifest.files])


def _check_together(paths: list[str]) -> None:
    """Every path is in its place, and names one thing also where case does not count."""
    if paths != sorted(paths):
        raise ValueError("paths out of order")
    folders = {parent for path in paths for parent in PurePosixPath(path).parents}
    names = [*paths, *(str(folder) for folder in folders), MANIFEST, SIGNATURE]
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError("paths alike, or alike but for case, or a file that is also a folder")


def _checked(raw: Any) -> Manifest:
    if type(raw) is not dict or type(raw.get("files")) is not list:
        raise ValueError("it is no manifest")
    if raw.pop("schema") != SCHEMA:
        raise ValueError("a schema that this version does not know")
    files = tuple(FileEntry(**entry) for entry in raw.pop("files")[: MAX_FILES + 1])
    manifest = Manifest(**raw, files=files)
    check(manifest)
    return manifest


def _invalid(why: str) -> ShippingError:
    return ShippingError(
        "manifest-invalid",
        f"the bundle's manifest is not sound: {why}",
        "fetch the bundle again; do not install it",
    )
