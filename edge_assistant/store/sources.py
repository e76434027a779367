"""Where a file can come from: the four forms of a source in the catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.store.names import member_fault

_PYPI = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.+!]*)!(.+)")
_HF = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([A-Za-z0-9][\w.-]*)/(.+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiSource:
    """A member of a wheel."""

    name: str
    version: str
    member: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A file of a Hugging Face repository."""

    repo: str
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource:
    """A file behind an address."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file of this machine, given by its absolute path."""

    path: Path


Source = PypiSource | HubSource | UrlSource | FileSource


def parse_source(text: str) -> Source:
    """Read one source.

    Raises:
        ValueError: not one of `pypi:name==version!member`, `hf:owner/repo@revision/path`,
            `https://...`, `file:/absolute/path`.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "pypi":
        return _pypi(text, rest)
    if scheme == "hf":
        return _hub(text, rest)
    if scheme in ("https", "http") and rest.startswith("//"):
        # Plain http is refused when it is fetched, not here: the tests serve from loopback.
        if not text.isascii() or not text.isprintable() or " " in text or len(text) > 2000:
            raise ValueError(f"address with characters that do not belong there: {text[:80]!r}")
        return UrlSource(url=text)
    if scheme == "file" and rest and "\0" not in rest and Path(rest).is_absolute():
        return FileSource(path=Path(rest))
    raise ValueError(f"unknown form of source: {text[:80]!r}")


def _pypi(text: str, rest: str) -> PypiSource:
    match = _PYPI.fullmatch(rest)
    if match is None:
        raise ValueError(f"expected pypi:name==version!member, got {text[:80]!r}")
    name, version, member = match.groups()
    if fault := member_fault(member):
        raise ValueError(f"member of {text[:80]!r}: {fault}")
    return PypiSource(name=name, version=version, member=member)


def _hub(text: str, rest: str) -> HubSource:
    match = _HF.fullmatch(rest)
    if match is None:
        raise ValueError(f"expected hf:owner/repo@revision/path, got {text[:80]!r}")
    repo, revision, path = match.groups()
    if fault := member_fault(path):
        raise ValueError(f"path of {text[:80]!r}: {fault}")
    if ".." in repo or ".." in revision:
        raise ValueError(f"'..' in {text[:80]!r}")
    return HubSource(repo=repo, revision=revision, path=path)
