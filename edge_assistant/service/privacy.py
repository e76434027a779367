"""What was said stays in the process: not in its log, not in its core, not for its neighbours."""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from types import TracebackType
from typing import Any, Final

_PR_SET_DUMPABLE: Final = 4
_LOGGER: Final = logging.getLogger(__name__)


def make_undumpable() -> bool:
    """Let nobody but root look into this process: no core, no ptrace, no /proc/PID/mem; whether it
    could be done (Linux only).

    RLIMIT_CORE alone is not enough: the kernel does not apply it to a core that goes to a program
    (core(5)). The flag is of this process and goes with exec, so it is set here and not in a unit.
    """
    if sys.platform != "linux":
        return False
    failed: int = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return not failed


def keep_words_out_of_the_log() -> None:
    """Log no details, whatever `--verbose` says: an engine's error may quote what it was given.

    Where a thread or the program ends by an exception, native code's caller cannot raise one, or
    one is logged with its traceback, its type is told and not its text.
    """
    logging.disable(logging.INFO)
    logging.raiseExceptions = False  # a message that cannot be printed would be shown on stderr
    logging.setLogRecordFactory(_without_traceback)
    threading.excepthook = _tell_thread
    sys.excepthook = _tell_program
    sys.unraisablehook = _tell_ignored


def _without_traceback(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    if record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[0].__name__}", ()
        record.exc_info = None
    return record


def _tell_thread(failed: threading.ExceptHookArgs) -> None:
    name = failed.thread.name if failed.thread is not None else "unknown"
    _LOGGER.error("thread %s ended by %s", name, failed.exc_type.__name__)


def _tell_ignored(ignored: sys.UnraisableHookArgs) -> None:
    _LOGGER.error("ignored: %s", ignored.exc_type.__name__)


def _tell_program(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    del error, trace
    _LOGGER.error("ended by %s", kind.__name__)
