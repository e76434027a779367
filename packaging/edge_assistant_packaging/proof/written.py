"""What a program has written, from its system calls and from the folders that it had to itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_assistant_packaging.proof.system_calls import Call, described

MAX_FILE_BYTES: Final = 256 << 20
"""More than this of one file is not read."""

_OPENS: Final = frozenset({"open", "openat", "openat2", "creat"})
WRITES: Final = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2"})
_COPIES: Final = {"sendfile": 0, "copy_file_range": 1, "splice": 1}
"""Calls that fill a file from another descriptor, and which descriptor of theirs is the file."""
_FOR_WRITING: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_APPEND|O_TMPFILE")
_DESCRIPTORS: Final = re.compile(r"\d+<[^>]*>")
_NO_FILES: Final = ("/dev/null", "/dev/tty", "/dev/pts/", "/proc/", "/sys/")
_GONE: Final = " (deleted)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One thing that may hold what was said."""

    place: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What the system calls say was written."""

    files: frozenset[str]
    """Opened for writing, made, or the new name of one that was."""
    streams: dict[str, bytes]
    """By path: all that was written to it, one after the other."""
    unseen: tuple[str, ...]
    """Files that were filled by means that a trace does not show."""
    memory_files: int
    """Calls of `memfd_create`: memory with a name, which no disk sees."""
    cut: tuple[str, ...]
    """Paths of writes too long for the trace."""


def traced(calls: Sequence[Call]) -> Traced:
    """Go through a trace."""
    files: set[str] = set()
    streams: dict[str, bytearray] = {}
    unseen: set[str] = set()
    cut: set[str] = set()
    for call in (each for each in calls if not each.failed):
        if call.name in _OPENS and (call.name == "creat" or _FOR_WRITING.search(call.arguments)):
            files |= set(_file(call.path_of_result()))
        elif call.name in WRITES:
            for path in _file(call.path_of_descriptor()):
                streams.setdefault(path, bytearray()).extend(b"".join(call.strings()))
                if call.is_cut:
                    cut.add(path)
        elif call.name.startswith("rename") and call.strings():
            files |= set(_file(_absolute(call)))
        elif call.name in _COPIES:
            found = _DESCRIPTORS.findall(call.arguments)[_COPIES[call.name] :][:1]
            unseen |= {path for each in found for path in _file(described(each))}
        elif (
            call.name == "mmap"
            and "MAP_SHARED" in call.arguments
            and ("PROT_WRITE" in call.arguments)
        ):
            found = _DESCRIPTORS.findall(call.arguments)
            unseen |= {path for each in found for path in _file(described(each))}
    return Traced(
        files=frozenset(files | streams.keys() | unseen),
        streams={path: bytes(data) for path, data in streams.items()},
        unseen=tuple(sorted(unseen)),
        memory_files=sum(call.name == "memfd_create" for call in calls),
        cut=tuple(sorted(cut)),
    )


def to_search(seen: Traced, folders: Sequence[Path]) -> Iterator[Written]:
    """Everything that was written: whole files that are there, and streams of those that are not.

    Args:
        seen: what the trace tells.
        folders: everything below them is searched, traced or not.
    """
    paths = {str(path) for folder in folders for path in _below(folder)}
    kept: list[bytes] = []
    for place in sorted(paths | seen.files):
        there = Path(place)
        if there.is_file() and not there.is_symlink():
            with there.open("rb") as file:
                kept.append(file.read(MAX_FILE_BYTES))
            yield Written(place=place, data=kept[-1])
    for place, stream in sorted(seen.streams.items()):
        if not any(stream in data for data in kept):  # under this name or, renamed, another
            yield Written(place=f"{place} (as it was written)", data=stream)


def unsearchable(seen: Traced) -> list[str]:
    """Files that are gone and whose content the trace does not have, whole."""
    lost = []
    for path in seen.files:
        is_there = Path(path).is_file()
        if is_there and Path(path).stat().st_size > MAX_FILE_BYTES:
            lost.append(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
        elif not is_there and (path in seen.unseen or path in seen.cut):
            lost.append(f"{path} was written unseen (mmap, sendfile) and removed")
    return sorted(lost)


def _below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _file(path: str) -> list[str]:
    """The path, if it is one of a file that keeps what is written to it."""
    plain = path.removesuffix(_GONE)
    is_one = plain.startswith("/") and not plain.startswith((*_NO_FILES, "/memfd:"))
    return [plain] if is_one else []


def _absolute(call: Call) -> str:
    """Of the new name in a rename, whose folder may be a descriptor."""
    name = os.fsdecode(call.strings()[-1])
    folders = [described(each) for each in re.findall(r"\w+<[^>]*>", call.arguments)]
    return str(Path(folders[-1]) / name) if folders else name
