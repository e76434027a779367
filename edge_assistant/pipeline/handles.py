"""What a program gets back for a reply that it asked for."""

from __future__ import annotations

import threading

from edge_assistant.turns.events import Outcome


class ReplyHandle:
    """A reply that was asked for with `say` or `ask`; any thread may wait for it."""

    def __init__(self, request: int) -> None:
        self.request = request
        self._done = threading.Event()
        self.turn: int | None = None
        """Set once the reply is over; None where it never had a turn."""
        self.outcome: Outcome | None = None
        self.heard = ""
        """What was played of it."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the reply is over; False where `timeout_s` passed first."""
        return self._done.wait(timeout_s)

    def finish(self, turn: int | None, outcome: Outcome, heard: str) -> None:
        """The assistant reports the end; only the first call counts."""
        if not self._done.is_set():
            self.turn, self.outcome, self.heard = turn, outcome, heard
            self._done.set()


class Handles:
    """The handles that are still open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, ReplyHandle] = {}
        self._next = 1
        self._dropped = False

    def __len__(self) -> int:
        return len(self._open)

    def new(self) -> ReplyHandle:
        with self._lock:
            handle = ReplyHandle(self._next)
            self._next += 1
            if not self._dropped:
                self._open[handle.request] = handle
                return handle
        handle.finish(None, Outcome.FAILED, "")
        return handle

    def finish(self, request: int | None, turn: int | None, outcome: Outcome, heard: str) -> None:
        if request is None:
            return
        with self._lock:
            handle = self._open.pop(request, None)
        if handle is not None:
            handle.finish(turn, outcome, heard)

    def drop_all(self) -> None:
        """The assistant stops: nobody may wait for ever, nor who comes later."""
        with self._lock:
            self._dropped = True
            handles, self._open = list(self._open.values()), {}
        for handle in handles:
            handle.finish(None, Outcome.FAILED, "")
