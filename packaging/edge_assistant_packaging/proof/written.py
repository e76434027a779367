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
_SENDS: Final = frozenset({"sendto", "sendmsg", "sendmmsg"})
WRITES: Final = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2"}) | _SENDS
_NAMES: Final = frozenset(
    {"mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat"}
    | {"rename", "renameat", "renameat2", "setxattr", "lsetxattr", "fsetxattr"}
)
"""Calls that leave words behind without any file's content."""
_COPIES: Final = {"sendfile": 0, "copy_file_range": 1, "splice": 1}
"""Calls that fill a file from another descriptor, and which descriptor of theirs is the file."""
_FOR_WRITING: Final = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_APPEND|O_TMPFILE")
_DESCRIPTORS: Final = re.compile(r"\d+<[^>]*>")
_NO_FILES: Final = ("/dev/null", "/dev/tty", "/dev/pts/", "/proc/", "/sys/")
_GONE: Final = " (deleted)"
_SOCKET: Final = "socket:["


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
    """By path: all that was written to it, one after the other. `socket:[...]` is one that another
    program may read: it has a disk, too."""
    names: bytes
    """Names of files, folders and links, and attributes, one a line."""
    unseen: tuple[str, ...]
    """Files that were filled by means that a trace does not show, or by writes too long for it."""
    lost: tuple[str, ...]
    """Those of them that were emptied, replaced or removed afterwards."""
    memory_files: int
    """Calls of `memfd_create`: memory with a name, which no disk sees."""


def traced(calls: Sequence[Call]) -> Traced:
    """Go through a trace."""
    trace = _Trace()
    done = [call for call in calls if not call.failed]
    for call in done:
        trace.take(call)
    own = {end for call in done if call.name == "socketpair" for end in _ends(call)}
    streams = {path: bytes(data) for path, data in trace.streams.items() if path not in own}
    files = trace.files | trace.unseen | {path for path in streams if path.startswith("/")}
    return Traced(
        files=frozenset(files),
        streams=streams,
        names=b"\n".join(trace.names),
        unseen=tuple(sorted(trace.unseen)),
        lost=tuple(sorted(trace.lost)),
        memory_files=sum(call.name == "memfd_create" for call in calls),
    )


class _Trace:
    """What has become of every file, call by call."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.streams: dict[str, bytearray] = {}
        self.names: list[bytes] = []
        self.unseen: set[str] = set()
        self.lost: set[str] = set()

    def take(self, call: Call) -> None:
        """Take in a call that succeeded."""
        if call.name in _NAMES:
            self.names += call.strings()
        if call.name in _OPENS and (call.name == "creat" or _FOR_WRITING.search(call.arguments)):
            self.names += call.strings()
            self._open(call)
        elif call.name in WRITES:
            self._write(call)
        elif call.name.startswith("rename") and call.strings():
            self._rename(call)
        elif call.name in ("unlink", "unlinkat"):
            self._lose(_absolute(call, -1))
        elif call.name in ("truncate", "ftruncate") and call.arguments.endswith(", 0"):
            self._lose(call.path_of_descriptor() or _absolute(call, -1))
        elif call.name in _COPIES:
            self._fill(_DESCRIPTORS.findall(call.arguments)[_COPIES[call.name] :][:1])
        elif (
            call.name == "mmap"
            and "MAP_SHARED" in call.arguments
            and ("PROT_WRITE" in call.arguments)
        ):
            self._fill(_DESCRIPTORS.findall(call.arguments))

    def _open(self, call: Call) -> None:
        if call.name == "creat" or "O_TRUNC" in call.arguments:
            self._lose(call.path_of_result())
        self.files |= set(_file(call.path_of_result()))

    def _write(self, call: Call) -> None:
        path = call.path_of_descriptor()
        for place in _file(path) or [path] * path.startswith(_SOCKET):
            self.streams.setdefault(place, bytearray()).extend(b"".join(call.strings()))
            if call.is_cut:
                self._fill_path(path)

    def _fill(self, descriptors: Sequence[str]) -> None:
        for each in descriptors:
            self._fill_path(described(each))

    def _fill_path(self, path: str) -> None:
        for place in _file(path) or [path] * path.startswith(_SOCKET):
            self.unseen.add(place)
            if path.endswith(_GONE) or path.startswith(_SOCKET):
                self.lost.add(place)

    def _lose(self, path: str) -> None:
        if path in self.unseen:
            self.lost.add(path)

    def _rename(self, call: Call) -> None:
        before, after = _absolute(call, -2), _absolute(call, -1)
        self.files |= set(_file(after))
        self._lose(after)
        if before in self.unseen:
            self.unseen.remove(before)
            self.unseen.add(after)


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
        if place.startswith(_SOCKET):
            yield Written(place=f"sent to another program through {place}", data=stream)
        elif not any(stream in data for data in kept):  # under this name or, renamed, another
            yield Written(place=f"{place} (as it was written)", data=stream)
    yield Written(place="names and attributes of files", data=seen.names)


def unsearchable(seen: Traced) -> list[str]:
    """Files that are gone and whose content the trace does not have, whole."""
    lost = []
    for path in sorted({*seen.files, *seen.unseen}):
        is_there = Path(path).is_file()
        if is_there and Path(path).stat().st_size > MAX_FILE_BYTES:
            lost.append(f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
        elif path in seen.unseen and (not is_there or path in seen.lost):
            lost.append(
                f"{path} was written unseen (mmap, sendfile, very much at once), and is gone or "
                "was replaced"
            )
    return lost


def _below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)


def _file(path: str) -> list[str]:
    """The path, if it is one of a file that keeps what is written to it."""
    plain = path.removesuffix(_GONE)
    is_one = plain.startswith("/") and not plain.startswith((*_NO_FILES, "/memfd:"))
    return [plain] if is_one else []


def _ends(call: Call) -> list[str]:
    """Of a pair of sockets: its own words to itself."""
    return [described(each) for each in _DESCRIPTORS.findall(call.arguments)]


def _absolute(call: Call, which: int) -> str:
    """Of a name among the arguments, by its place from the end; its folder may be a descriptor."""
    texts = call.strings()
    name = os.fsdecode(texts[which]) if len(texts) >= -which else ""
    folders = [described(each) for each in re.findall(r"\w+<[^>]*>", call.arguments)]
    return str(Path(folders[which]) / name) if folders else name
