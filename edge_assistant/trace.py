"""The event log: what happened, when on the sample clock, for a file and for whoever listens."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from edge_assistant.errors import ConfigError

EventRecord = dict[str, Any]
"""`{"t": seconds on the sample clock, "event": name, "turn": n or absent, ...}`."""


class EventLog:
    """Writes one JSON object a line, flushed at once; any thread may `emit`.

    A file that cannot be written to any more (a full disk) is given up with one note in
    `is_broken`; the conversation goes on.

    Raises:
        ConfigError: the file cannot be opened.
    """

    def __init__(self, path: Path | None = None, *, sample_rate: int = 16_000) -> None:
        self._sample_rate = sample_rate
        self._lock = threading.Lock()
        self._subscribers: list[EventStream] = []
        self.is_broken = False
        self.on_broken: Callable[[], None] | None = None
        """Called, if set, once the file is given up; on the thread that emits."""
        self._closed = False
        self._file: FileIO | None = None
        if path is not None:
            try:
                self._file = path.open("wb", buffering=0)
            except OSError as error:
                raise ConfigError(
                    "events-unwritable",
                    f"{path} cannot be written: {error}",
                    "choose another file for --events",
                ) from error

    def emit(self, event: str, at_frames: int, turn: int | None = None, **fields: Any) -> None:
        """Record that `event` happened at `at_frames` of the sample clock."""
        record: EventRecord = {"t": round(at_frames / self._sample_rate, 4), "event": event}
        if turn is not None:
            record["turn"] = turn
        record.update(fields)
        with self._lock:
            was_broken = self.is_broken
            if self._file is not None:
                self._write(self._file, record)
            for subscriber in self._subscribers:
                subscriber.push(record)
            breaks = self.is_broken and not was_broken
        if breaks and self.on_broken is not None:
            self.on_broken()

    def _write(self, file: FileIO, record: EventRecord) -> None:
        try:
            file.write(json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n")
        except OSError:
            self.is_broken = True
            self._file = None
            file.close()

    def subscribe(self, max_waiting: int = 1000) -> EventStream:
        """A stream of what is emitted from now on; it is over at once where the log is closed."""
        stream = EventStream(self, max_waiting)
        with self._lock:
            if not self._closed:
                self._subscribers.append(stream)
                return stream
        stream.end()
        return stream

    def unsubscribe(self, stream: EventStream) -> None:
        with self._lock:
            if stream in self._subscribers:
                self._subscribers.remove(stream)

    def close(self) -> None:
        """End every stream and close the file; what is emitted later goes nowhere."""
        with self._lock:
            self._closed = True
            streams, self._subscribers = self._subscribers, []
            file, self._file = self._file, None
        for stream in streams:
            stream.end()
        if file is not None:
            file.close()


class EventStream(Iterator[EventRecord]):
    """Iterates over events as they come; drops the oldest when nobody reads, and counts them."""

    def __init__(self, log: EventLog, max_waiting: int) -> None:
        self._log = log
        self._waiting: deque[EventRecord] = deque(maxlen=max_waiting)
        self._changed = threading.Condition()
        self._ended = False
        self.dropped = 0
        """Events that went by unread."""

    def push(self, record: EventRecord) -> None:
        with self._changed:
            if len(self._waiting) == self._waiting.maxlen:
                self.dropped += 1
            self._waiting.append(record)
            self._changed.notify()

    def end(self) -> None:
        """Let the reader finish what is there and then stop."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """The reader has had enough."""
        self._log.unsubscribe(self)
        self.end()

    def __next__(self) -> EventRecord:
        with self._changed:
            while not self._waiting and not self._ended:
                self._changed.wait()
            if not self._waiting:
                raise StopIteration
            return self._waiting.popleft()
