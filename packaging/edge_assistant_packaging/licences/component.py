"""One part of a bundle and its terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ComponentKind = Literal["wheel", "model", "voice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The text of a licence."""

    name: str
    """File name below the component's folder in `licences/`."""
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A wheel, a model or a voice."""

    kind: ComponentKind
    name: str
    version: str
    """Of a model its catalog has none: the first twelve digits of its hash."""
    licence: str
    """SPDX expression where we know one, else the name that its maker gives it."""
    found_in: str
    """Who says so."""
    hashes: tuple[tuple[str, str], ...]
    """Path in the bundle and SHA-256 of each file."""
    texts: tuple[Text, ...] = ()
    inside: str = ""
    """What else is in it, under which licence."""
    notes: str = ""

    @property
    def folder(self) -> str:
        """Where its texts are, below `licences/`."""
        return f"{self.name}-{self.version}" if self.kind == "wheel" else self.name
