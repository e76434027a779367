"""Takes stdin and stdout away from everybody else, for a stream of sound on them."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """The real stdin and stdout, unbuffered; whoever prints from now on prints to stderr.

    Native libraries write to file descriptor 1 and know nothing of `sys.stdout`, so the descriptor
    itself is pointed at stderr. Call it before any engine loads.
    """
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(source, os.O_BINARY)
        msvcrt.setmode(sink, os.O_BINARY)
    # The reader buffers, so that it gives whole blocks; the writer does not, so that none waits.
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb", buffering=0)
