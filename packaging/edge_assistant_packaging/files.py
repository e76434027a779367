"""Files that are read with care, and files that are there as a whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from edge_assistant.atomic import whole_file
from edge_assistant_packaging.errors import ShippingError


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a pipe or device would block or never end.

    Raises:
        ShippingError: `file-missing`, `not-a-file`, `file-unreadable`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ShippingError(
            "file-missing", f"{path} is not there", f"check the path with: ls -l {path.parent}"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ShippingError("not-a-file", f"{path} is not a regular file", "name the file itself")
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read_small(path: Path, limit_bytes: int) -> bytes:
    """Read a file that is known to be small: a key, a signature, a list.

    Raises:
        ShippingError: as `opened`; `file-too-large`.
    """
    with opened(path) as file:
        try:
            data = file.read(limit_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(data) > limit_bytes:
        raise ShippingError(
            "file-too-large",
            f"{path} has more than {limit_bytes} bytes and is not what it should be",
            "check that you named the right file",
        )
    return data


@contextmanager
def new_file(path: Path, *, is_private: bool = False, overwrite: bool = False) -> Iterator[Path]:
    """Give a hidden neighbour of `path` to write to; in the end it takes that name. See
    `edge_assistant.atomic.whole_file`.

    Args:
        path: the file to make, in a folder that is there.
        is_private: only this user may read or write the file (0600); else as the umask has it.
        overwrite: replace a file that is there.

    Raises:
        ShippingError: `output-exists`, `output-unwritable`.
    """
    require_place(path, overwrite=overwrite)
    try:
        with whole_file(path) as part:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(part, flags, 0o600 if is_private else 0o666))
            yield part
    except OSError as error:
        raise ShippingError(
            "output-unwritable",
            f"{path} cannot be written: {error.strerror or error}",
            "choose a folder that is there, with room in it",
        ) from error


def require_place(path: Path, *, overwrite: bool) -> None:
    """Find out whether `new_file` could begin; for what takes long before it.

    Raises:
        ShippingError: `output-exists`, `output-unwritable`.
    """
    if os.path.lexists(path) and not overwrite:
        raise ShippingError(
            "output-exists", f"{path} is there already", "name another output, or --overwrite"
        )
    if path.is_dir():
        raise ShippingError("output-unwritable", f"{path} is a folder", "name a file in it")
    if not path.parent.is_dir():
        raise ShippingError(
            "output-unwritable",
            f"{path} cannot be written: there is no folder {path.parent}",
            "choose a folder that is there, with room in it",
        )


def forget_foreign(path: Path) -> None:
    """Remove what is at a name that can be guessed, unless it is a plain file of this user's.

    In a folder that others may write to, a link there would have us write to where it leads, and
    its owner could change a file after it was checked.

    Raises:
        ShippingError: `output-unwritable`.
    """
    try:
        found = path.lstat()
        is_own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        if not is_own or found.st_uid != os.geteuid():
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ShippingError(
            "output-unwritable",
            f"{path} is in the way: {error.strerror or error}",
            "choose a folder that only you may write to",
        ) from error


def _unreadable(path: Path, error: OSError) -> ShippingError:
    return ShippingError(
        "file-unreadable", f"{path} cannot be read: {error.strerror}", f"try: ls -l {path}"
    )
