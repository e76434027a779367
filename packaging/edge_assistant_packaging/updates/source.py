"""Where updates come from: a web server or a folder, of which nothing is believed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from edge_assistant.errors import ModelError
from edge_assistant.store.download import Download, Wanted
from edge_assistant.store.hosts import NetworkPolicy
from edge_assistant.store.progress import NoProgress, Progress
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import opened, read_small

_CHUNK_BYTES: Final = 1 << 20
_SPARE_BYTES: Final = 1 << 20
_HINT: Final = "try again; or bring the files on a disk and name their folder with --source"


class Source(Protocol):
    """Gives files by their path below the place of the catalog."""

    def small(self, path: str, limit_bytes: int, scratch: Path) -> bytes:
        """Read a file of unknown size, never more than `limit_bytes` of it.

        Raises:
            ShippingError: it is not there, too large, or its host misbehaves.
        """
        ...

    def fetch(
        self, path: str, size_bytes: int, sha256: str, part: Path, progress: Progress
    ) -> None:
        """Bring a file to `part`, where its bytes are what `sha256` says when this returns.

        What an earlier call left at `part` is gone on with.

        Raises:
            ShippingError: also `update-wrong-bytes`, `disk-full`.
        """
        ...


def open_source(place: str, policy: NetworkPolicy | None = None) -> Source:
    """A source of the address or folder that the user named.

    Raises:
        ShippingError: `update-source-unfit`.
    """
    if "://" not in place:
        folder = Path(place)
        with suppress(RuntimeError):  # `~name`, and there is nobody of that name
            folder = folder.expanduser()
        if not folder.is_dir():
            raise ShippingError(
                "update-source-unfit",
                f"there is no folder {folder}",
                "name the folder or the address (https://...) that has updates.json",
            )
        return FolderSource(folder)
    return WebSource(place, policy or NetworkPolicy())


class FolderSource:
    """A folder of this machine, such as a stick that somebody brought."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def small(self, path: str, limit_bytes: int, scratch: Path) -> bytes:
        """As `Source`."""
        return read_small(self._folder / path, limit_bytes)

    def fetch(
        self, path: str, size_bytes: int, sha256: str, part: Path, progress: Progress
    ) -> None:
        """As `Source`; always from the start."""
        _require_room(part, size_bytes)
        found = hashlib.sha256()
        left_bytes = size_bytes
        with opened(self._folder / path) as file, part.open("wb") as target:
            while left_bytes and (chunk := file.read(min(left_bytes, _CHUNK_BYTES))):
                left_bytes -= len(chunk)
                found.update(chunk)
                target.write(chunk)
                progress.advanced(size_bytes - left_bytes)
            is_longer = bool(file.read(1))
        if left_bytes or is_longer or found.hexdigest() != sha256:
            part.unlink()
            raise _wrong(f"{path} in {self._folder}")


class WebSource:
    """A web server. Plain http will do: what comes is held to the vendor's signature.

    The origin that the user typed may be asked whatever it is; what it redirects to has to be the
    same origin, or https and not of this machine.
    """

    def __init__(self, base: str, policy: NetworkPolicy) -> None:
        try:
            parts = urlsplit(base)
            is_fit = parts.scheme in ("http", "https") and bool(parts.hostname)
            is_fit = is_fit and "@" not in parts.netloc and not parts.query and not parts.fragment
        except ValueError:
            is_fit = False
        if not is_fit:
            raise ShippingError(
                "update-source-unfit",
                f"{base[:200]!r} is no address of a folder on a web server",
                "write it as https://host/folder",
            )
        self._base = base.rstrip("/")
        self._policy = replace(policy, named_origin=f"{parts.scheme}://{parts.netloc}")

    def small(self, path: str, limit_bytes: int, scratch: Path) -> bytes:
        """As `Source`; always asked anew, through a file in `scratch`."""
        part = scratch / "asked.part"
        part.unlink(missing_ok=True)
        wanted = Wanted(url=self._url(path), max_bytes=limit_bytes, is_signed=True)
        with _as_ours(wanted.url):
            Download(wanted, part, self._policy, NoProgress()).run()
        return read_small(part, limit_bytes)

    def fetch(
        self, path: str, size_bytes: int, sha256: str, part: Path, progress: Progress
    ) -> None:
        """As `Source`."""
        have_bytes = part.stat().st_size if part.exists() else 0
        _require_room(part, max(0, size_bytes - have_bytes))
        wanted = Wanted(
            url=self._url(path), max_bytes=size_bytes, size_bytes=size_bytes, sha256=sha256
        )
        with _as_ours(wanted.url):
            Download(wanted, part, self._policy, progress).run()

    def _url(self, path: str) -> str:
        return f"{self._base}/{quote(path)}"


@contextmanager
def _as_ours(url: str) -> Iterator[None]:
    """Errors of the store's downloads with a way out that belongs to updates."""
    try:
        yield
    except ModelError as error:
        if error.code in ("hash-mismatch", "size-mismatch"):
            raise _wrong(f"{url}: {error.message}") from error
        raise ShippingError(f"update-{error.code}", error.message, _HINT) from error
    except ValueError as error:  # urllib3's, of a host that is no name: ours, or a redirect's
        raise ShippingError("update-address-refused", f"{url}: {error}"[:300], _HINT) from error
    except OSError as error:
        raise ShippingError(
            "output-unwritable", f"what comes from {url} cannot be kept: {error}", "see: df -h"
        ) from error


def _require_room(part: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(part.parent).free
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise ShippingError(
            "disk-full",
            f"it needs {needed_bytes / 1e6:.0f} MB, and {free_bytes / 1e6:.0f} MB are free",
            "free some space; `df -h` shows where it is short",
        )


def _wrong(what: str) -> ShippingError:
    return ShippingError("update-wrong-bytes", f"{what} is not what the catalog signed", _HINT)
