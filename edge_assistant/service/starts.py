"""Counts starts whose process died, so that it can start with less instead of looping."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from edge_assistant.atomic import write_atomically

_LOGGER: Final = logging.getLogger(__name__)

MAX_UNCLEAN: Final = 3
"""So many deaths within `WITHIN_S` are a loop: the next start is the safe one."""

WITHIN_S: Final = 1800.0
"""A death longer ago than this says nothing about now. Long enough for the slowest loop: one that
listens for just less than `HEALTHY_S` each time, or loads for `LOAD_S` and is ended."""

HEALTHY_S: Final = 300.0
"""Having listened for so long, all earlier deaths are forgotten."""

LOAD_S: Final = 600.0
"""Models may take so long to load: gigabytes, read twice from a slow card the first time."""

_MAX_BYTES: Final = 4096


class _Book(msgspec.Struct, forbid_unknown_fields=True):
    """The file."""

    unclean_s: list[float] = []
    """When deaths were noticed, monotonic."""
    is_running: bool = False
    """A process has begun and not ended well: the next one finds it like this, or is the second."""


_BOOKS: Final = msgspec.json.Decoder(_Book)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """In the folder of RuntimeDirectory=, or the user's own one: in memory, gone with the machine.

    What ends with the machine is no crash of ours: a kiosk is switched off at its plug.
    """
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    folder = Path(given) if given else platformdirs.user_runtime_path("edge-assistant")
    return folder / "starts.json"


class Starts:
    """The book of starts. One thread; one service at a time has a file.

    A file that cannot be read counts as none, one that cannot be written as if nothing had crashed:
    the guard must not be what keeps the assistant from starting.

    Args:
        path: of the book.
        now_s: monotonic seconds, the same for all processes since the machine started.
    """

    def __init__(self, path: Path, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now_s = now_s
        self._book = _Book()
        self._ready_by_s = math.inf

    def begin(self) -> int:
        """Note this start; how many before it died within `WITHIN_S`."""
        now_s = self._now_s()
        book = self._read()
        unclean_s = book.unclean_s + ([now_s] if book.is_running else [])
        recent_s = [each for each in unclean_s if now_s - WITHIN_S <= each <= now_s]
        self._write(_Book(unclean_s=recent_s[-MAX_UNCLEAN:], is_running=True))
        return len(recent_s)

    def loading(self) -> None:
        """Models are loaded from now on: who ends this run after `LOAD_S` has lost patience."""
        self._ready_by_s = self._now_s() + LOAD_S

    def ready(self) -> None:
        """It listens."""
        self._ready_by_s = math.inf

    def healthy(self) -> None:
        """This run has listened for `HEALTHY_S`: what was before it is forgotten."""
        self._write(_Book(is_running=self._book.is_running))

    def without_sound(self, is_lost: bool) -> None:
        """A sound device is lost, or back: without one the watchdog ends this run, and that is no
        crash."""
        self._write(_Book(unclean_s=self._book.unclean_s, is_running=not is_lost))

    def ended(self) -> None:
        """This run ends as somebody wants it to, or for want of a sound device."""
        if self._now_s() < self._ready_by_s:
            self._write(_Book(unclean_s=self._book.unclean_s))

    def _read(self) -> _Book:
        try:
            with self._path.open("rb") as file:
                return _BOOKS.decode(file.read(_MAX_BYTES))
        except FileNotFoundError:
            return _Book()
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            _LOGGER.warning("the book of starts %s is not used: %s", self._path, error)
            return _Book()

    def _write(self, book: _Book) -> None:
        self._book = book
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path, msgspec.json.encode(book), is_private=True)
        except OSError as error:
            _LOGGER.warning("starts are not counted: %s", error)
