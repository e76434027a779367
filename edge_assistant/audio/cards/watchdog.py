"""The thread that notices a lost device and brings it back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge_assistant.errors import AudioError, DeviceLost

_LOGGER: Final = logging.getLogger(__name__)
_GROWTH: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something the owner of the card must hear of."""

    error: DeviceLost
    is_over: bool
    """The streams go on by themselves (on another device): nothing to reopen."""


class Watchdog:
    """Looks after an open card: reports each loss once, then reopens until it works.

    Args:
        inspect: a loss that has not been reported yet, or None. Must not hang.
        reopen: open the devices again; raises AudioError if that cannot be done yet.
        on_lost: told about each loss once.
        on_back: told when sound flows again after a loss.
        period_s: longest time between two looks; `wake` looks at once.
        retry_s: first and longest wait between two attempts to reopen.

    All four are called from the thread `card-watchdog`, one at a time.
    """

    def __init__(
        self,
        inspect: Callable[[], Loss | None],
        reopen: Callable[[], None],
        on_lost: Callable[[Exception | None], None],
        on_back: Callable[[], None],
        *,
        period_s: float,
        retry_s: tuple[float, float],
    ) -> None:
        self._inspect = inspect
        self._reopen = reopen
        self._on_lost = on_lost
        self._on_back = on_back
        self._period_s = period_s
        self._retry_s = retry_s
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="card-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch; once."""
        self._thread.start()

    def wake(self) -> None:
        """Look now. Callable from any thread, also from an audio callback."""
        self._wake.set()

    def stop(self, limit_s: float) -> bool:
        """End the thread; whether it ended in `limit_s`. Fine to call from the thread itself."""
        self._stopping.set()
        self._wake.set()
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return True
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._period_s)
            self._wake.clear()
            if self._stopping.is_set():
                return
            loss = self._inspect()
            if loss is not None:
                self._handle(loss)

    def _handle(self, loss: Loss) -> None:
        _LOGGER.info("%s", loss.error)
        self._tell(lambda: self._on_lost(loss.error))
        if loss.is_over or self._is_reopened():
            self._tell(self._on_back)

    def _is_reopened(self) -> bool:
        delay_s, longest_s = self._retry_s
        while not self._stopping.wait(delay_s):
            try:
                self._reopen()
            except AudioError as error:
                _LOGGER.info("Cannot reopen yet: %s", error)
                delay_s = min(delay_s * _GROWTH, longest_s)
            else:
                return not self._stopping.is_set()
        return False

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:  # a border: a listener's mistake must not end the watch
            _LOGGER.exception("A listener of the sound card failed")
