"""What the store remembers: hashes pinned at the first pull, models added, and past verdicts.

Two small JSON files in the store's folder. `pins.json` is what trust rests on and is never guessed
at: if it cannot be read, that is an error. `verdicts.json` only saves time and may be deleted;
where the store cannot be written, it is in a spare folder.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edge_assistant.atomic import write_atomically
from edge_assistant.errors import ModelError
from edge_assistant.store.entry import ModelEntry
from edge_assistant.store.hashing import Identity
from edge_assistant.store.locks import file_lock

_LOCK_TIMEOUT_S = 20.0
_MAX_BYTES = 16_000_000
_MAX_VERDICTS = 500
_VERDICTS_NAME: Final = "verdicts.json"


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file had to be when it first entered the store."""

    size_bytes: int
    sha256: str
    source: str
    """Where it came from, for the reader; trust does not depend on it."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a past check of a file found, good as long as its identity stays the same."""

    identity: Identity
    sha256: str
    summary: str = ""
    """What the header parser said; empty if the header was not read."""
    form: str = ""
    """Format the header was read as."""
    was_run: bool = False
    """The file was loaded and run once in a child process."""
    run_note: str = ""
    """Why it was only loaded there; empty if it ran too."""


class Book(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `pins.json`."""

    schema: int = 1
    pins: dict[str, dict[str, Pin]] = {}
    """By model id and file name."""
    added: dict[str, ModelEntry] = {}
    """Models that the user added, by id."""


# Made on the thread that imports: msgspec works out a type when it first meets it, and crashes
# where two threads first meet it at once, as those that load the engines may.
_BOOKS: Final = msgspec.json.Decoder(Book)
_VERDICTS: Final = msgspec.json.Decoder(dict[str, Verdict])


class Ledger:
    """Reads and writes both files of one store; safe between threads and processes.

    Args:
        root: folder of the store.
        spare: where verdicts go if the store cannot be written; None for nowhere.
    """

    def __init__(self, root: Path, spare: Path | None = None) -> None:
        self._pins_path = root / "pins.json"
        self._lock_path = _lock_in(root)
        self._verdict_folders = (root,) if spare is None else (root, spare)

    def book(self) -> Book:
        """Read pins and added models; empty if there are none.

        Raises:
            ModelError: `store-damaged`.
        """
        raw = _bounded_read(self._pins_path)
        if raw is None:
            return Book()
        try:
            book = _BOOKS.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error
        if book.schema != 1:
            raise self._damaged(f"schema {book.schema}")
        return book

    def pin(self, model_id: str, pins: dict[str, Pin], added: ModelEntry | None = None) -> None:
        """Record files of a model, and the model itself if the catalog does not have it."""
        with file_lock(self._lock_path, _LOCK_TIMEOUT_S):
            book = self.book()
            book.pins.setdefault(model_id, {}).update(pins)
            if added is not None:
                book.added[model_id] = added
            _write(self._pins_path, msgspec.json.encode(book))

    def forget(self, model_id: str) -> None:
        """Drop all pins of a model, and the model itself if it was added."""
        with file_lock(self._lock_path, _LOCK_TIMEOUT_S):
            book = self.book()
            book.pins.pop(model_id, None)
            book.added.pop(model_id, None)
            _write(self._pins_path, msgspec.json.encode(book))

    def verdict(self, path: Path, identity: Identity) -> Verdict | None:
        """Find a past verdict on the same bytes."""
        found = (_verdicts(folder).get(str(path)) for folder in self._verdict_folders)
        return next((each for each in found if each and each.identity == identity), None)

    def judge(self, path: Path, verdict: Verdict) -> None:
        """Remember a verdict. Where nothing can be written it is just checked again next time."""
        for folder in self._verdict_folders:
            with suppress(ModelError, OSError), file_lock(_lock_in(folder), _LOCK_TIMEOUT_S):
                verdicts = _verdicts(folder)
                verdicts.pop(str(path), None)
                verdicts[str(path)] = verdict
                for stale in list(verdicts)[: max(0, len(verdicts) - _MAX_VERDICTS)]:
                    del verdicts[stale]
                _write(folder / _VERDICTS_NAME, msgspec.json.encode(verdicts))
                return

    def _damaged(self, reason: str) -> ModelError:
        return ModelError(
            "store-damaged",
            f"{self._pins_path} cannot be read: {reason}",
            f"remove {self._pins_path} and pull or add your models again",
        )


def _lock_in(folder: Path) -> Path:
    return folder / ".locks" / "ledger.lock"


def _verdicts(folder: Path) -> dict[str, Verdict]:
    try:
        raw = _bounded_read(folder / _VERDICTS_NAME)
        return _VERDICTS.decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError, ModelError):
        return {}


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, data, is_private=True, is_synced=True)


def _bounded_read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(
            "store-damaged", f"cannot read {path}: {error.strerror}", f"try: ls -l {path}"
        ) from error
    if len(raw) > _MAX_BYTES:
        raise ModelError("store-damaged", f"{path} is too large", f"remove {path}")
    return raw
