"""Asks a source what there is, and brings a bundle that may be installed, or says why not."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.store.progress import NoProgress, Progress
from edge_assistant_packaging.bundle.archive import Reader
from edge_assistant_packaging.bundle.verify import verify
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import (
    forget_foreign,
    new_file,
    opened,
    read_small,
    require_place,
)
from edge_assistant_packaging.manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest, parse
from edge_assistant_packaging.signing import PublicKey
from edge_assistant_packaging.signing import verify as verify_signature
from edge_assistant_packaging.updates.catalog import (
    CATALOG,
    CATALOG_SIGNATURE,
    MAX_CATALOG_BYTES,
    MAX_SIGNATURE_BYTES,
    Catalog,
    DeltaOffer,
    Line,
    Offer,
)
from edge_assistant_packaging.updates.catalog import parse as parse_catalog
from edge_assistant_packaging.updates.delta import apply_delta
from edge_assistant_packaging.updates.judge import (
    Installed,
    WhenExpired,
    choose,
    require_fresh,
)
from edge_assistant_packaging.updates.memory import Memory
from edge_assistant_packaging.updates.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a check found out."""

    catalog: Catalog
    offer: Offer | None
    """None where the newest bundle is installed."""
    floor: int
    """The smallest build of the line that may be installed."""
    warning: str
    """Empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A bundle that was brought and found right."""

    path: Path
    manifest: Manifest
    size_bytes: int
    came_bytes: int
    """What had to be brought: of the bundle, or of the delta to it."""
    is_by_delta: bool


class Updater:
    """One vendor's updates on one channel, for one machine."""

    def __init__(
        self,
        source: Source,
        key: PublicKey,
        memory: Memory,
        *,
        channel: str,
        now_s: Callable[[], float],
        expired: WhenExpired = "refuse",
    ) -> None:
        """Args:
        source: where to ask; not believed.
        key: the vendor's, from somewhere else than the source.
        memory: what this machine has seen so far.
        channel: the one to follow.
        now_s: seconds since 1970.
        expired: what to do with a catalog past its time.
        """
        self._source = source
        self._key = key
        self._memory = memory
        self._channel = channel
        self._now_s = now_s
        self._expired: WhenExpired = expired

    def check(self, line: Line, installed: Installed | None) -> Answer:
        """Ask for the catalog and hold it to its signature and to what was seen before.

        A catalog that passes is remembered, whether it offers anything or not.

        Raises:
            ShippingError: those of `signing.verify`, `judge` and the source.
        """
        with tempfile.TemporaryDirectory(prefix="updates-") as scratch:
            folder = Path(scratch)
            signature = self._source.small(CATALOG_SIGNATURE, MAX_SIGNATURE_BYTES, folder)
            raw = self._source.small(CATALOG, MAX_CATALOG_BYTES, folder)
        comment = verify_signature(raw, signature, self._key)
        catalog = parse_catalog(raw)
        if comment != catalog.comment:
            raise ShippingError(
                "catalog-invalid",
                f"its signature is for {comment!r}, not for {catalog.comment!r}",
                "tell the vendor",
            )
        sha256 = hashlib.sha256(raw).hexdigest()
        seen = self._memory.recall(self._key.name, self._channel)
        warning = require_fresh(catalog, sha256, seen, self._channel, self._now_s(), self._expired)
        self._memory.keep(self._key.name, catalog, sha256)
        floor = max(seen.floor(line), catalog.floor(line))
        offer = choose(catalog, line, installed, seen)
        if not warning and installed is not None and installed.build < floor:
            warning = f"build {installed.build} is below the vendor's floor {floor}: update it"
        return Answer(catalog=catalog, offer=offer, floor=floor, warning=warning)

    def fetch(
        self,
        answer: Answer,
        output: Path,
        *,
        have: Path | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Fetched:
        """Bring the bundle of `answer` to `output`, which is there only when all was checked.

        `output.minisig` comes beside it, for who checks with `minisign -V`. What came before a
        break is kept there too (`.NAME.<16 hex>.part`) for the next call.

        Args:
            answer: of `check`, with an offer.
            output: the bundle to make.
            have: a bundle that this machine has; a delta from it is brought where there is one.
            overwrite: replace a file that is there.
            progress: told about the bytes that come.

        Raises:
            ShippingError: `update-mismatch`: it is another bundle than the catalog says; those of
                `bundle.verify.verify`, `apply_delta` and the source.
        """
        offer = answer.offer
        if offer is None:
            raise ValueError("there is nothing to fetch")
        require_place(output, overwrite=overwrite)  # before anything is brought
        delta = None if have is None else _delta_from(answer.catalog, offer, have)
        came = offer if delta is None else delta
        part = output.with_name(f".{output.name}.{came.sha256[:16]}.part")
        forget_foreign(part)
        told = progress or NoProgress()
        told.started(came.path, came.size_bytes)
        try:
            self._source.fetch(came.path, came.size_bytes, came.sha256, part, told)
        finally:
            told.finished()
        try:  # it is whole now, and kept for nobody
            with new_file(output, overwrite=overwrite) as made:
                if delta is None or have is None:
                    part.replace(made)
                else:
                    apply_delta(have, part, made, self._key, overwrite=True)
                    made.with_name(f"{made.name}.minisig").unlink()
                manifest = self._require_offered(made, offer)
                signature_path = output.with_name(f"{output.name}.minisig")
                with new_file(signature_path, overwrite=True) as signature:  # first, or no bundle
                    signature.write_bytes(offer.signature.encode())
        finally:
            part.unlink(missing_ok=True)
        return Fetched(
            path=output,
            manifest=manifest,
            size_bytes=offer.size_bytes,
            came_bytes=came.size_bytes,
            is_by_delta=delta is not None,
        )

    def _require_offered(self, bundle: Path, offer: Offer) -> Manifest:
        """Check every byte, and that this is the very bundle that the catalog speaks of."""
        with opened(bundle) as file:
            sha256 = hashlib.file_digest(file, hashlib.sha256).hexdigest()
        verify_signature(bundle, offer.signature, self._key, is_canonical=True)
        manifest = verify(bundle, self._key)
        found = (
            line_of(manifest),
            manifest.build,
            manifest.version,
            hashlib.sha256(manifest.to_bytes()).hexdigest(),
            sha256,
        )
        if found != (
            offer.line,
            offer.build,
            offer.version,
            offer.manifest_sha256,
            offer.sha256,
        ):
            raise ShippingError(
                "update-mismatch",
                f"the catalog offers {offer.line} build {offer.build}; "
                f"what came is {manifest.comment}",
                "tell the vendor; nothing was kept",
            )
        return manifest


def line_of(manifest: Manifest) -> Line:
    """What updates of such a bundle go along."""
    return Line(name=manifest.name, platform=manifest.platform, profile=manifest.profile)


def read_installed(place: Path) -> Installed:
    """What is installed, of its `manifest.json`, the folder with it, or a bundle.

    It was checked when it was installed; here it only says where updates begin.

    Raises:
        ShippingError: `manifest-invalid`, `bundle-not-one`; the file cannot be read.
    """
    file = place / MANIFEST if place.is_dir() else place
    raw = _manifest_bytes(file) if file.name != MANIFEST else read_small(file, MAX_MANIFEST_BYTES)
    manifest = parse(raw)
    return Installed(
        line=line_of(manifest),
        build=manifest.build,
        manifest_sha256=hashlib.sha256(raw).hexdigest(),
    )


def _delta_from(catalog: Catalog, offer: Offer, have: Path) -> DeltaOffer | None:
    base = hashlib.sha256(_manifest_bytes(have)).hexdigest()
    wanted = (base, offer.sha256)
    found = (d for d in catalog.deltas if (d.base_manifest_sha256, d.bundle_sha256) == wanted)
    return next((each for each in found if each.size_bytes < offer.size_bytes), None)


def _manifest_bytes(bundle: Path) -> bytes:
    with opened(bundle) as file:
        return Reader(file).small(MANIFEST, MAX_MANIFEST_BYTES)[0]
