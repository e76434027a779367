"""The runner of every engine thread: takes items, drops stale ones, and is the border for
errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, Protocol, TypeVar

from edge_assistant.borders import telling
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import EdgeAssistantError, EngineError
from edge_assistant.pipeline.channel import Channel, ChannelClosed

_LOGGER = logging.getLogger(__name__)


class Job(Protocol):
    """What a stage works on."""

    @property
    def token(self) -> CancelToken: ...


J = TypeVar("J", bound=Job)


class Stage(Generic[J]):
    """One named thread that handles the items of one channel, one after the other.

    A failing item fails alone: `on_failure` is told and the next item is taken. A cancelled one
    ends in silence.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[J], None],
        on_failure: Callable[[str, J, EdgeAssistantError], None],
        *,
        capacity: int = 64,
    ) -> None:
        self.name = name
        self.channel: Channel[J] = Channel(capacity)
        self._handle = handle
        self._on_failure = on_failure
        self._current: CancelToken | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Cancel what is running and what waits, close the channel, join; False where the thread
        did not end in time."""
        self._stopping = True
        self.channel.close()
        current = self._current
        if current is not None:
            current.cancel("shutdown")
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                job = self.channel.get()
            except ChannelClosed:
                return
            self._current = token = job.token
            if self._stopping:  # looked at after the store: `stop` looks the other way round
                token.cancel("shutdown")
            if not job.token.is_cancelled:
                self._handle_one(job)
            self._current = None

    def _handle_one(self, job: J) -> None:
        # Whatever an engine does, it costs one turn only.
        with telling(partial(self._failed, job)), suppress(TurnCancelled, ChannelClosed):
            self._handle(job)

    def _failed(self, job: J, error: Exception) -> None:
        if not isinstance(error, EdgeAssistantError):
            _LOGGER.debug("%s failed", self.name, exc_info=error)
            error = EngineError(
                f"{self.name}-failed",
                f"{self.name} failed: {type(error).__name__}: {error}",
                "run `edge-assistant doctor`",
            )
        self._on_failure(self.name, job, error)
