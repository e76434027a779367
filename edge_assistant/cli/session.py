"""Runs an assistant from the main thread: start, wait, stop, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from edge_assistant.cli.process import in_worker

if TYPE_CHECKING:
    from edge_assistant.audio.card import SoundCard
    from edge_assistant.config import Config
    from edge_assistant.pipeline.assistant import Assistant

Watch = Callable[[dict[str, Any]], None]
"""Gets every event, as a line of EVENTS.jsonl, on a thread of its own."""


@contextmanager
def running(
    config: Config, card: SoundCard, events: Path | None = None, watch: Watch | None = None
) -> Iterator[Assistant]:
    """An assistant that listens on `card`, and is stopped at the end in any case.

    Raises:
        EdgeAssistantError: a model, a device or the events' file is not to be had.
    """
    from edge_assistant.pipeline.assistant import Assistant
    from edge_assistant.trace import EventLog

    assistant = Assistant(config, card, event_log=EventLog(events))
    if watch is not None:
        Thread(target=_show, args=(assistant, watch), name="show", daemon=True).start()
    try:
        in_worker(lambda _token: assistant.start(), "start")
        yield assistant
    finally:
        assistant.stop()


def hold(config: Config, card: SoundCard, events: Path | None) -> None:
    """Converse until the card's input has ended."""
    with running(config, card, events) as assistant:
        while not assistant.wait_closed(3600.0):
            pass


def _show(assistant: Assistant, watch: Watch) -> None:
    for event in assistant.events():
        watch(event)
