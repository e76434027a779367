"""The archive of a bundle: a tar file of which there is only one for the same content.

Writing is plain: GNU tar's headers, regular files only, no owner, one time for all. Reading
interprets nothing: whoever reads knows from the signed manifest which header has to come next,
makes it anew, and compares. So links, devices, long names, sparse files, second names, wrong sizes
and whatever else a tar file can hold are all the same thing here: bytes that should be others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import MAX_NUMBER, TOP, FileEntry

BLOCK_BYTES: Final = 512
CHUNK_BYTES: Final = 1 << 20
END: Final = bytes(2 * BLOCK_BYTES)
_NAME_BYTES: Final = 100
_SIZE: Final = slice(124, 136)
_TIME: Final = slice(136, 148)


class Source(Protocol):
    """Where an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Give up to `size` bytes; none at the end."""


class Target(Protocol):
    """Where an archive is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


def header(path: str, size_bytes: int, made_at_s: int, *, is_executable: bool = False) -> bytes:
    """The one header that a file has here; of a long name, GNU's entry for it goes before.

    Args:
        path: below `TOP`, of characters that `manifest.is_safe` lets through.
        size_bytes: of the file, at most `MAX_NUMBER`.
        made_at_s: at most `MAX_NUMBER`.
        is_executable: 0755, else 0644.
    """
    name = f"{TOP}/{path}".encode("ascii")
    mode = 0o755 if is_executable else 0o644
    if len(name) <= _NAME_BYTES:
        return _block(name, mode, size_bytes, made_at_s, b"0")
    long = name + b"\0"
    return (
        _block(b"././@LongLink", 0, len(long), 0, b"L")
        + long
        + padding(len(long))
        + _block(name[:_NAME_BYTES], mode, size_bytes, made_at_s, b"0")
    )


def padding(size_bytes: int) -> bytes:
    """The zeros after so many bytes, up to the next block."""
    return bytes(-size_bytes % BLOCK_BYTES)


class Writer:
    """Writes the files of an archive one after the other."""

    def __init__(self, target: Target, made_at_s: int) -> None:
        self._target = target
        self._made_at_s = made_at_s

    def add(self, entry: FileEntry, chunks: Iterable[bytes]) -> None:
        """Append a file.

        Raises:
            ShippingError: `file-changed`: the chunks are not what `entry` says.
        """
        self._target.write(
            header(entry.path, entry.size_bytes, self._made_at_s, is_executable=entry.is_executable)
        )
        sha256 = hashlib.sha256()
        left_bytes = entry.size_bytes
        for chunk in chunks:
            left_bytes -= len(chunk)
            if left_bytes < 0:
                break
            sha256.update(chunk)
            self._target.write(chunk)
        if left_bytes or sha256.hexdigest() != entry.sha256:
            raise ShippingError(
                "file-changed", f"{entry.path} changed while it was being packed", "build it again"
            )
        self._target.write(padding(entry.size_bytes))

    def finish(self) -> None:
        """Append what ends an archive."""
        self._target.write(END)


class Reader:
    """Reads an archive from its first byte to its last, each of which has to be the right one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at_bytes = 0

    def small(self, path: str, limit_bytes: int) -> tuple[bytes, int]:
        """Read a file of which only the name is known: its bytes, and the time in its header.

        Nothing of that is believed: the caller has the content verified.

        Raises:
            ShippingError: `bundle-not-one`, `bundle-altered`, `bundle-truncated`.
        """
        found = self._take(BLOCK_BYTES)
        size_bytes, made_at_s = _number(found[_SIZE]), _number(found[_TIME])
        if size_bytes is None or made_at_s is None or not 0 < size_bytes <= limit_bytes:
            raise _not_one(f"{path} is not where it should be")
        if found != header(path, size_bytes, made_at_s):
            raise _not_one(f"{path} is not where it should be")
        data = self._take(size_bytes)
        self._expect(padding(size_bytes), f"the filling after {path}")
        return data, made_at_s

    def file(self, entry: FileEntry, made_at_s: int, write: Callable[[bytes], object]) -> None:
        """Read the file that has to come now, and hand on its bytes.

        They are not known to be right before this returns; there are never more than
        `entry.size_bytes` of them.

        Raises:
            ShippingError: `bundle-altered`, `bundle-truncated`.
        """
        expected = header(
            entry.path, entry.size_bytes, made_at_s, is_executable=entry.is_executable
        )
        self._expect(expected, f"the header of {entry.path}")
        sha256 = hashlib.sha256()
        left_bytes = entry.size_bytes
        while left_bytes:
            chunk = self._take(min(left_bytes, CHUNK_BYTES))
            left_bytes -= len(chunk)
            sha256.update(chunk)
            write(chunk)
        if sha256.hexdigest() != entry.sha256:
            raise _altered(f"{entry.path} is not what was signed")
        self._expect(padding(entry.size_bytes), f"the filling after {entry.path}")

    def finish(self) -> None:
        """Read the end, after which nothing may come.

        Raises:
            ShippingError: `bundle-altered`, `bundle-truncated`.
        """
        self._expect(END, "the end")
        if self._read(1):
            raise _altered(f"something follows after its end, at byte {self._at_bytes}")

    def _expect(self, expected: bytes, what: str) -> None:
        begins_at = self._at_bytes
        if self._take(len(expected)) != expected:
            raise _altered(f"{what}, at byte {begins_at}, is not what it should be")

    def _take(self, size_bytes: int) -> bytes:
        """Read so many bytes, which are bounded by us or by the signed manifest."""
        data = self._read(size_bytes)
        while len(data) < size_bytes:
            more = self._read(size_bytes - len(data))
            if not more:
                raise ShippingError(
                    "bundle-truncated",
                    f"the bundle ends at byte {self._at_bytes + len(data)}, before it is complete",
                    "fetch it again",
                )
            data += more
        self._at_bytes += size_bytes
        return data

    def _read(self, size_bytes: int) -> bytes:
        try:
            return self._source.read(size_bytes)
        except OSError as error:
            raise ShippingError(
                "file-unreadable",
                f"the bundle cannot be read at byte {self._at_bytes}: {error.strerror or error}",
                "copy it to another disk and try again",
            ) from error


def _block(name: bytes, mode: int, size_bytes: int, made_at_s: int, kind: bytes) -> bytes:
    """One header as GNU tar writes it (`tar.h`: magic and version in one, no names of owners)."""
    if max(size_bytes, made_at_s) > MAX_NUMBER:
        raise ValueError("a number that no header can hold")
    fields = b"".join(
        (
            name.ljust(_NAME_BYTES, b"\0"),
            b"%07o\0" % mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            b"%011o\0" % size_bytes,
            b"%011o\0" % made_at_s,
            b" " * 8,
            kind,
            bytes(100),
            b"ustar  \0",
        )
    ).ljust(BLOCK_BYTES, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def _number(field: bytes) -> int | None:
    digits = field[:-1]
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else None


def _not_one(why: str) -> ShippingError:
    return ShippingError(
        "bundle-not-one",
        f"this is not a bundle of edge-assistant, or it was changed: {why}",
        "check that you named the right file; fetch it again",
    )


def _altered(why: str) -> ShippingError:
    return ShippingError(
        "bundle-altered", f"the bundle is not as it was signed: {why}", "fetch it again"
    )
