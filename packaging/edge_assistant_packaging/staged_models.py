"""Puts the models of a configuration into a folder that a store can be opened on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge_assistant.config import Config
from edge_assistant.errors import ModelNotFound
from edge_assistant.store.entry import FileSpec, InstalledModel, ModelEntry
from edge_assistant.store.ledger import Ledger, Pin
from edge_assistant.store.pulling import expectation
from edge_assistant.store.store import Store
from edge_assistant_packaging.errors import ShippingError

PROGRAM_PREFIX: Final = "espeak-program:"
"""A voice that is a program of the target's system: nothing of it is in a bundle."""
_OF_THE_STORE: Final = ("verdicts.json", ".locks")
"""What a store writes to save time; it names this machine's paths and inodes."""


def needed(config: Config) -> tuple[str, ...]:
    """Ids of all models that a configuration loads, sorted."""
    ids = {config.stt.model, config.llm.model, config.tts.voice}
    if config.vad.engine == "silero":
        ids.add("silero-vad")
    if config.turn_detector.model != "none":
        ids.add(config.turn_detector.model)
    return tuple(sorted(each for each in ids if not each.startswith(PROGRAM_PREFIX)))


def stage(config: Config, source: Store, folder: Path) -> tuple[InstalledModel, ...]:
    """Copy the models and have a store check every byte of the copies.

    Args:
        config: names them.
        source: where they are installed.
        folder: of the store to make; it holds nothing but what is needed.

    Raises:
        ModelError: a model is unknown, or not what it should be.
        ShippingError: `model-not-listed`: a file that the configuration names by its path;
            `models-not-installed`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(source.root)
    staged = Store(folder, source.catalog, system=None)
    models = []
    for name, model in _installed(needed(config), source).items():
        _copy(model, folder, ledger, is_listed=name in source.catalog)
        models.append(staged.open(name) if model.paths else model)
    for name in _OF_THE_STORE:
        place = folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    pins = folder / "pins.json"
    if pins.exists():
        pins.chmod(0o644)
    return tuple(models)


def _installed(names: Sequence[str], source: Store) -> dict[str, InstalledModel]:
    """All of them, or an error that names all that are missing: one command fetches them."""
    found: dict[str, InstalledModel] = {}
    missing = []
    for name in names:
        if "/" in name or Path(name).is_file():
            raise ShippingError(
                "model-not-listed",
                f"{name} is a file of this machine, not a model of the store",
                f"edge-assistant models add {name}, and name its id in the configuration",
            )
        try:
            found[name] = source.open(name)
        except ModelNotFound as error:
            if error.code != "model-not-installed" or not source.entry(name).files:
                raise  # a voice without files lacks a package, which no pull brings
            missing.append(name)
    if missing:
        raise ShippingError(
            "models-not-installed",
            f"the configuration needs models that are not installed here: {', '.join(missing)}",
            f"edge-assistant models pull {' '.join(missing)}, or name others in a file and build "
            "with --config FILE",
        )
    return found


def _copy(model: InstalledModel, folder: Path, ledger: Ledger, *, is_listed: bool) -> None:
    """Copy its files; what the catalog does not vouch for is pinned to what it was here."""
    pins: dict[str, Pin] = {}
    for spec in model.entry.files:
        place = folder / model.entry.id / spec.name
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(model.paths[spec.name], place)
        place.chmod(0o644)
        expected = expectation(ledger, model.entry, spec)
        if expected is not None and spec.sha256 is None:
            pins[spec.name] = Pin(
                size_bytes=expected.size_bytes, sha256=expected.sha256, source="bundle"
            )
    if pins or not is_listed:
        added = None if is_listed else _without_paths(model.entry)
        Ledger(folder).pin(model.entry.id, pins, added=added)


def _without_paths(entry: ModelEntry) -> ModelEntry:
    """An added model says where its files lay on this machine; the bundle need not."""
    files: tuple[FileSpec, ...] = tuple(
        replace(spec, sources=(f"file:{spec.name}",)) for spec in entry.files
    )
    return replace(entry, files=files)
