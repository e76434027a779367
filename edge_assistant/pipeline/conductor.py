"""The `floor` thread: facts in, through the reducer, orders out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge_assistant.audio.playout import PlayoutFact
from edge_assistant.borders import telling
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import EdgeAssistantError, PipelineError
from edge_assistant.pipeline.channel import Channel, ChannelClosed
from edge_assistant.pipeline.orders import Orders
from edge_assistant.turns.events import Event, Tick
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import State

_LOGGER: Final = logging.getLogger(__name__)

INBOX_CAPACITY: Final = 4096
"""Events are small and a tick comes every 10 ms: 40 s of a floor that does not move."""


class Conductor:
    """Owns the floor's state. `post` may be called from any thread and never blocks."""

    def __init__(self, rules: Settings, on_failure: Callable[[EdgeAssistantError], None]) -> None:
        self._rules = rules
        self._on_failure = on_failure
        self._inbox: Channel[Event | PlayoutFact] = Channel(INBOX_CAPACITY)
        self._orders: Orders | None = None
        self._on_tick: Callable[[], None] | None = None
        self._state = State()
        self._taken = 0
        """Facts that are dealt with."""
        self._ticked = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="floor", daemon=True)
        self._stopping = CancelToken()

    @property
    def state(self) -> State:
        """A snapshot; the value never changes."""
        return self._state

    @property
    def is_idle(self) -> bool:
        """Nobody speaks and nothing is owed."""
        taken = self._taken
        return taken == self._inbox.statistics().total and self._state.is_idle

    def post(self, fact: Event | PlayoutFact) -> None:
        """Hand over a fact; after `stop` it goes nowhere."""
        if not self._inbox.offer(fact) and not self._stopping.is_cancelled:
            self._stopping.cancel("the inbox is full")
            self._on_failure(
                PipelineError(
                    "floor-stalled",
                    f"The floor has not moved for {INBOX_CAPACITY} events.",
                    "report it with the file of --events",
                )
            )

    def wait_ticked(self, at_frames: int, timeout_s: float) -> bool:
        """Block until the tick of `at_frames` and all before it are settled; False on timeout."""
        with self._ticked:
            return self._ticked.wait_for(lambda: self._state.now_frames >= at_frames, timeout_s)

    def start(self, orders: Orders, on_tick: Callable[[], None]) -> None:
        """Start the thread; it calls `on_tick` after each tick, every 10 ms."""
        self._orders, self._on_tick = orders, on_tick
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False where it did not end in time."""
        self._stopping.cancel("shutdown")
        self._inbox.close()
        if self._thread.ident is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with telling(self._failed), suppress(ChannelClosed):
            while not self._stopping.is_cancelled:
                self._take(self._inbox.get())
                self._taken += 1

    def _failed(self, error: Exception) -> None:
        _LOGGER.debug("the floor failed", exc_info=error)
        self._stopping.cancel("the floor failed")
        self._on_failure(
            PipelineError(
                "floor-failed",
                f"The floor failed: {type(error).__name__}: {error}",
                "report it with the file of --events",
            )
        )

    def _take(self, fact: Event | PlayoutFact) -> None:
        assert self._orders is not None
        if isinstance(fact, PlayoutFact):
            event = self._orders.played(fact)
            if event is None:
                return
            fact = event
        state, commands = step(self._state, fact, self._rules)
        for command in commands:
            self._orders.execute(command)
        self._state = state  # what it brings about is done: only now may a waiter see it
        if isinstance(fact, Tick):
            assert self._on_tick is not None
            self._on_tick()
            with self._ticked:
                self._ticked.notify_all()
