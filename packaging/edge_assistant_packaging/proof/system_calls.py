"""System calls as `strace -ff -ttt -y -xx` writes them down: one file a thread, one call a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"(?P<at>\d+\.\d+) (?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>.*)")
_CUT: Final = re.compile(r"(?P<at>\d+\.\d+) (?P<name>\w+)\((?P<arguments>.*)")
"""A call that never came back: the thread was ended in it."""
_HEX: Final = re.compile(r"(?:\\x[0-9a-f]{2})+")
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FAMILY: Final = re.compile(r"\s*(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one thread."""

    thread: int
    at_s: float
    name: str
    arguments: str
    """As written, every text in hexadecimal, so that a comma or a quote in it misleads nobody."""
    result: str
    """`3</path>`, `0`, `-1 ENOENT (...)`; empty where the call never came back."""

    @property
    def failed(self) -> bool:
        return self.result.startswith("-1")

    @property
    def is_cut(self) -> bool:
        """Whether the tracer left out part of a text."""
        return '"...' in self.arguments

    @property
    def first_word(self) -> str:
        """`AF_INET` of `socket(AF_INET, ...)`."""
        word = _FAMILY.match(self.arguments)
        return word[1] if word else ""

    def strings(self) -> list[bytes]:
        """All texts among the arguments, in order."""
        return [unhex(match[1]) for match in _STRING.finditer(self.arguments)]

    def path_of_descriptor(self) -> str:
        """Of the first argument, `5</path>`; empty where it is no descriptor."""
        return described(self.arguments)

    def path_of_result(self) -> str:
        """Of what was opened; empty where nothing was."""
        return described(self.result)


def described(text: str) -> str:
    """The path in `5<\\x2f...>`, at the beginning of `text`."""
    match = re.match(r"\w+<([^>]*)>", text)
    if match is None:
        return ""
    return _HEX.sub(lambda found: unhex(found[0]).decode(errors="surrogateescape"), match[1])


def readable(text: str) -> str:
    """The same with every text in plain letters, for people."""
    return _HEX.sub(lambda found: ascii(unhex(found[0]).decode("latin-1"))[1:-1], text)


def unhex(text: str) -> bytes:
    r"""The bytes of `\x2f\x74`."""
    return bytes.fromhex(text.replace("\\x", ""))


def read_calls(folder: Path, prefix: str) -> list[Call]:
    """All calls of all threads in the order in which they began."""
    calls: list[Call] = []
    for file in folder.glob(f"{prefix}.*"):
        calls += _calls_of(file)
    return sorted(calls, key=lambda call: call.at_s)


def _calls_of(file: Path) -> Iterator[Call]:
    thread = int(file.suffix[1:])
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE.match(line) or _CUT.match(line)
            if match is not None:
                fields = match.groupdict()
                yield Call(
                    thread=thread,
                    at_s=float(fields["at"]),
                    name=fields["name"],
                    arguments=fields["arguments"],
                    result=fields.get("result") or "",
                )
