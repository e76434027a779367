"""A lock between processes, held on a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_assistant.errors import ModelError

_POLL_S = 0.05

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def file_lock(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold `path` against every other process and thread; the kernel frees it if we die.

    The file stays: removing it would let a third process lock a name that nobody else sees.

    Raises:
        ModelError: `store-busy` after `timeout_s` seconds, or `store-unwritable`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ModelError(
            "store-unwritable",
            f"cannot write to the store {path.parent}: {error.strerror}",
            "set EDGE_ASSISTANT_MODELS_DIR to a folder of yours",
        ) from error
    try:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                _try_lock(descriptor)
                break
            except OSError:
                if time.monotonic() >= deadline_s:
                    raise ModelError(
                        "store-busy",
                        f"another process holds {path.name}",
                        "wait for it, or end it, and try again",
                    ) from None
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)
