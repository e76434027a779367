"""Fills the wheelhouse: our wheel, llama.cpp's, and with pip everything that these need."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels import llama, own, programs
from edge_assistant_packaging.wheels.target import Target
from edge_assistant_packaging.wheels.wheel import Wheel, check_target, read

OWN_NAME: Final = "edge-assistant"
GPL_WHEELS: Final = ("piper-tts", "espeakng-loader")
"""Left out of a permissive bundle."""
LOCK: Final = "requirements.txt"
FLAGS_FILE: Final = "cpu-flags.txt"
"""Beside a wheel of llama.cpp that is given: how it was compiled, in words."""
_SUMS: Final = "SHA256SUMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A filled wheelhouse."""

    wheels: tuple[Wheel, ...]
    """By name."""
    own: Wheel
    cpu_flags: str
    cpu_features: tuple[str, ...]
    """What llama.cpp needs of a processor; nothing of a wheel of which nothing was said."""


def fill(
    folder: Path,
    target: Target,
    *,
    cache: Path,
    made_at_s: int,
    wheels_from: Path | None,
    permissive_only: bool,
) -> House:
    """Put all wheels into `folder`, with a `requirements.txt` of their hashes.

    What pip chose is kept in the cache: the next run with the same needs takes the same versions
    from there, without the network. Delete the cache to get newer ones.

    Raises:
        ShippingError: what is missing, or is not for the target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours = _own_wheel(folder, made_at_s, wheels_from)
    needs = _needs(ours, permissive_only)
    engine, cpu_flags, cpu_features = _engine(needs, target, cache, made_at_s, wheels_from)
    for path in _dependencies(needs, engine, target, cache, wheels_from):
        shutil.copyfile(path, folder / path.name)
    wheels = sorted((read(path) for path in folder.glob("*.whl")), key=lambda each: each.name)
    _check(wheels, target)
    lines = [f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in wheels]
    (folder / LOCK).write_text("".join(lines), "utf-8")
    (staged,) = [each for each in wheels if each.name == OWN_NAME]
    return House(wheels=tuple(wheels), own=staged, cpu_flags=cpu_flags, cpu_features=cpu_features)


def _own_wheel(folder: Path, made_at_s: int, wheels_from: Path | None) -> Wheel:
    """Put ours into `folder`: not into the cache, where another build of this user may be at it."""
    given = _given(wheels_from, OWN_NAME)
    if given is None:
        return read(own.build("wheel", folder, made_at_s))
    return read(Path(shutil.copyfile(given.path, folder / given.path.name)))


def _given(folder: Path | None, name: str) -> Wheel | None:
    """The wheel of that package in a folder.

    Raises:
        ShippingError: `wheels-missing`, `wheel-ambiguous`.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise ShippingError(
            "wheels-missing", f"there is no folder {folder}", "check --wheels-from with: ls"
        )
    found = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
    if len(found) > 1:
        raise ShippingError(
            "wheel-ambiguous",
            f"{folder} has {len(found)} wheels of {name}: {', '.join(p.name for p in found)}",
            "leave the one that is to be shipped",
        )
    return read(found[0]) if found else None


def _needs(ours: Wheel, permissive_only: bool) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    left_out = GPL_WHEELS if permissive_only else ()
    needs = [Requirement(each) for each in ours.requirements]
    return sorted(str(each) for each in needs if canonicalize_name(each.name) not in left_out)


def _engine(
    needs: list[str], target: Target, cache: Path, made_at_s: int, wheels_from: Path | None
) -> tuple[Path | None, str, tuple[str, ...]]:
    """llama.cpp's wheel, how it was compiled, what that takes; None if nothing needs it."""
    wanted = [each for each in needs if each.startswith(llama.NAME)]
    if not wanted:
        return None, "without llama.cpp", ()
    given = _given_for(target, wheels_from)
    if given is not None:
        said = given.path.parent / FLAGS_FILE
        words = said.read_text("utf-8").strip() if said.is_file() else ""
        features = target.processor.features if target.cpu else ()
        return given.path, words or f"not stated: {given.path.name} was given", features
    path = llama.build(wanted[0], target, cache, made_at_s)
    return path, llama.flags_in_words(target), target.processor.features


def _given_for(target: Target, wheels_from: Path | None) -> Wheel | None:
    """One folder may hold the wheels for both platforms."""
    if wheels_from is None:
        return None
    found = [
        path
        for path in sorted(wheels_from.glob(f"{llama.NAME.replace('-', '_')}-*.whl"))
        if target.takes(path.name)
    ]
    return read(found[-1]) if found else None


def _dependencies(
    needs: list[str], engine: Path | None, target: Target, cache: Path, wheels_from: Path | None
) -> list[Path]:
    """Resolve and fetch with pip, or give what was fetched before."""
    links = [path for path in (engine.parent if engine else None, wheels_from) if path]
    shelf = cache / "wheelhouse" / f"{target.platform}-{_key(needs, target, links)}"
    if _is_whole(shelf):
        return sorted(shelf.glob("*.whl"))
    shutil.rmtree(shelf, ignore_errors=True)
    shelf.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".wheels-", dir=shelf.parent))
    try:
        programs.download(
            draft,
            *("--only-binary", ":all:", "--implementation", "cp"),
            *("--python-version", target.python),
            *(word for abi in (target.abi, "abi3", "none") for word in ("--abi", abi)),
            *(word for name in target.platforms for word in ("--platform", name)),
            *(word for path in links for word in ("--find-links", str(path))),
            *needs,
            code="wheels-unavailable",
            hint="check the network or your pip configuration, or give --wheels-from",
        )
        fetched = [read(path) for path in sorted(draft.glob("*.whl"))]
        sums = "".join(f"{each.sha256}  {each.path.name}\n" for each in fetched)
        (draft / _SUMS).write_text(sums, "utf-8")
        draft.replace(shelf)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(shelf.glob("*.whl"))


def _key(needs: list[str], target: Target, links: list[Path]) -> str:
    """Changes with everything that pip's choice depends on, but for what is new on the index."""
    given = sorted(
        [path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]
        for folder in links
        for path in folder.glob("*.whl")
    )
    index = {name: word for name, word in sorted(os.environ.items()) if name.startswith("PIP_")}
    said = [needs, target.platform, target.python, target.glibc, given, index]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _is_whole(shelf: Path) -> bool:
    try:
        lines = (shelf / _SUMS).read_text("utf-8").splitlines()
    except OSError:
        return False
    kept = {name: sum_ for sum_, _, name in (line.partition("  ") for line in lines)}
    there = sorted(path.name for path in shelf.glob("*.whl"))
    return there == sorted(kept) and all(read(shelf / name).sha256 == kept[name] for name in there)


def _check(wheels: list[Wheel], target: Target) -> None:
    names = [each.name for each in wheels]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ShippingError(
            "wheel-ambiguous",
            f"the wheelhouse has two wheels of {', '.join(sorted(twice))}",
            "stage into a folder that is empty",
        )
    for each in wheels:
        check_target(each, target)
