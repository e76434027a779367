"""Makes the wheel of llama.cpp that the builder gives fit for a machine without a compiler.

The builder's wheel has everything twice: in `llama_cpp/`, which Python loads, and in `lib/`,
`include/` and `bin/` for programmers, where libraries ask for OpenSSL. And it asks for
`libgomp.so.1`, which comes with compilers; a small system has none. The libraries look beside
themselves first (RUNPATH `$ORIGIN`), so that it is put there.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Final

from edge_assistant_packaging.epoch import zip_time

OPENMP: Final = "libgomp.so.1"
_PACKAGE: Final = "llama_cpp/"
_LIBRARIES: Final = "llama_cpp/lib/"


def repack(wheel: Path, folder: Path, openmp: Path | None, made_at_s: int) -> Path:
    """Write the wheel anew, under the same name; the same input gives the same bytes.

    Args:
        wheel: as the builder made it.
        folder: to write to, another one.
        openmp: the library to put beside the others if they ask for it; None for none.
        made_at_s: the time of every member, as near as a zip file can have it.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = {
            each.filename: archive.read(each)
            for each in archive.infolist()
            if not each.is_dir() and _is_kept(each.filename)
        }
    record = next(name for name in members if name.endswith(".dist-info/RECORD"))
    del members[record]
    if openmp is not None and asks_for_openmp(members):
        members[_LIBRARIES + OPENMP] = openmp.read_bytes()
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(members.items())]
    members[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    path = folder / wheel.name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # RECORD comes last, as the standard recommends.
        for name, data in sorted(members.items(), key=lambda each: (each[0] == record, each[0])):
            info = zipfile.ZipInfo(name, zip_time(made_at_s))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100755 if ".so" in name else 0o100644) << 16
            archive.writestr(info, data)
    return path


def asks_for_openmp(members: dict[str, bytes]) -> bool:
    """Whether a library names GCC's OpenMP and none is with it."""
    return _LIBRARIES + OPENMP not in members and any(
        OPENMP.encode() + b"\0" in data
        for name, data in members.items()
        if name.startswith(_LIBRARIES)
    )


def _is_kept(name: str) -> bool:
    return name.startswith(_PACKAGE) or ".dist-info/" in name


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
