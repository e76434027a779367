"""Cancel tokens that cancel at a point of the code instead of at a point in time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from edge_assistant.cancel import CancelToken


class CancelsAtCheck(CancelToken):
    """Cancels itself when it is asked for the `checks`-th time."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self._left = checks

    def raise_if_cancelled(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.cancel("the test asked for it")
        super().raise_if_cancelled()


def cancel_when_watched(token: TellsWhenWatched) -> threading.Thread:
    """Start a thread that cancels `token` as soon as an engine watches it."""

    def cancel() -> None:
        token.watched.wait(10)
        token.cancel("the test asked for it")

    thread = threading.Thread(target=cancel, name="canceller")
    thread.start()
    return thread


class TellsWhenWatched(CancelToken):
    """Sets `watched` once an engine asks to be told of a cancel: native code is about to run."""

    def __init__(self) -> None:
        super().__init__()
        self.watched = threading.Event()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        unsubscribe = super().on_cancel(callback)
        self.watched.set()
        return unsubscribe


class OnlyStopsNativeCode(CancelToken):
    """Cancelled as soon as an engine watches it, but every check that Python makes passes.

    It raises only while an error is handled: the engine must have stopped the native call itself.
    """

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.cancel("the test asked for it")
        return super().on_cancel(callback)

    def raise_if_cancelled(self) -> None:
        if sys.exc_info()[1] is not None:
            super().raise_if_cancelled()
