"""Calls that may never come back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from edge_assistant.borders import on_daemon_thread
from edge_assistant.errors import AudioError

T = TypeVar("T")


class CallHung(AudioError):
    """A call did not come back in time; its thread was left behind."""


class LimitedCalls:
    """Runs calls one after the other, and stops waiting for one that hangs.

    PortAudio's close can hang for ever (PortAudio issue 1074) and nothing can interrupt it. What
    hangs here is a daemon thread and not the caller. PortAudio is not thread-safe, so while a call
    hangs no other is begun.

    Thread: any, but one at a time.
    """

    def __init__(self, thread_name: str) -> None:
        self._thread_name = thread_name
        self._last: Future[Any] | None = None

    @property
    def is_hung(self) -> bool:
        """Whether a call that was given up is still running."""
        return self._last is not None and not self._last.done()

    def run(self, call: Callable[[], T], limit_s: float) -> T:
        """The result of `call`, or its error.

        Raises:
            CallHung: no result within `limit_s` seconds, or an earlier call still hangs.
        """
        if self.is_hung:
            raise _hung("An earlier call into the sound system still hangs.")
        future: Future[T] = Future()
        self._last = future
        on_daemon_thread(future, call, self._thread_name)
        wait([future], limit_s)
        if not future.done():
            raise _hung(f"The sound system did not answer within {limit_s:g} s.")
        return future.result()


def _hung(message: str) -> CallHung:
    return CallHung("audio-hung", message, "Restart the sound server, then start again.")
