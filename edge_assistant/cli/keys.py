"""Single keys from the terminal, while something else is shown on it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def has_keys() -> bool:
    """Whether there is a terminal that gives single keys."""
    if not sys.stdin.isatty():
        return False
    try:
        import termios  # noqa: F401 - only to know
    except ImportError:  # Windows
        return False
    return True


@contextmanager
def keys(on_key: Callable[[str], None]) -> Iterator[None]:
    """Call `on_key` for every key, on a thread of its own; the terminal is restored at the end.

    Signals keep their keys (Ctrl-C still interrupts). Without a terminal nothing happens.
    """
    if not has_keys():
        yield
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    wake_reader, wake_writer = os.pipe()
    reader = threading.Thread(target=_read, args=(terminal, wake_reader, on_key), name="keys")
    try:
        tty.setcbreak(terminal)
        reader.start()
        yield
    finally:
        os.close(wake_writer)  # wakes the reader
        if reader.ident is not None:
            reader.join()
        os.close(wake_reader)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _read(terminal: int, wake: int, on_key: Callable[[str], None]) -> None:
    import select

    while True:
        ready, _, _ = select.select([terminal, wake], [], [])
        if wake in ready:
            return
        typed = os.read(terminal, 64)
        if not typed:
            return
        for key in typed.decode("utf-8", "ignore"):
            on_key(key)
