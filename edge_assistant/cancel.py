"""Cancellation: one single-use token for every attempt at a reply."""

from __future__ import annotations

import threading
from collections.abc import Callable


class TurnCancelled(BaseException):
    """Raised by `CancelToken.raise_if_cancelled` only, caught by the stage runner only.

    A BaseException, so that no `except Exception` on the way can swallow it.
    """


class CancelToken:
    """A switch that goes from off to on once and never back.

    It is made together with the attempt that it belongs to and is never re-armed, so a thread that
    still holds an old token cannot be woken into a new turn. All methods may be called from any
    thread.
    """

    __slots__ = ("_callbacks", "_cancelled", "_lock", "_next_key", "reason")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next_key = 0
        self.reason = ""

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled

    def cancel(self, reason: str) -> None:
        """Cancel; the first reason stays. Callbacks run on the calling thread, outside the lock."""
        with self._lock:
            if self._cancelled:
                return
            self.reason = reason
            self._cancelled = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise TurnCancelled if the token is cancelled; otherwise do nothing."""
        if self._cancelled:
            raise TurnCancelled(self.reason)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when cancelled (at once if it is already); returns the way
        to unsubscribe.

        The callback must be short and must not raise: it runs on whichever thread cancels.
        """
        with self._lock:
            if not self._cancelled:
                key = self._next_key
                self._next_key += 1
                self._callbacks[key] = callback
                return lambda: self._forget(key)
        callback()
        return lambda: None

    def _forget(self, key: int) -> None:
        with self._lock:
            self._callbacks.pop(key, None)
