"""Fills a staging folder, which becomes a bundle or a package: all parts of a profile for a target.

Layout: `wheels/`, `models/`, `config/config.toml`, `services/`, `licences/`, `sbom.cdx.json`, and
`sources/` where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from msgspec import structs

from edge_assistant.config import Config, dump, load_profile
from edge_assistant.pipeline.engines import DEFAULT_ACCENTS
from edge_assistant.store.entry import InstalledModel
from edge_assistant.store.hashing import digest
from edge_assistant.store.store import Store
from edge_assistant_packaging import sources, staged_models
from edge_assistant_packaging.epoch import source_date_epoch
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.licences import known, report, sbom
from edge_assistant_packaging.licences.collect import of_model, of_wheel
from edge_assistant_packaging.licences.component import Component
from edge_assistant_packaging.wheels import house
from edge_assistant_packaging.wheels.target import Target

SBOM: Final = "sbom.cdx.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFacts:
    """What was put into a staging folder."""

    folder: Path
    version: str
    """Of the assistant."""
    platform: str
    python: str
    cpu_flags: str
    cpu_features: str
    """Of /proc/cpuinfo, with blanks between them."""
    made_at_s: int
    models: tuple[str, ...]
    """Ids."""
    warnings: tuple[str, ...]
    """Licences that need a second look."""
    missing_sources: tuple[str, ...]
    """With `with_sources`: what could not be had."""
    size_bytes: int


def stage(
    profile: str,
    platform: str,
    config: Path | None,
    *,
    with_sources: bool,
    permissive_only: bool,
    wheels_from: Path | None,
    folder: Path,
    cpu: str | None = None,
    store: Store | None = None,
    cache: Path | None = None,
) -> StagedFacts:
    """Fill `folder`. pip may use the network, nothing else does.

    Args:
        profile: name of a built-in profile.
        platform: of `manifest.PLATFORMS`.
        config: file to lay over the profile.
        with_sources: also what the GPL parts' licence asks for.
        permissive_only: leave the GPL parts out, and speak through the system's own espeak-ng.
        wheels_from: folder of wheels, also for pip; ours and llama.cpp's of it are not built.
        folder: made if it is not there; must be empty.
        cpu: which processors llama.cpp is compiled for, or the one of `wheels_from` was: of
            `target.CPUS`.
        store: where the models are installed; this user's without it.
        cache: what takes long is kept here; this user's cache folder without it.

    Raises:
        EdgeAssistantError: a part is missing, broken or for another target; `folder` is half full.
    """
    target = Target(platform=platform, cpu=cpu)
    made_at_s = source_date_epoch()
    store, cache = store or Store.default(), cache or default_cache()
    settled = settle(profile, config, store, permissive_only=permissive_only)
    _empty(folder)
    models = staged_models.stage(settled, store, folder / "models")
    filled = house.fill(
        folder / "wheels",
        target,
        cache=cache,
        made_at_s=made_at_s,
        wheels_from=wheels_from,
        permissive_only=permissive_only,
    )
    _settings(folder, settled)
    parts = [of_wheel(each) for each in filled.wheels]
    parts += [_model_part(each, store) for each in models]
    _papers(folder, parts, filled, target, made_at_s, permissive_only)
    place = folder / "sources" if with_sources else None
    missing = sources.stage(place, filled.wheels, cache, made_at_s, wheels_from)
    warnings = tuple(report.warnings_of(parts))
    ids = tuple(model.entry.id for model in models)
    return _facts(folder, target, filled, made_at_s, ids, warnings, missing)


def _facts(
    folder: Path,
    target: Target,
    filled: house.House,
    made_at_s: int,
    models: tuple[str, ...],
    warnings: tuple[str, ...],
    missing_sources: tuple[str, ...],
) -> StagedFacts:
    """What to say of a folder that is full; its files get their modes."""
    return StagedFacts(
        folder=folder,
        version=filled.own.version,
        platform=target.platform,
        python=target.python,
        cpu_flags=filled.cpu_flags,
        cpu_features=" ".join(filled.cpu_features),
        made_at_s=made_at_s,
        models=models,
        warnings=warnings,
        missing_sources=missing_sources,
        size_bytes=_settled_size_bytes(folder),
    )


def default_cache() -> Path:
    """Where built wheels and downloads of this user are kept between runs."""
    import platformdirs

    return platformdirs.user_cache_path("edge-assistant", appauthor=False) / "packaging"


def settle(profile: str, config: Path | None, store: Store, *, permissive_only: bool) -> Config:
    """The configuration of the bundle: profile and file, and nothing of this machine.

    What the file locks stays locked where the bundle is installed.

    Raises:
        ConfigError: as `config.load`.
    """
    settled = load_profile(profile, config)
    # No key is locked for the vendor, and a path of this machine is not to be told on another.
    locked = dict.fromkeys(sorted(settled.locked), "the bundle")
    settled = structs.replace(settled, locked={})
    if permissive_only and not settled.tts.voice.startswith(staged_models.PROGRAM_PREFIX):
        language = store.entry(settled.tts.voice).languages[0]
        accent = DEFAULT_ACCENTS.get(language, language).lower()
        voice = f"{staged_models.PROGRAM_PREFIX}{accent}"
        settled = settled.with_overrides({"tts.voice": voice, "tts.fallback": False})
    return structs.replace(settled, locked=locked)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ShippingError(
            "staging-not-empty",
            f"{folder} is not empty, and what is in it would be shipped",
            f"name another folder, or empty it: rm -r {folder}",
        )


def _settings(folder: Path, settled: Config) -> None:
    """Write the configuration, and copy the units that come with the package."""
    (folder / "config").mkdir()
    (folder / "config" / "config.toml").write_text(dump(settled), "utf-8")
    units = resources.files("edge_assistant_packaging") / "services"
    if not units.is_dir():
        return
    for unit in sorted(units.iterdir(), key=lambda each: each.name):
        if unit.is_file() and not unit.name.endswith((".py", ".pyc")):
            (folder / "services").mkdir(exist_ok=True)
            (folder / "services" / unit.name).write_bytes(unit.read_bytes())


def _model_part(model: InstalledModel, store: Store) -> Component:
    hashes = {name: digest(path).sha256 for name, path in model.paths.items()}
    return of_model(model, hashes, is_listed=model.entry.id in store.catalog)


def _papers(
    folder: Path,
    parts: list[Component],
    filled: house.House,
    target: Target,
    made_at_s: int,
    permissive_only: bool,
) -> None:
    """Write the licence report and the SBOM."""
    _refuse_gpl(parts, permissive_only)
    report.write(folder / "licences", parts, permissive_only=permissive_only)
    bill = sbom.make(
        parts,
        name=house.OWN_NAME,
        version=filled.own.version,
        platform=target.platform,
        made_at_s=made_at_s,
    )
    (folder / SBOM).write_bytes(bill)


def _refuse_gpl(parts: list[Component], permissive_only: bool) -> None:
    if not permissive_only:
        return
    if found := [each.name for each in parts if known.is_gpl(each.licence)]:
        raise ShippingError(
            "not-permissive",
            f"parts under the GPL are left: {', '.join(found)}",
            "choose others in the configuration, or leave --permissive-only out",
        )


def _settled_size_bytes(folder: Path) -> int:
    """Give all files the modes of a bundle; their size in all."""
    size_bytes = 0
    for path in sorted(folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        size_bytes += 0 if path.is_dir() else path.stat().st_size
    return size_bytes
