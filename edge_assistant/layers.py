"""The layers that a configuration is laid out of: where each value comes from, and its line."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from edge_assistant.errors import ConfigError

MAX_FILE_BYTES: Final = 256 * 1024
"""A configuration is a page or two; a model given as `--config` by mistake is not read whole."""

Table = dict[str, Any]


class Layer(msgspec.Struct, frozen=True):
    """Values that share one origin."""

    origin: str
    data: Table
    text: str = ""
    """The TOML text, where there is one, so that a mistake can be shown by its line."""

    is_locked: bool = False
    """Whatever it sets is locked."""

    is_anybodys: bool = False
    """Whoever starts the assistant may have written it, though it lies below the system's files."""

    def knows(self, path: tuple[str, ...]) -> bool:
        """Whether it sets the key at `path`."""
        return _knows(self.data, path)

    def at(self, path: tuple[str, ...]) -> str:
        """Its name, with the line of the key at `path` where there are lines."""
        if not self.text:
            return self.origin
        return f"{self.origin}:{_line_of(self.text, path)}"


def read_file(path: Path) -> Layer:
    """The layer of a file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    hint = "`edge-assistant config init --print` shows a file with every key and its default"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError("config-not-toml", f"{path} is too large for a configuration", hint)
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin with a mark
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError("config-unreadable", f"cannot read {path}: {reason}", hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError("config-not-toml", f"{path} is not UTF-8 text", hint) from error
    try:
        return Layer(str(path), tomllib.loads(text), text)
    except RecursionError as error:
        raise ConfigError("config-not-toml", f"{path}:1: nested too deeply", hint) from error
    except ValueError as error:  # TOMLDecodeError, and a number with too many digits
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError("config-not-toml", f"{path}:{line}: not TOML: {reason}", hint) from error


def merge(below: Table, above: Mapping[str, Any]) -> Table:
    """`below` with `above` laid on, table by table."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merge(old, value)
        merged[key] = value
    return merged


def nested(flat: Mapping[str, Any]) -> Table:
    """Dotted keys as tables; a None is left out."""
    table: Table = {}
    for key, value in flat.items():
        if value is not None:
            *sections, name = key.split(".")
            inner = table
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
    return table


def _knows(data: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def is_there(path: Path) -> bool:
    """Whether there is something at `path`; also where it may not be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def is_roots(path: Path) -> bool:
    """Whether only root can have written what is there."""
    status = path.stat()
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _line_of(text: str, path: tuple[str, ...]) -> int:
    """First line of the statement that sets `path`, found with the TOML parser itself.

    A file up to the end of a statement is a file, so this is where a prefix first knows the path.
    """
    lines = text.split("\n")

    def readable_prefix(count: int) -> tuple[int, Table]:
        while count:
            try:
                return count, tomllib.loads("\n".join(lines[:count]))
            except ValueError:
                count -= 1
        return 0, {}

    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        if _knows(readable_prefix(middle)[1], path):
            high = middle
        else:
            low = middle + 1
    return readable_prefix(low - 1)[0] + 1 if low else 1
