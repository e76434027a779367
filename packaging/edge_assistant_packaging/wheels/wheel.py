"""What a wheel says of itself, and what its libraries are for."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from edge_assistant.errors import ModelError
from edge_assistant.store.hashing import digest
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels.target import ELF_MACHINES, Target

_MAX_METADATA_BYTES: Final = 4_000_000
_MAX_LIBRARY_BYTES: Final = 500_000_000
_BROKEN: Final = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What `zipfile` raises; RuntimeError where a member is encrypted or of a kind that it cannot."""
_LIBRARY: Final = re.compile(r"\.so(\.[0-9]+)*$")
_GLIBC: Final = re.compile(rb"\0GLIBC_2\.([0-9]{1,2})(?=[\0.])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file of the wheelhouse."""

    path: Path
    name: str
    """As packages are compared: lower case, hyphens."""
    version: str
    sha256: str
    size_bytes: int
    metadata: Message

    @property
    def requirements(self) -> tuple[str, ...]:
        """What it needs, extras aside."""
        needs = self.metadata.get_all("Requires-Dist") or []
        return tuple(each for each in needs if "extra ==" not in each)


def read(path: Path) -> Wheel:
    """Read the metadata of a wheel and hash it.

    Raises:
        ShippingError: `wheel-broken`.
    """
    from packaging.utils import canonicalize_name, parse_wheel_filename

    with _told(path):
        parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            member = next((name for name in archive.namelist() if _is_metadata(name)), None)
            if member is None:
                raise ValueError("it has no METADATA")
            with archive.open(member) as file:
                text = file.read(_MAX_METADATA_BYTES).decode("utf-8", "replace")
        hashed = digest(path)
    metadata = HeaderParser().parsestr(text)
    return Wheel(
        path=path,
        name=canonicalize_name(str(metadata["Name"])),
        version=str(metadata["Version"]),
        sha256=hashed.sha256,
        size_bytes=hashed.identity.size_bytes,
        metadata=metadata,
    )


def check_target(wheel: Wheel, target: Target) -> None:
    """Make sure that a wheel runs on the target, by its name and by its libraries.

    A wheel tagged `linux_*` was built by somebody here and promises no C library, so the versions
    that its libraries ask for are looked up in them. All of it is read once: who installs the
    bundle has no other wheel to take.

    Raises:
        ShippingError: `wheel-broken`, `wheel-of-another-platform`, `wheel-needs-newer-glibc`.
    """
    name = wheel.path.name
    if not target.takes(name):
        raise _foreign(name, target, "its tags are for another one")
    with _told(wheel.path):
        _require_whole(wheel.path)
        libraries = list(_libraries(wheel.path))
    for member, head in libraries:
        machine = struct.unpack_from("<H", head, 18)[0] if len(head) >= 20 else 0
        if machine != ELF_MACHINES[target.machine]:
            raise _foreign(name, target, f"{member} is for ELF machine {machine}")
    if f"-linux_{target.machine}" in name:
        needed = glibc_needed(wheel.path)
        if needed > target.glibc[1]:
            raise ShippingError(
                "wheel-needs-newer-glibc",
                f"{name} needs glibc 2.{needed}, the target has 2.{target.glibc[1]}",
                "build it on a system as old as the target, and give --wheels-from",
            )


def glibc_needed(path: Path) -> int:
    """The newest `GLIBC_2.x` that a library in the wheel asks for; 0 for none."""
    newest = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _LIBRARY.search(member.filename) and member.file_size < _MAX_LIBRARY_BYTES:
                found = _GLIBC.findall(archive.read(member))
                newest = max([newest, *(int(each) for each in found)])
    return newest


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever is wrong in a zip file, in one sentence."""
    try:
        yield
    except (*_BROKEN, ModelError) as error:
        why = str(error) or type(error).__name__
        raise ShippingError(
            "wheel-broken", f"{path.name} is no sound wheel: {why}", f"remove {path}"
        ) from error


def _require_whole(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (member := archive.testzip()) is not None:
            raise ValueError(f"{member} is damaged")


def _libraries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and ELF header of every shared library."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not _LIBRARY.search(member.filename):
                continue
            with archive.open(member) as file:
                head = file.read(20)
            if head[:4] == b"\x7fELF":
                yield member.filename, head


def _is_metadata(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".dist-info/METADATA")


def _foreign(name: str, target: Target, why: str) -> ShippingError:
    return ShippingError(
        "wheel-of-another-platform",
        f"{name} does not run on {target.platform} with Python {target.python}: {why}",
        "take it out of the folder of --wheels-from",
    )
