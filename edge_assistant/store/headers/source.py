"""Bounded reading of a file that may lie about itself."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_BLOCK_BYTES = 1 << 13
_PEEK_BYTES = 1 << 18


class HeaderFault(Exception):
    """The bytes do not add up. Caught in `inspect`, which says which file."""


class ByteSource:
    """Reads at any offset of a file, through one block of cache; never past its end.

    No memory map: a file that shrinks while mapped would kill the process with SIGBUS.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        self._block = b""
        self._block_start = 0

    def budget(self, base: int, bytes_each: int, most: int) -> int:
        """Return how many small things of a kind the header may hold: more in a larger file.

        Looking at each takes time, so a small file must not ask for much, and a large one for no
        more time than its hash takes.
        """
        return min(most, base + self.size_bytes // bytes_each)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """Return exactly `count` bytes.

        Raises:
            HeaderFault: they are not all inside the file.
        """
        start = offset - self._block_start
        if start >= 0 and count >= 0 and start + count <= len(self._block):
            return self._block[start : start + count]
        if offset < 0 or count < 0 or offset + count > self.size_bytes:
            raise HeaderFault(
                f"{count} bytes at {offset} go past the end of the file ({self.size_bytes} bytes)"
            )
        self._file.seek(offset)
        self._block = self._file.read(max(count, _BLOCK_BYTES)) or b""
        self._block_start = offset
        if len(self._block) < count:
            raise HeaderFault("the file became shorter while it was read")
        return self._block[:count]

    def peek(self, offset: int) -> bytes:
        """Return what there is at `offset`, at most 256 KB; empty at the end of the file."""
        return self.read(offset, max(0, min(_PEEK_BYTES, self.size_bytes - offset)))

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[int, ...]:
        """Unpack integers at `offset`."""
        return layout.unpack(self.read(offset, layout.size))


def need(holds: bool, fault: str) -> None:
    """Refuse the file unless a condition holds.

    Raises:
        HeaderFault: with `fault` as the reason.
    """
    if not holds:
        raise HeaderFault(fault)
