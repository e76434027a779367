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


@dataclass(frozen=True, slots=True)
class Place:
    """A device of the server."""

    index: int
    name: str


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


def parse_device(listing: str, process: int) -> int | None:
    """The index of the device of `process`'s newest stream in the long listing of `pactl list
    source-outputs|sink-inputs`; None where it has none, or one between two devices."""
    parts = _ENTRY.split(listing)[1:]
    devices: dict[int, int] = {}
    for stream, text in zip(parts[::2], parts[1::2], strict=True):
        owner, device = _PROCESS.search(text), _DEVICE.search(text)
        if owner and device and int(owner[1]) == process and int(device[1]) != _NOWHERE:
            devices[int(stream)] = int(device[1])
    return devices[max(devices)] if devices else None


def parse_names(listing: str) -> dict[int, str]:
    """Names by index in `pactl list short sources|sinks`."""
    rows = (line.split("\t") for line in listing.splitlines())
    return {int(row[0]): row[1] for row in rows if len(row) > 1 and row[0].isdigit()}


class PulseRoutes:
    """Remembers which devices this process's two streams are on, and says when one has moved.

    The server lists a new stream late: until then the device that was known before counts, also
    over a reopening of the streams, so that no move is missed.

    Thread: one at a time. `moves` waits for `pactl`, some 3 ms each time it runs and 0.8 s
    at most if the server hangs; a server that does not answer counts as "nothing has moved", and
    the next call finds what this one missed.
    """

    def __init__(self) -> None:
        self._pactl = shutil.which("pactl")
        self._places: dict[Kind, Place] = {}
        self._listed: set[Kind] = set()

    @property
    def is_used(self) -> bool:
        """Whether our streams go through PulseAudio; known after `moves`."""
        return bool(self._places)

    @property
    def is_listed(self) -> bool:
        """Whether the last `moves` saw a stream of ours at each device that is known."""
        return self._listed >= self._places.keys()

    def device_name(self, kind: Kind) -> str | None:
        """PulseAudio's name of the device in use, as of `moves`."""
        place = self._places.get(kind)
        return None if place is None else place.name

    def moves(self) -> list[Move]:
        """What is on another device than at the last call; a direction that is seen for the first
        time has not moved."""
        self._listed = set()
        found = {}
        for kind in _KINDS:
            listing = self._ask("list", _STREAMS[kind])
            if listing is None:
                return []
            device = parse_device(listing, os.getpid())
            if device is not None:
                found[kind] = device
        told = (self._take(kind, device) for kind, device in found.items())
        return [move for move in told if move is not None]

    def _take(self, kind: Kind, device: int) -> Move | None:
        """Remember that the stream is on `device`; says so if that was another one."""
        before = self._places.get(kind)
        if before is None or before.index != device:
            names = parse_names(self._ask("list", "short", _DEVICES[kind]) or "")
            if device not in names:  # gone again, or no answer: looked at anew the next time
                return None
            self._places[kind] = Place(device, names[device])
        self._listed.add(kind)
        now = self._places[kind]
        if before is None or before.name == now.name:
            return None
        return Move(
            kind=kind,
            old_name=before.name,
            new_name=now.name,
            is_old_gone=before.index not in names,
        )

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
