"""Finds the licence of every wheel, model and voice, and its text."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

from edge_assistant.store.entry import InstalledModel
from edge_assistant_packaging.licences import known
from edge_assistant_packaging.licences.component import Component, Text
from edge_assistant_packaging.wheels.wheel import Wheel

_TEXT_NAME: Final = re.compile(
    r"(licen[cs]e|copying|notice|authors|thirdpartynotices|license_notes)", re.IGNORECASE
)
_NO_TEXT: Final = (".py", ".pyc", ".so", ".json", ".h")
_MAX_TEXT_BYTES: Final = 2_000_000
_MAX_FIELD_CHARS: Final = 100
"""A `License` field that is longer is the text itself."""


def of_wheel(wheel: Wheel) -> Component:
    """Read a wheel's licence, first where the standard has it, then where others put it."""
    licence, found_in = _licence(wheel)
    return Component(
        kind="wheel",
        name=wheel.name,
        version=wheel.version,
        licence=licence,
        found_in=found_in,
        hashes=((f"wheels/{wheel.path.name}", wheel.sha256),),
        texts=tuple(_texts(wheel)),
        inside=known.INSIDE.get(wheel.name, ""),
    )


def of_model(model: InstalledModel, hashes: dict[str, str], *, is_listed: bool) -> Component:
    """Take what the catalog says, or who added the model."""
    entry = model.entry
    named = tuple((f"models/{entry.id}/{name}", hashes[name]) for name in sorted(hashes))
    return Component(
        kind="voice" if entry.kind == "tts" else "model",
        name=entry.id,
        version=named[0][1][:12] if named else "in espeakng-loader",
        licence=entry.licence,
        found_in="catalog" if is_listed else "whoever added it",
        hashes=named,
        notes=entry.notes,
    )


def _licence(wheel: Wheel) -> tuple[str, str]:
    if wheel.name in known.WITHOUT_FIELD:
        licence, why = known.WITHOUT_FIELD[wheel.name]
        return licence, f"us: {why}"
    if expression := wheel.metadata.get("License-Expression"):
        return str(expression), "METADATA License-Expression"
    field = str(wheel.metadata.get("License") or "").strip()
    if field and len(field) <= _MAX_FIELD_CHARS and field.upper() != "UNKNOWN":
        return known.spdx(field), "METADATA License"
    if words := _classified(wheel.metadata.get_all("Classifier") or []):
        return known.spdx(words), "METADATA Classifier"
    return "unknown", "nowhere"


def _classified(classifiers: Iterable[str]) -> str:
    found = [str(each) for each in classifiers if str(each).startswith("License ::")]
    return " AND ".join(each.rpartition(" :: ")[2] for each in found)


def _texts(wheel: Wheel) -> Iterable[Text]:
    """Every file of the wheel that is named like a licence."""
    seen: set[bytes] = set()
    names: set[str] = set()
    with zipfile.ZipFile(wheel.path) as archive:
        for member in sorted(archive.infolist(), key=lambda each: each.filename):
            path = PurePosixPath(member.filename)
            is_text = _TEXT_NAME.search(path.name) and path.suffix not in _NO_TEXT
            if member.is_dir() or not is_text or member.file_size > _MAX_TEXT_BYTES:
                continue
            data = archive.read(member)
            if data in seen:
                continue
            seen.add(data)
            name = _file_name(path, names)
            names.add(name.casefold())
            yield Text(name=name, data=data)


def _file_name(path: PurePosixPath, taken: set[str]) -> str:
    """A plain name; files alike but for their folder get the folder's name in front."""
    parts = [part for part in path.parts if not part.endswith((".dist-info", ".data"))]
    for count in range(1, len(parts) + 1):
        name = re.sub(r"[^A-Za-z0-9._+-]", "_", "-".join(parts[-count:])).lstrip(".-_")[-120:]
        if name.casefold() not in taken:
            return name
    return f"{len(taken)}-{name}"
