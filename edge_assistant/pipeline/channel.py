"""Bounded channels between the threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_assistant.cancel import CancelToken

T = TypeVar("T")


class ChannelClosed(Exception):
    """The channel is closed (and, for a reader, empty). Not an error of a user: the thread ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """How full a channel was."""

    capacity: int
    waiting: int
    peak: int
    total: int


class Channel(Generic[T]):
    """A bounded queue whose waits end on close and on cancel, and are never held under a
    foreign lock."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._peak = 0
        self._total = 0

    def put(self, item: T, token: CancelToken) -> None:
        """Append; blocks while full.

        Raises:
            TurnCancelled: the token was cancelled first; nothing was appended.
            ChannelClosed: the channel is closed.
        """
        unsubscribe = token.on_cancel(self._wake)
        try:
            with self._changed:
                while len(self._items) >= self._capacity:
                    token.raise_if_cancelled()
                    if self._closed:
                        break
                    self._changed.wait()
                token.raise_if_cancelled()
                self._append(item)
        finally:
            unsubscribe()

    def offer(self, item: T) -> bool:
        """Append without waiting; False where the channel is full or closed."""
        with self._changed:
            if self._closed or len(self._items) >= self._capacity:
                return False
            self._append(item)
            return True

    def get(self) -> T:
        """Take the oldest item; blocks while empty.

        Raises:
            ChannelClosed: closed and empty.
        """
        with self._changed:
            while not self._items:
                if self._closed:
                    raise ChannelClosed
                self._changed.wait()
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def purge(self, is_stale: Callable[[T], bool]) -> int:
        """Drop what is stale; returns how many."""
        with self._changed:
            kept = deque(item for item in self._items if not is_stale(item))
            dropped = len(self._items) - len(kept)
            self._items = kept
            self._changed.notify_all()
            return dropped

    def close(self) -> None:
        """Let readers finish what is there; writers get ChannelClosed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def statistics(self) -> ChannelStatistics:
        with self._changed:
            return ChannelStatistics(
                capacity=self._capacity,
                waiting=len(self._items),
                peak=self._peak,
                total=self._total,
            )

    def _append(self, item: T) -> None:
        if self._closed:
            raise ChannelClosed
        self._items.append(item)
        self._peak = max(self._peak, len(self._items))
        self._total += 1
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
