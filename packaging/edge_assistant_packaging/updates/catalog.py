"""What a vendor offers: a list of bundles and deltas, signed as one.

Canonical JSON, as the manifest of a bundle is. Everything that decides is in it, so that nothing
that a server says needs to be believed: neither a size nor a name nor which bundle is the newest.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import MAX_NUMBER, PLATFORMS, is_safe

SCHEMA: Final = 1
KIND: Final = "edge-assistant-updates"
CATALOG: Final = "updates.json"
CATALOG_SIGNATURE: Final = "updates.json.minisig"
MAX_CATALOG_BYTES: Final = 1 << 20
MAX_SIGNATURE_BYTES: Final = 4096
MAX_FILE_BYTES: Final = 64 << 30
_MAX_ENTRIES: Final = 1000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Line:
    """What updates go along: a bundle is replaced by one of the same line only."""

    name: str
    platform: str
    profile: str

    def __str__(self) -> str:
        return f"{self.name} {self.platform} {self.profile}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Floor:
    """No update goes to a bundle of `line` below `build` any more, whatever is installed.

    `bundle unpack` and install.sh, to whom somebody brings a file by hand, know no catalog.
    """

    line: Line
    build: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Offer:
    """A bundle."""

    line: Line
    build: int
    version: str
    path: str
    """Below the folder of the catalog."""
    size_bytes: int
    sha256: str
    manifest_sha256: str
    signature: str
    """Of the whole file, as in its `.minisig`: for who has no verifier but minisign."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class DeltaOffer:
    """A shorter way to a bundle that is offered, for who has a certain other one."""

    base_manifest_sha256: str
    bundle_sha256: str
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All that a vendor offers on one channel."""

    channel: str
    serial: int
    """Counts up with every catalog of the channel: an old one cannot be passed off as new."""
    issued_at_s: int
    """Seconds since 1970."""
    expires_at_s: int
    floors: tuple[Floor, ...]
    bundles: tuple[Offer, ...]
    deltas: tuple[DeltaOffer, ...]

    def to_bytes(self) -> bytes:
        """Canonical: sorted keys, no blanks, one newline at the end."""
        fields = {"kind": KIND, "schema": SCHEMA, **asdict(self)}
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    @property
    def comment(self) -> str:
        """The trusted comment of its signature."""
        return f"edge-assistant updates {self.channel} serial {self.serial}"

    def floor(self, line: Line) -> int:
        """The smallest build of `line` that may be installed."""
        return max((each.build for each in self.floors if each.line == line), default=0)

    def newest(self, line: Line) -> Offer | None:
        """The bundle of `line` with the largest build; None where there is none."""
        return max((each for each in self.bundles if each.line == line), default=None)


def parse(data: bytes) -> Catalog:
    """Read a catalog, whose signature was checked before.

    Raises:
        ShippingError: `catalog-invalid`.
    """
    if len(data) > MAX_CATALOG_BYTES:
        raise invalid(f"it has {len(data)} bytes")
    try:
        raw: Any = json.loads(data)
        catalog = _checked(raw)
        if catalog.to_bytes() != data:
            raise ValueError("not in its canonical form")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise invalid(f"{type(error).__name__}: {error}"[:200]) from error
    return catalog


def check(catalog: Catalog) -> None:
    """Hold a catalog to what each has to be.

    Raises:
        ValueError: why not.
    """
    if not _WORD.fullmatch(catalog.channel):
        raise ValueError(f"the channel {catalog.channel!r}")
    times = (catalog.serial, catalog.issued_at_s, catalog.expires_at_s)
    if not all(_is_number(each) for each in times) or catalog.expires_at_s <= catalog.issued_at_s:
        raise ValueError("a serial or time that is none, or it expires before it begins")
    if len(catalog.floors) + len(catalog.bundles) + len(catalog.deltas) > _MAX_ENTRIES:
        raise ValueError("too many entries")
    bound = [(each.line, each.build) for each in catalog.floors]
    bound += [(each.line, each.build) for each in catalog.bundles]
    for line, build in bound:
        if not (_WORD.fullmatch(line.name) and _WORD.fullmatch(line.profile)):
            raise ValueError(f"the line {line}")
        if line.platform not in PLATFORMS:
            raise ValueError(f"the platform {line.platform!r}")
        if not _is_number(build):
            raise ValueError("a build that is none")
    for delta in catalog.deltas:
        _check_file(delta)
    for bundle in catalog.bundles:
        _check_file(bundle)
        if not _WORD.fullmatch(bundle.version) or not _SHA256.fullmatch(bundle.manifest_sha256):
            raise ValueError(f"the bundle {bundle.path!r}")
        if type(bundle.signature) is not str or len(bundle.signature) > MAX_SIGNATURE_BYTES:
            raise ValueError(f"the signature of {bundle.path!r}")
    _check_together(catalog)


def _check_file(offer: Offer | DeltaOffer) -> None:
    is_sized = type(offer.size_bytes) is int and 0 < offer.size_bytes <= MAX_FILE_BYTES
    if not is_safe(offer.path) or not is_sized or not _SHA256.fullmatch(offer.sha256):
        raise ValueError(f"the file {offer.path!r}")


def _check_together(catalog: Catalog) -> None:
    is_sorted = (
        list(catalog.floors) == sorted(catalog.floors)
        and list(catalog.bundles) == sorted(catalog.bundles)
        and list(catalog.deltas) == sorted(catalog.deltas)
    )
    if not is_sorted:
        raise ValueError("entries out of order")
    lines = [each.line for each in catalog.floors]
    builds = [(each.line, each.build) for each in catalog.bundles]
    if len(set(lines)) != len(lines) or len(set(builds)) != len(builds):
        raise ValueError("two entries of one line and build")
    for bundle in catalog.bundles:
        if bundle.build < catalog.floor(bundle.line):
            raise ValueError(f"the bundle {bundle.path!r} is below the floor of its line")
    hashes = {each.sha256 for each in catalog.bundles}
    for delta in catalog.deltas:
        bases = (delta.base_manifest_sha256, delta.bundle_sha256)
        if not all(_SHA256.fullmatch(each) for each in bases) or bases[1] not in hashes:
            raise ValueError(f"the delta {delta.path!r} leads to no bundle")


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _checked(raw: Any) -> Catalog:
    if raw.pop("kind") != KIND or raw.pop("schema") != SCHEMA:
        raise ValueError("a kind or schema that this version does not know")
    floors, bundles, deltas = (raw.pop(name) for name in ("floors", "bundles", "deltas"))
    catalog = Catalog(
        **raw,
        floors=tuple(Floor(**{**each, "line": Line(**each["line"])}) for each in floors),
        bundles=tuple(Offer(**{**each, "line": Line(**each["line"])}) for each in bundles),
        deltas=tuple(DeltaOffer(**each) for each in deltas),
    )
    check(catalog)
    return catalog


def invalid(why: str) -> ShippingError:
    """The error for a catalog that cannot be used."""
    return ShippingError(
        "catalog-invalid", f"the catalog of updates is not sound: {why}", "tell the vendor"
    )
