"""Where PulseAudio has put our streams.

When a source or sink goes away while another exists, PulseAudio (and PipeWire in its place) moves
the stream there and PortAudio sees nothing: callbacks go on, no flag, no error. Only the server
knows, so we ask it with `pactl`. Without `pactl`, or on another sound system, such a move is not
seen; a stream that ends is seen everywhere, by the watchdog.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from edge_assistant.audio.cards.devices import Kind

_ASK_LIMIT_S: Final = 0.8  # stopping the card waits for one question at most
_KINDS: Final[tuple[Kind, ...]] = ("input", "output")
_STREAMS: Final[dict[Kind, str]] = {"input": "source-outputs", "output": "sink-inputs"}
_DEVICES: Final[dict[Kind, str]] = {"input": "sources", "output": "sinks"}
_ENTRY: Final = re.compile(r"^(?:Source Output|Sink Input) #(\d+)$", re.MULTILINE)
_DEVICE: Final = re.compile(r"^\s+(?:Source|Sink): (\d+)$", re.MULTILINE)
_PROCESS: Final = re.compile(r'^\s+application\.process\.id = "(\d+)"$', re.MULTILINE)
_NOWHERE: Final = 0xFFFFFFFF  # PA_INVALID_INDEX: a stream between two devices

Routes = dict[tuple[Kind, int], int]
"""Device index by (direction, stream index)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One of our streams is at another device than before."""

    kind: Kind
    old_name: str
    new_name: str
    is_old_gone: bool
    """The old device no longer exists; False = somebody switched."""

    @property
    def hears_itself(self) -> bool:
        """A microphone was replaced by the monitor of a loudspeaker, which is no microphone."""
        replaced = is_monitor(self.new_name) and not is_monitor(self.old_name)
        return self.kind == "input" and self.is_old_gone and replaced


def is_monitor(source_name: str) -> bool:
    """Whether the source is what a sink plays (both servers name it so)."""
    return source_name.endswith(".monitor")


def parse_streams(listing: str, kind: Kind, process: int) -> Routes:
    """The streams of `process` in the long listing of `pactl list source-outputs|sink-inputs`."""
    parts = _ENTRY.split(listing)[1:]
    routes: Routes = {}
    for stream, text in zip(parts[::2], parts[1::2], strict=True):
        owner, device = _PROCESS.search(text), _DEVICE.search(text)
        if owner and device and int(owner[1]) == process and int(device[1]) != _NOWHERE:
            routes[kind, int(stream)] = int(device[1])
    return routes


def parse_names(listing: str) -> dict[int, str]:
    """Names by index in `pactl list short sources|sinks`."""
    rows = (line.split("\t") for line in listing.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdigit()}


class PulseRoutes:
    """Remembers where this process's streams are, and says when one has moved.

    Thread: one at a time. Every method waits for `pactl`, some 3 ms each time it runs and 0.8 s
    at most if the server hangs; a server that does not answer counts as "nothing has moved".
    """

    def __init__(self) -> None:
        self._pactl = shutil.which("pactl")
        self._routes: Routes = {}
        self._names: dict[Kind, dict[int, str]] = {"input": {}, "output": {}}

    @property
    def is_used(self) -> bool:
        """Whether our streams go through PulseAudio; known after `remember`."""
        return bool(self._routes)

    def device_name(self, kind: Kind) -> str | None:
        """PulseAudio's name of the device in use, as of `remember`."""
        for (route_kind, _), device in self._routes.items():
            if route_kind == kind:
                return self._names[kind].get(device)
        return None

    def remember(self) -> None:
        """Take what is now as what should be."""
        self._routes = self._ask_routes() or {}
        if self._routes:
            self._names = {kind: self._ask_names(kind) for kind in _KINDS}

    def moves(self) -> list[Move]:
        """What has moved since `remember`, which is then remembered as it is now."""
        now = self._ask_routes() if self._routes else None
        if now is None:
            return []
        before, old_names = self._routes, self._names
        moved = [(key, now[key]) for key in before if now.get(key, before[key]) != before[key]]
        if moved or now.keys() - before.keys():  # the server lists a new stream late
            self.remember()
        return [
            Move(
                kind=key[0],
                old_name=old_names[key[0]].get(before[key], "?"),
                new_name=self._names[key[0]].get(device, "?"),
                is_old_gone=before[key] not in self._names[key[0]],
            )
            for key, device in moved
        ]

    def _ask_routes(self) -> Routes | None:
        routes: Routes = {}
        for kind in _KINDS:
            listing = self._ask("list", _STREAMS[kind])
            if listing is None:
                return None
            routes |= parse_streams(listing, kind, os.getpid())
        return routes

    def _ask_names(self, kind: Kind) -> dict[int, str]:
        return parse_names(self._ask("list", "short", _DEVICES[kind]) or "")

    def _ask(self, *words: str) -> str | None:
        if self._pactl is None:
            return None
        try:
            done = subprocess.run(
                [self._pactl, *words],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ASK_LIMIT_S,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None
