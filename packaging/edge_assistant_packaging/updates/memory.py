"""What this machine has seen of a vendor's catalogs, so that nobody can show it an older one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge_assistant.atomic import write_atomically
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import read_small
from edge_assistant_packaging.manifest import MAX_NUMBER
from edge_assistant_packaging.updates.catalog import Catalog, Line

SCHEMA: Final = 1
_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of one channel of one vendor."""

    serial: int = 0
    catalog_sha256: str = ""
    issued_at_s: int = 0
    floors: dict[str, int] = field(default_factory=dict)
    """The highest floor ever seen, by line."""

    def floor(self, line: Line) -> int:
        """Of that line; 0 where none was seen."""
        return self.floors.get(str(line), 0)


class Memory:
    """A file with what was seen; nothing in it ever gets smaller.

    Not shared between threads. Of two processes that write in the same instant the last one wins.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def recall(self, key_name: str, channel: str) -> Seen:
        """What was seen of the channel of the owner of that key; all zero at first.

        Raises:
            ShippingError: `update-state-invalid`. It is not taken for an empty one: that would
                forget what may not come back.
        """
        return self._read().get(f"{key_name} {channel}", Seen())

    def keep(self, key_name: str, catalog: Catalog, catalog_sha256: str) -> None:
        """Remember a catalog that was found right.

        Raises:
            ShippingError: `update-state-invalid`, `update-state-unwritable`.
        """
        every = self._read()
        place = f"{key_name} {catalog.channel}"
        every[place] = _grown(every.get(place, Seen()), catalog, catalog_sha256)
        fields = {name: asdict(each) for name, each in sorted(every.items())}
        text = json.dumps({"schema": SCHEMA, "seen": fields}, indent=1, sort_keys=True)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, text.encode() + b"\n", is_synced=True)
        except OSError as error:
            raise ShippingError(
                "update-state-unwritable",
                f"{self._path} cannot be written: {error.strerror or error}",
                "name a file that can, with --state",
            ) from error

    def _read(self) -> dict[str, Seen]:
        if not self._path.exists():
            return {}
        data = read_small(self._path, _MAX_BYTES)
        try:
            raw: Any = json.loads(data)
            if raw["schema"] != SCHEMA:
                raise ValueError("a schema that this version does not know")
            return {name: _checked(Seen(**each)) for name, each in raw["seen"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ShippingError(
                "update-state-invalid",
                f"{self._path} is not what it was written as: {error}"[:300],
                "look at it; to delete it makes this machine believe old catalogs again",
            ) from error


def _grown(seen: Seen, catalog: Catalog, catalog_sha256: str) -> Seen:
    """What was seen with a catalog added; another process may have seen a newer one meanwhile."""
    floors = dict(seen.floors)
    for each in catalog.floors:
        floors[str(each.line)] = max(each.build, floors.get(str(each.line), 0))
    is_newer = catalog.serial >= seen.serial
    return Seen(
        serial=catalog.serial if is_newer else seen.serial,
        catalog_sha256=catalog_sha256 if is_newer else seen.catalog_sha256,
        issued_at_s=max(seen.issued_at_s, catalog.issued_at_s),
        floors=floors,
    )


def _checked(seen: Seen) -> Seen:
    numbers = (seen.serial, seen.issued_at_s, *seen.floors.values())
    if not all(type(each) is int and 0 <= each <= MAX_NUMBER for each in numbers):
        raise ValueError("a number that is none")
    if type(seen.catalog_sha256) is not str:
        raise ValueError("a hash that is none")
    return seen
