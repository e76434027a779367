"""What concerns the process as a whole; the embedded `Assistant` sets none of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

from edge_assistant.cancel import CancelToken

T = TypeVar("T")

_SIGNALS = [each for each in signal.Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP")]

_GRACE_S = 3.0
"""How long work that was interrupted may take to let go; the engines stop within milliseconds."""

_SWITCH_INTERVAL_S = 0.0005
"""A tenth of Python's default: a block of sound (10 ms) must not wait for busy threads in turn."""


def prepare() -> None:
    """Set signals, thread switching and limits; once, on the main thread, before engines load."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # Or numpy's linear algebra starts a thread per core next to those of the engines.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Or PulseAudio behind PortAudio chooses buffers of seconds, and on a null sink stalls on them.
    os.environ.setdefault("PULSE_LATENCY_MSEC", "30")
    for signum in _SIGNALS:
        if signum.name != "SIGHUP" or signal.getsignal(signum) is not signal.SIG_IGN:  # nohup
            signal.signal(signum, _stop_at_once)
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold what was said


def _stop_at_once(signum: int, frame: FrameType | None) -> NoReturn:
    """The first signal unwinds the main thread, the second one does not wait for that."""
    del frame
    for each in _SIGNALS:
        signal.signal(each, lambda again, _frame: os._exit(128 + again))
    raise SystemExit(128 + signum)


@contextmanager
def on_hangup(action: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP call `action`, where there is such a signal; elsewhere it ends the process."""
    signum = getattr(signal, "SIGHUP", None)
    if signum is None or signal.getsignal(signum) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signum, lambda _signum, _frame: action())
    try:
        yield
    finally:
        signal.signal(signum, before)


def in_worker(work: Callable[[CancelToken], T], name: str) -> T:
    """Run `work` on its own thread and wait for it, so that no signal has to wait for an engine.

    What it raises is raised here. On a signal its token is cancelled and it has `_GRACE_S` left.
    """
    from concurrent.futures import Future, wait  # 8 ms, in which Ctrl-C would print a traceback

    from edge_assistant.borders import on_daemon_thread

    token = CancelToken()
    future: Future[T] = Future()
    try:
        on_daemon_thread(future, lambda: work(token), name)
        return future.result()
    finally:
        if not future.done():
            token.cancel("signal")
            wait([future], _GRACE_S)


def leave(code: int) -> NoReturn:
    """End the process with `code`, also while a native engine still holds a thread."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # it was closed before we began, as by `>&-`
            continue
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader has gone; there is nobody to tell
            code = code or 1
    if any(thread.daemon for thread in threading.enumerate()):
        # Python's finalizer and a thread inside C++ code do not mix: it may abort the process.
        os._exit(code)
    sys.exit(code)
