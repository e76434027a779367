"""Where a failure of any kind is met: at the edge of a native library, at the end of a thread.

Everywhere else an `except` names what it expects. A leaf: it knows no room.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from edge_assistant.errors import EdgeAssistantError

T = TypeVar("T")


@contextmanager
def failing_as(ours: Callable[[Exception], Exception]) -> Iterator[None]:
    """Raise `ours(error)` for any error inside; errors of our own and TurnCancelled pass."""
    try:
        yield
    except EdgeAssistantError:
        raise
    except Exception as error:  # native libraries' errors share no base class but this one
        raise ours(error) from error


@contextmanager
def telling(tell: Callable[[Exception], None]) -> Iterator[None]:
    """Call `tell` with any error inside, and go on behind the block; TurnCancelled passes."""
    try:
        yield
    except Exception as error:  # a thread that died in silence would look alive
        tell(error)


def on_daemon_thread(future: Future[T], call: Callable[[], T], thread_name: str) -> None:
    """Begin `call` on a thread of its own; what it gives or raises comes into `future`.

    Unlike a pool's, the thread never keeps the process from ending: the call may hang for ever.
    The future is the caller's own, so that it has it also if a signal comes while this begins.
    """

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # carried over to whoever waits, who raises it
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=thread_name, daemon=True).start()
