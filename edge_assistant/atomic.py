"""Files that are there as a whole or not at all. A leaf: it knows no room."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

Buffer = bytes | bytearray | memoryview


def write_atomically(
    path: Path, *parts: Buffer, is_private: bool = False, is_synced: bool = False
) -> None:
    """Put a file with these bytes in the place of `path`, through a neighbour of it.

    Whoever reads `path` meanwhile, or after a failure, finds the old file or none. Any thread, any
    number of processes: the last one wins.

    Args:
        path: in a folder that is there.
        parts: written one after the other.
        is_private: only this user may read or write the file (0600); else as the umask has it.
        is_synced: the bytes are on the disk before the name is, so that a power cut cannot leave
            an empty file. It may take seconds on a slow card.

    Raises:
        OSError: the old file, if any, is as it was.
    """
    mode = 0o600 if is_private else 0o666
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            for part in parts:
                file.write(part)
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a hidden neighbour of `path`, not yet there, to write to; in the end it takes that name.

    The bytes are on the disk before the name is. A process that is killed leaves at most the
    neighbour (`.NAME.<8 hex>.part`), which the next call for the same `path` removes: one process
    at a time.

    Raises:
        OSError: the old file, if any, is as it was.
    """
    for left in path.parent.glob(f".{escape(path.name)}.????????.part"):
        left.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
