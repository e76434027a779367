"""llama-cpp-python for a target: taken from a given folder, or built once and kept.

PyPI has only its source. Its wheel holds libraries and plain Python (`py3-none`), so that it can be
built for another processor with a cross compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels import programs
from edge_assistant_packaging.wheels.repack import OPENMP, repack
from edge_assistant_packaging.wheels.target import Target

NAME: Final = "llama-cpp-python"
_RECIPE: Final = 2
"""Counts up when wheels that were kept are no longer as this module makes them."""
_PARTS: Final = ("-DLLAVA_BUILD=OFF",)
"""Without its picture models."""
_NO_BUILD: Final = (
    "sudo apt install build-essential cmake ninja-build, or build the wheel elsewhere and give "
    "--wheels-from"
)


def flags_in_words(target: Target) -> str:
    """How we build for a target."""
    return " ".join(target.processor.flags)


def build(requirement: str, target: Target, cache: Path, made_at_s: int) -> Path:
    """Give the wheel that was built before, or build it, which takes minutes to hours.

    Args:
        requirement: `llama-cpp-python>=0.3.36,<0.4`; the version that was found first stays.
        target: for which flags.
        cache: folder of wheels that were built before.
        made_at_s: SOURCE_DATE_EPOCH of a new one.

    Raises:
        ShippingError: `llama-source-missing`, `llama-build-failed`, `cross-compiler-missing`.
    """
    flags = [*target.processor.flags, *_PARTS, *_cross(target)]
    folder = cache / "llama" / f"{target.platform}-{_key(requirement, flags)}"
    if done := sorted((folder / "wheel").glob("*.whl")):
        return done[0]
    folder.mkdir(parents=True, exist_ok=True)
    source = _source(requirement, folder)
    draft = Path(tempfile.mkdtemp(prefix=".wheel-", dir=folder))
    try:
        made = _compile(source, flags, target, made_at_s)
        repack(made, draft, _openmp(flags), made_at_s)
        draft.replace(folder / "wheel")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(source.parent, ignore_errors=True)
    return folder / "wheel" / made.name


def _source(requirement: str, folder: Path) -> Path:
    archives = folder / "sdist"
    if not list(archives.glob("*.tar.gz")):
        programs.download(
            archives,
            *("--no-deps", "--no-binary", NAME, requirement),
            code="llama-source-missing",
            hint="check the network or your pip configuration, or give --wheels-from",
        )
    (archive,) = archives.glob("*.tar.gz")
    place = folder / "source"
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    (source,) = place.iterdir()
    _without_common(source / "CMakeLists.txt")
    return source


def _without_common(recipe: Path) -> None:
    """Leave out llama.cpp's library for its own programs, a third of the time to build.

    llama-cpp-python's recipe insists on it, and its Python never loads it.
    """
    text = recipe.read_text("utf-8")
    part = "set(LLAMA_BUILD_COMMON {} CACHE"
    recipe.write_text(text.replace(part.format("ON"), part.format("OFF")), "utf-8")


def _compile(source: Path, flags: list[str], target: Target, made_at_s: int) -> Path:
    """Paths of this machine are mapped away, so that the same compiler gives the same bytes."""
    mapped = f"-ffile-prefix-map={source}=."
    environ = {
        "SOURCE_DATE_EPOCH": str(made_at_s),
        "CMAKE_ARGS": shlex.join(flags),
        "CFLAGS": mapped,
        "CXXFLAGS": mapped,
    }
    if _is_cross(target):
        environ["_PYTHON_HOST_PLATFORM"] = target.platform
    built = source.parent / "built"
    objects = f"--config-settings=build-dir={source.parent / 'objects'}"
    programs.python(
        ["pip", "wheel", "--no-deps", "--no-cache-dir", objects, "-w", str(built), str(source)],
        code="llama-build-failed",
        hint=_NO_BUILD,
        environ=environ,
    )
    (made,) = built.glob("*.whl")
    return made


def _is_cross(target: Target) -> bool:
    return platform.machine() != target.machine


def _cross(target: Target) -> list[str]:
    if not _is_cross(target):
        return []
    triple = f"{target.machine}-linux-gnu"
    if shutil.which(f"{triple}-g++") is None:
        raise ShippingError(
            "cross-compiler-missing",
            f"there is no {triple}-g++ to build llama.cpp for {target.platform}",
            f"sudo apt install g++-{triple.replace('_', '-')}, or give --wheels-from",
        )
    return [
        *("-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={target.machine}"),
        *(f"-DCMAKE_C_COMPILER={triple}-gcc", f"-DCMAKE_CXX_COMPILER={triple}-g++"),
    ]


def _openmp(flags: list[str]) -> Path | None:
    """The compiler's own OpenMP library; None for a compiler that has another."""
    try:
        said = subprocess.run(
            [_cxx(flags), f"-print-file-name={OPENMP}"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    path = Path(said.stdout.strip())
    return path if path.is_absolute() and path.is_file() else None


def _key(requirement: str, flags: list[str]) -> str:
    """Another compiler makes other bytes."""
    try:
        said = subprocess.run(
            [_cxx(flags), "--version"], capture_output=True, text=True, check=False
        )
        compiler = said.stdout.partition("\n")[0]
    except OSError:
        compiler = "none"
    told = json.dumps([_RECIPE, requirement, flags, compiler])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _cxx(flags: list[str]) -> str:
    crossed = [each.partition("=")[2] for each in flags if each.startswith("-DCMAKE_CXX_COMPILER=")]
    return crossed[0] if crossed else os.environ.get("CXX", "c++")
