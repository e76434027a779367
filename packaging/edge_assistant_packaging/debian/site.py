"""Lays wheels out as an environment for a Python that is somewhere else.

Neither `venv` nor `pip` is run: both write the paths of this machine into what they make.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable
from email.parser import HeaderParser
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from edge_assistant_packaging.errors import ShippingError

_TAGGED: Final = re.compile(r"-cp3(\d+)-cp3\d+-")
_LEFT_OUT: Final = {
    # CMake's install folders: a second copy of llama_cpp/lib, programs, and headers.
    "llama_cpp_python": ("lib/*", "bin/*", "include/*"),
    # 6.6 MB that only numpy's authors run.
    "numpy": ("*/tests/*",),
}


def python_of(wheels: Iterable[Path]) -> str:
    """The one version of Python that all of the wheels run on, as `3.11`.

    Raises:
        ShippingError: `wheels-mixed`: there is none, or nothing says which.
    """
    tags = {match[1] for each in wheels if (match := _TAGGED.search(each.name))}
    if len(tags) != 1:
        raise ShippingError(
            "wheels-mixed",
            f"these wheels are for {len(tags)} versions of Python: {sorted(tags)}",
            "make the folder again for one version, and use an empty one",
        )
    return f"3.{tags.pop()}"


def lay_out(wheels: Iterable[Path], environment: Path, python: str) -> Path:
    """Make a virtual environment of `/usr/bin/pythonX.Y` and fill it; returns its site-packages."""
    site = environment / "lib" / f"python{python}" / "site-packages"
    site.mkdir(parents=True)
    programs = environment / "bin"
    programs.mkdir()
    for name in ("python", "python3", f"python{python}"):
        (programs / name).symlink_to(f"/usr/bin/python{python}")
    (environment / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
    )
    for wheel in sorted(wheels):
        spread(wheel, site)
    link_copies(site)
    return site


def spread(wheel: Path, site: Path) -> None:
    """Unpack a wheel after a look at every hash of its RECORD; no scripts, no data folders.

    Raises:
        ShippingError: `wheel-damaged`.
    """
    left_out = _LEFT_OUT.get(wheel.name.partition("-")[0], ())
    with zipfile.ZipFile(wheel) as archive:
        hashes = _record(archive)
        for info in archive.infolist():
            name = info.filename
            if name.endswith("/") or ".data/" in name.partition("/")[0] + "/":
                continue
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise _damaged(wheel, f"the path {name!r}")
            if any(fnmatchcase(name, pattern) for pattern in left_out):
                continue
            data = archive.read(info)
            if not name.endswith("/RECORD") and hashes.get(name) != _digest(data):
                raise _damaged(wheel, f"{name} is not what its RECORD says")
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def link_copies(site: Path) -> None:
    """Turn `libx.so` and `libx.so.0` into links: a wheel can only hold three copies of a file."""
    for longest in sorted(site.rglob("*.so.*.*")):
        content = longest.read_bytes()
        stem = longest.name.partition(".so")[0]
        for other in sorted(longest.parent.glob(f"{stem}.so*")):
            if other != longest and not other.is_symlink() and other.read_bytes() == content:
                other.unlink()
                other.symlink_to(longest.name)


def licence_of(wheel: Path) -> tuple[str, str, str]:
    """Name, version and licence of a wheel, as its metadata say."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (
            each
            for each in archive.namelist()
            if each.endswith(".dist-info/METADATA") and each.count("/") == 1
        )
        headers = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
    classified = [
        each.rpartition(" :: ")[2]
        for each in headers.get_all("Classifier", [])
        if each.startswith("License :: ")
    ]
    said = headers["License-Expression"] or (headers["License"] or "").partition("\n")[0].strip()
    return headers["Name"], headers["Version"], said or ", ".join(classified) or "not stated"


def _record(archive: zipfile.ZipFile) -> dict[str, str]:
    (name,) = (
        each
        for each in archive.namelist()
        if each.endswith(".dist-info/RECORD") and each.count("/") == 1
    )
    rows = csv.reader(io.StringIO(archive.read(name).decode()))
    return {row[0]: row[1] for row in rows if row}


def _digest(data: bytes) -> str:
    raw = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + raw.rstrip(b"=").decode()


def _damaged(wheel: Path, why: str) -> ShippingError:
    return ShippingError("wheel-damaged", f"{wheel.name}: {why}", f"make {os.fspath(wheel)} again")
