"""Makes the signed catalog of a folder with bundles and deltas: the vendor's side."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_assistant.atomic import write_atomically
from edge_assistant_packaging.bundle.archive import Reader
from edge_assistant_packaging.bundle.verify import verify
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import new_file, opened, read_small
from edge_assistant_packaging.signing import KeyPair, sign
from edge_assistant_packaging.signing import verify as verify_signature
from edge_assistant_packaging.updates.catalog import (
    CATALOG,
    CATALOG_SIGNATURE,
    MAX_CATALOG_BYTES,
    Catalog,
    DeltaOffer,
    Floor,
    Line,
    Offer,
    check,
    parse,
)
from edge_assistant_packaging.updates.delta import DELTA, MAX_DELTA_BYTES, parse_head
from edge_assistant_packaging.updates.updater import line_of

_NEXT: Final = f".{CATALOG}.next"
"""A catalog that is signed and not yet served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A catalog that was written."""

    path: Path
    catalog: Catalog
    left_out: tuple[str, ...]
    """Deltas that lead to no bundle of the folder."""


def publish(
    folder: Path,
    pair: KeyPair,
    *,
    channel: str,
    floors: Mapping[Line, int],
    now_s: int,
    valid_s: int,
) -> Published:
    """Write `updates.json` and its signature for every `*.bundle` and `*.delta` in `folder`.

    The serial is one above that of the catalog that is there, whose floors stay unless they are
    raised. Every bundle is checked, byte by byte.

    Args:
        folder: what will be on the server or the stick.
        pair: the vendor's; the one that signed the bundles.
        channel: what to call this series of catalogs.
        floors: builds below which nothing may be installed any more.
        now_s: seconds since 1970.
        valid_s: how long the catalog may be followed.

    Raises:
        ShippingError: `catalog-floor-lowered`, `catalog-wrong-channel`, `catalog-unfit`; a bundle,
            delta or the old catalog is not sound or not by this key; a file cannot be written.
    """
    _finish(folder, pair)
    before = _before(folder, pair, channel)
    bundles = sorted(_offer(path, folder, pair) for path in folder.glob("*.bundle"))
    hashes = {each.sha256 for each in bundles}
    deltas = sorted(_delta_offer(path, folder) for path in folder.glob("*.delta"))
    # Who has seen the last catalog takes no time before it for now: a clock that was wrong then, or
    # is now, must not make this one expired at once.
    issued_at_s = now_s if before is None else max(now_s, before.issued_at_s)
    catalog = Catalog(
        channel=channel,
        serial=1 if before is None else before.serial + 1,
        issued_at_s=issued_at_s,
        expires_at_s=issued_at_s + valid_s,
        floors=_floors(before, floors),
        bundles=tuple(bundles),
        deltas=tuple(each for each in deltas if each.bundle_sha256 in hashes),
    )
    try:
        check(catalog)
    except (TypeError, ValueError) as error:
        raise ShippingError(
            "catalog-unfit", f"this folder makes no catalog: {error}", "mend that, and try again"
        ) from error
    raw = catalog.to_bytes()
    signature = sign(raw, pair, catalog.comment)
    _serve(folder, raw, signature)
    left_out = tuple(each.path for each in deltas if each.bundle_sha256 not in hashes)
    return Published(path=folder / CATALOG, catalog=catalog, left_out=left_out)


def _serve(folder: Path, raw: bytes, signature: str) -> None:
    """Put catalog and signature in the place of the old ones.

    Two files cannot change at once. The signature goes first: who asks in between gets two that do
    not fit, and asks again; where we are ended in between, `_finish` goes on from `_NEXT`. Without
    that the vendor's last serial would be lost.
    """
    try:
        write_atomically(folder / _NEXT, raw, is_synced=True)
        with new_file(folder / CATALOG_SIGNATURE, overwrite=True) as part:
            part.write_text(signature, "ascii")
        (folder / _NEXT).replace(folder / CATALOG)
    except OSError as error:
        raise ShippingError(
            "output-unwritable",
            f"{folder / CATALOG} cannot be written: {error.strerror or error}",
            "choose a folder that is there, with room in it",
        ) from error


def _finish(folder: Path, pair: KeyPair) -> None:
    """End what an earlier call was kept from ending; see `_serve`."""
    waiting = folder / _NEXT
    if not waiting.exists():
        return
    raw = read_small(waiting, MAX_CATALOG_BYTES)
    try:
        verify_signature(raw, folder / CATALOG_SIGNATURE, pair.public)
    except ShippingError:
        waiting.unlink()  # its signature never came: nobody has seen it
    else:
        waiting.replace(folder / CATALOG)


def _before(folder: Path, pair: KeyPair, channel: str) -> Catalog | None:
    if not (folder / CATALOG).exists():
        return None
    raw = read_small(folder / CATALOG, MAX_CATALOG_BYTES)
    verify_signature(raw, folder / CATALOG_SIGNATURE, pair.public)
    before = parse(raw)
    if before.channel != channel:
        raise ShippingError(
            "catalog-wrong-channel",
            f"the catalog in {folder} is of the channel {before.channel}",
            "give each channel a folder of its own",
        )
    return before


def _floors(before: Catalog | None, raised: Mapping[Line, int]) -> tuple[Floor, ...]:
    kept = {} if before is None else {each.line: each.build for each in before.floors}
    for line, build in raised.items():
        if build < kept.get(line, 0):
            raise ShippingError(
                "catalog-floor-lowered",
                f"the floor of {line} is {kept[line]}, and cannot become {build}",
                "floors never go down: machines that saw it refuse the catalog",
            )
        kept[line] = build
    return tuple(sorted(Floor(line=line, build=build) for line, build in kept.items()))


def _offer(path: Path, folder: Path, pair: KeyPair) -> Offer:
    manifest = verify(path, pair.public)
    return Offer(
        line=line_of(manifest),
        build=manifest.build,
        version=manifest.version,
        path=path.relative_to(folder).as_posix(),
        size_bytes=path.stat().st_size,
        sha256=_sha256(path),
        manifest_sha256=hashlib.sha256(manifest.to_bytes()).hexdigest(),
        signature=sign(path, pair, manifest.comment),
    )


def _delta_offer(path: Path, folder: Path) -> DeltaOffer:
    with opened(path) as file:
        head = parse_head(Reader(file).small(DELTA, MAX_DELTA_BYTES)[0])
    return DeltaOffer(
        base_manifest_sha256=head.base_manifest_sha256,
        bundle_sha256=head.bundle_sha256,
        path=path.relative_to(folder).as_posix(),
        size_bytes=path.stat().st_size,
        sha256=_sha256(path),
    )


def _sha256(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, hashlib.sha256).hexdigest()
