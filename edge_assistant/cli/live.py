"""What a person sees of a conversation: a line of state that moves, and what was said."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

_STATES: Final = {
    "listening": ("green", "listening"),
    "speech_started": ("cyan", "hearing you"),
    "speech_resumed": ("cyan", "hearing you"),
    "speech_paused": ("cyan", "hearing you ..."),
    "speech_ended": ("yellow", "thinking"),
    "draft_started": ("yellow", "thinking"),
    "draft_discarded": ("cyan", "hearing you"),
    "playback_started": ("magenta", "speaking"),
    "ducked": ("magenta", "speaking, softly"),
    "unducked": ("magenta", "speaking"),
    "yielded": ("green", "listening"),
    "playback_finished": ("green", "listening"),
    "turn_finished": ("green", "listening"),
    "error": ("green", "listening"),
}
"""What the line says after an event."""

SEGMENTS: Final = ("detect_s", "wait_s", "not_ready_s", "leading_silence_s", "out_s")
"""Parts of the response gap, in the order in which they pass; they add up to it."""


class Screen:
    """Prints a conversation; on a terminal with a line of state below it.

    `show` may be called from any thread.
    """

    def __init__(self, console: Console, keys: str = "") -> None:
        self._console = console
        self._keys = keys
        self._lock = threading.Lock()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._is_live = console.is_terminal
        self._said: tuple[int | None, str] = (None, "")
        """Turn and text of the last transcript that was not shown."""
        self._answered: int | None = None
        """The turn that was last taken as over."""
        self.latencies: list[Mapping[str, Any]] = []
        """Of every reply so far."""

    def __enter__(self) -> Screen:
        if self._is_live:
            self._live.start()
        self.state("yellow", "loading")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()

    def state(self, color: str, text: str) -> None:
        """Set the line of state."""
        if self._is_live:
            line = Text.assemble(("● ", color), (text, f"bold {color}"))
            if self._keys:
                line.append(f"   {self._keys}", "dim")
            self._live.update(line, refresh=True)

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event of EVENTS.jsonl."""
        name = event["event"]
        with self._lock:
            line = self._words_of(event) or _line_of(event)
            if line is not None:
                self._console.print(line)
            if name == "latency":
                self.latencies.append(event)
            if name in _STATES:
                self.state(*_STATES[name])

    def _words_of(self, event: Mapping[str, Any]) -> Text | None:
        """What the user said, once it is known to be all: drafts have looked at a part of it."""
        name, turn = event["event"], event.get("turn")
        if name == "transcript" and event.get("final"):
            self._said = (turn, event["text"])
        elif name == "committed":
            self._answered = turn
        elif name != "turn_finished" or event.get("outcome") != "stopped":
            return None
        is_all = name == "turn_finished" or self._answered == turn
        if not is_all or self._said[0] != turn or not self._said[1]:
            return None
        _, text = self._said
        self._said = (None, "")
        return Text.assemble(("you        ", "cyan"), text)


def _line_of(event: Mapping[str, Any]) -> Text | None:
    match event["event"]:
        case "playback_finished" if event.get("heard"):
            return Text.assemble(("assistant  ", "magenta"), event["heard"])
        case "yielded":
            heard = event.get("heard", "")
            return Text.assemble(("assistant  ", "magenta"), heard, ("  (interrupted)", "dim"))
        case "latency":
            return Text(f"           {latency_text(event)}", "dim")
        case "error":
            hint = f" ({event['hint']})" if event.get("hint") else ""
            return Text(f"error [{event.get('code', '')}]: {event.get('message', '')}{hint}", "red")
        case _:
            return None


def latency_text(event: Mapping[str, Any]) -> str:
    """`answered after 0.71 s: detect 0.10, wait 0.30, ...`, in order."""
    parts = [f"{label(name)} {float(event.get(name, 0.0)):.2f}" for name in SEGMENTS]
    return f"answered after {float(event['gap_s']):.2f} s: {', '.join(parts)}"


def label(segment: str) -> str:
    """`not_ready_s` as a person reads it."""
    return segment.removesuffix("_s").replace("_", " ")
