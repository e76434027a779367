"""The bill of materials of a bundle: CycloneDX 1.6 in JSON, wheels and models alike."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.licences.component import Component

if TYPE_CHECKING:
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.license import License

_NAMESPACE: Final = uuid.UUID("b7a1f2f0-52f4-5e0c-9d2b-6f1f6a3f5f16")
"""Ours alone: a serial number is a UUID of version 5 in it, of the hash of all that is listed."""


def make(
    components: Sequence[Component], *, name: str, version: str, platform: str, made_at_s: int
) -> bytes:
    """Write the bill; the same parts at the same `made_at_s` give the same bytes.

    Args:
        components: all parts.
        name: of the whole.
        version: of the assistant.
        platform: that the wheels are for.
        made_at_s: its timestamp, seconds since 1970.

    Raises:
        ShippingError: `sbom-library-missing`.
    """
    try:
        from cyclonedx.model import Property
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component as Part
        from cyclonedx.model.component import ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
    except ImportError as error:
        raise ShippingError(
            "sbom-library-missing",
            "cyclonedx-python-lib, which writes the SBOM, is not installed",
            'pip install "edge-assistant[packaging]"',
        ) from error

    whole = Part(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="bundle",
        properties=[Property(name="edge-assistant:platform", value=platform)],
    )
    parts = [_part(each) for each in components]
    bom = Bom(
        components=parts,
        serial_number=_serial(components, name, version, platform, made_at_s),
        metadata=BomMetaData(
            component=whole, timestamp=datetime.fromtimestamp(made_at_s, tz=UTC), tools=[]
        ),
    )
    bom.register_dependency(whole, parts)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    # Sorted by us: the order of keys is no promise of the library.
    return (json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n").encode()


def _part(component: Component) -> Part:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    def hashed(sha256: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]

    is_wheel = component.kind == "wheel"
    files = component.hashes
    inner = [
        Part(name=path, type=ComponentType.FILE, bom_ref=f"file:{path}", hashes=hashed(sha256))
        for path, sha256 in files
        if not is_wheel
    ]
    said = {
        "edge-assistant:licence-said-by": component.found_in,
        "edge-assistant:kind": component.kind,
    }
    if component.inside:
        said["edge-assistant:inside"] = component.inside
    if component.notes:
        said["edge-assistant:notes"] = component.notes
    return Part(
        name=component.name,
        version=component.version,
        type=ComponentType.LIBRARY if is_wheel else ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"{component.kind}:{component.name}@{component.version}",
        purl=PackageURL("pypi", None, component.name, component.version) if is_wheel else None,
        hashes=hashed(files[0][1]) if len(files) == 1 else [],
        licenses=[_licence(component)],
        components=inner,
        properties=[Property(name=key, value=value) for key, value in said.items()],
    )


def _licence(component: Component) -> License:
    """An SPDX id or expression where it is one, else a name."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    return LicenseFactory().make_from_string(component.licence)


def _serial(
    components: Sequence[Component], name: str, version: str, platform: str, made_at_s: int
) -> uuid.UUID:
    listed = [[c.kind, c.name, c.version, c.licence, *c.hashes] for c in components]
    said = json.dumps([name, version, platform, made_at_s, listed]).encode()
    return uuid.uuid5(_NAMESPACE, hashlib.sha256(said).hexdigest())
