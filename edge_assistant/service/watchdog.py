"""Signs of life for a supervisor, as long as the ears listen and no longer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from edge_assistant.service.notify import Notifier

LOOKS: Final = 4
"""Looks in one interval of the supervisor's. sd_watchdog_enabled(3) advises two; with four, a card
that pauses for a moment is no matter."""


class FrameWatchdog:
    """Sends `WATCHDOG=1` at every look that finds more frames consumed than the one before.

    A sign of life from a thread of its own proves little: everything else may hang. So it is sent
    only for sound that came from the microphone, through the card's callback and the ring, and
    was listened to. A dead sound server, a lost microphone and a hung detector all end it.

    Args:
        notifier: gets the signs.
        interval_s: of the supervisor's.
        consumed_frames: how far the ears have listened; any thread.
    """

    def __init__(
        self, notifier: Notifier, interval_s: float, consumed_frames: Callable[[], int]
    ) -> None:
        self._notifier = notifier
        self._look_s = interval_s / LOOKS
        self._consumed_frames = consumed_frames
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="service-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look; once."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more signs; does not wait for the thread."""
        self._stopping.set()

    def _run(self) -> None:
        seen_frames = self._consumed_frames()
        while not self._stopping.wait(self._look_s):
            frames = self._consumed_frames()
            if frames > seen_frames:
                self._notifier.send("WATCHDOG=1")
            seen_frames = frames
