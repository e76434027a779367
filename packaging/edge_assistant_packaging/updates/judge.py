"""Whether a signed catalog may be followed, and where it leads (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.updates.catalog import Catalog, Line, Offer
from edge_assistant_packaging.updates.memory import Seen

WhenExpired = Literal["refuse", "warn"]
_STALE = (
    "try again later; if it goes on, the way to the vendor is blocked or the vendor has stopped"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What this machine has."""

    line: Line
    build: int
    manifest_sha256: str = ""
    """Empty where it is not known."""


def require_fresh(
    catalog: Catalog, sha256: str, seen: Seen, channel: str, now_s: float, expired: WhenExpired
) -> str:
    """Refuse a catalog of another channel, an old one, and one that takes something back.

    A clock that stands before the newest catalog that was seen is wrong, and that time counts.

    Returns:
        A warning; empty where all is well.

    Raises:
        ShippingError: `catalog-wrong-channel`, `catalog-replayed`, `catalog-forked`,
            `catalog-floor-lowered`, `catalog-expired`.
    """
    if catalog.channel != channel:
        raise ShippingError(
            "catalog-wrong-channel",
            f"the catalog is of the channel {catalog.channel}, not of {channel}",
            f"follow it with --channel {catalog.channel}, if you want that one",
        )
    if catalog.serial < seen.serial:
        raise ShippingError(
            "catalog-replayed",
            f"the catalog has serial {catalog.serial}; this machine has seen {seen.serial}",
            "somebody shows you an old one: try another way to the vendor",
        )
    if catalog.serial == seen.serial and seen.catalog_sha256 not in ("", sha256):
        raise ShippingError(
            "catalog-forked",
            f"there are two catalogs with serial {catalog.serial}, both signed",
            "ask the vendor which one is right",
        )
    for each in catalog.floors:
        if each.build < seen.floor(each.line):
            raise _lowered(each.line, each.build, seen)
    for name in seen.floors.keys() - {str(each.line) for each in catalog.floors}:
        if seen.floors[name]:
            raise ShippingError(
                "catalog-floor-lowered",
                f"the catalog has no floor for {name}, which had {seen.floors[name]}",
                "ask the vendor; floors never go down",
            )
    if max(now_s, seen.issued_at_s, catalog.issued_at_s) < catalog.expires_at_s:
        return ""
    overdue_days = (max(now_s, seen.issued_at_s) - catalog.expires_at_s) / 86_400
    message = f"the catalog expired {overdue_days:.1f} days ago"
    if expired == "refuse":
        raise ShippingError("catalog-expired", message, _STALE)
    return message


def choose(catalog: Catalog, line: Line, installed: Installed | None, seen: Seen) -> Offer | None:
    """The bundle to go to; None where the newest one is installed.

    Raises:
        ShippingError: `update-other-line`, `update-none-offered`, `update-rollback`,
            `update-forked`.
    """
    if installed is not None and installed.line != line:
        raise ShippingError(
            "update-other-line",
            f"{installed.line} is installed, and {line} was asked for",
            "leave out --name, --platform and --profile, or install that bundle by hand",
        )
    offer = catalog.newest(line)
    if offer is None:
        raise ShippingError(
            "update-none-offered",
            f"the catalog offers nothing for {line}",
            "see that name, platform and profile are those of your bundle",
        )
    least = max(seen.floor(line), catalog.floor(line))
    has = -1 if installed is None else installed.build
    if offer.build < least or offer.build < has:
        what = f"build {has} is installed" if offer.build < has else f"the floor is {least}"
        raise ShippingError(
            "update-rollback",
            f"the newest bundle offered has build {offer.build}; {what}",
            "nothing is fetched; tell the vendor",
        )
    if installed is None or offer.build > has:
        return offer
    if installed.manifest_sha256 not in ("", offer.manifest_sha256):
        raise ShippingError(
            "update-forked",
            f"the build {has} that is offered is not the build {has} that is installed",
            "ask the vendor which one is right",
        )
    return None


def _lowered(line: Line, build: int, seen: Seen) -> ShippingError:
    return ShippingError(
        "catalog-floor-lowered",
        f"the catalog has the floor {build} for {line}; this machine has seen {seen.floor(line)}",
        "ask the vendor; floors never go down",
    )
