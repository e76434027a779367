"""The sources that the GPL asks for, as far as they can be had, and what is missing, in words."""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_assistant_packaging import debian_source
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels import own, programs
from edge_assistant_packaging.wheels.house import GPL_WHEELS
from edge_assistant_packaging.wheels.wheel import Wheel

GIVEN: Final = "extra"
"""A folder of this name in the folder of --wheels-from: sources that its owner adds."""
PAGE: Final = "SOURCES.md"
_ESPEAK: Final = "espeak-ng"
_ESPEAK_VERSION: Final = re.compile(rb"\0(1\.[0-9]{2}(?:\.[0-9]+){1,2})\0")
_COMPILED_FROM: Final = {"piper-tts": ("CMakeLists.txt", "espeakbridge.c")}
"""Its archive of 1.8.0 on the package index holds neither."""


def stage(
    folder: Path | None, wheels: Sequence[Wheel], cache: Path, made_at_s: int, given: Path | None
) -> tuple[str, ...]:
    """Fill `folder` and write `SOURCES.md`; returns what could not be had, in sentences.

    Our own source archive, the exact source archive of each GPL wheel from the package index,
    espeak-ng's from Debian, and whatever lies in `given/extra`.

    Args:
        folder: None where no sources are asked for.
        wheels: of the bundle.
        cache: what was fetched is kept there.
        made_at_s: SOURCE_DATE_EPOCH of our own archive.
        given: the folder of --wheels-from.
    """
    if folder is None:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    needed = [wheel for wheel in wheels if wheel.name in GPL_WHEELS]
    there: list[str] = []
    missing: list[str] = []
    _own_source(folder, made_at_s, there, missing)
    for wheel in needed:
        archive = _archive_of(wheel, cache / "sources")
        if archive is None:
            missing.append(f"{wheel.name} {wheel.version}: no source archive on the package index")
        else:
            shutil.copyfile(archive, folder / archive.name)
            there.append(f"`{archive.name}`: {wheel.name} {wheel.version}, of the package index")
            if lacking := _left_out(wheel, archive):
                missing.append(
                    f"{wheel.name} {wheel.version}: its archive on the package index lacks "
                    f"{' and '.join(lacking)}, which its library is compiled from; put its "
                    f"maker's own source archive into `{GIVEN}` of --wheels-from"
                )
    extra = given / GIVEN if given is not None else None
    if extra is not None and extra.is_dir():
        for path in sorted(each for each in extra.iterdir() if each.is_file()):
            shutil.copyfile(path, folder / path.name)
            there.append(f"`{path.name}`: given by whoever made this bundle")
    _espeak(folder, needed, cache, there, missing)
    (folder / PAGE).write_text(_page(there, missing), "utf-8")
    return tuple(missing)


def _own_source(folder: Path, made_at_s: int, there: list[str], missing: list[str]) -> None:
    try:
        ours = own.build("sdist", folder, made_at_s)
    except ShippingError as error:
        missing.append(f"edge-assistant: {error.message}")
        return
    there.append(f"`{ours.name}`: edge-assistant itself, with the programs that made this bundle")


def _archive_of(wheel: Wheel, shelf: Path) -> Path | None:
    """The source archive of exactly this version, kept for the next time; None if there is none."""
    place = shelf / f"{wheel.name}-{wheel.version}"
    if not (found := sorted(place.glob("*.tar.gz"))):
        shelf.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".source-", dir=shelf))
        try:
            programs.download(
                draft,
                *("--no-deps", "--no-binary", wheel.name, f"{wheel.name}=={wheel.version}"),
                code="source-missing",
                hint="",
            )
            shutil.rmtree(place, ignore_errors=True)
            draft.replace(place)
        except ShippingError:
            return None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        found = sorted(place.glob("*.tar.gz"))
    return found[0] if found else None


def _espeak(
    folder: Path, needed: Sequence[Wheel], cache: Path, there: list[str], missing: list[str]
) -> None:
    """espeak-ng is compiled into two wheels; its own source is in neither's archive."""
    if any(path.name.startswith(_ESPEAK) for path in folder.iterdir()):
        return
    for wheel in needed:
        version = espeak_version(wheel.path)
        said = f"espeak-ng {version or '(version not found)'}, compiled into {wheel.name}"
        # `1.52.0.1` is what espeak-ng calls its state of development after the release 1.52.0.
        is_release = version.count(".") == 2
        files = _from_debian(folder, version, cache) if is_release else ()
        if not files:
            why = "" if is_release else ", a state between two releases"
            missing.append(f"{said}{why}: put its source archive into `{GIVEN}` of --wheels-from")
            continue
        there.append(f"{', '.join(f'`{name}`' for name in files)}: for {said}")
        missing.append(
            f"{said}: here is Debian's source of the same release, without the parts that Debian "
            "takes out (`+dfsg`); how the wheel's maker changed or compiled it, it does not say"
        )


def espeak_version(wheel: Path) -> str:
    """What the espeak-ng inside a wheel calls itself; empty if no library of it does."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            is_library = ".so" in name and "espeak" in name
            if is_library and (found := _ESPEAK_VERSION.search(archive.read(name))):
                return found[1].decode()
    return ""


def _from_debian(folder: Path, version: str, cache: Path) -> tuple[str, ...]:
    files = debian_source.fetch(_ESPEAK, version, cache / "sources" / f"debian-espeak-ng-{version}")
    for path in files:
        shutil.copyfile(path, folder / path.name)
    return tuple(path.name for path in files)


def _left_out(wheel: Wheel, archive: Path) -> list[str]:
    """Files that the wheel was compiled from and that its source archive has not."""
    with tarfile.open(archive) as packed:
        names = [Path(name).name for name in packed.getnames()]
    return [name for name in _COMPILED_FROM.get(wheel.name, ()) if name not in names]


def _page(there: Sequence[str], missing: Sequence[str]) -> str:
    lines = ["# Sources of the GPL parts of this bundle", ""]
    lines += [f"- {each}" for each in there]
    lines += ["", "## What is not here", ""]
    lines += [f"- {each}" for each in missing] or ["Nothing that we know of."]
    lines += [
        "",
        "The bundle as a whole is under the GPL-3 where these parts are in it: who passes it on",
        "owes the complete source. What is not here has to be added before that.",
    ]
    return "\n".join(lines) + "\n"
