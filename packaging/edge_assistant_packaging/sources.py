"""The sources that the GPL asks for, as far as they can be had, and what is missing, in words."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.wheels import own, programs
from edge_assistant_packaging.wheels.house import GPL_WHEELS
from edge_assistant_packaging.wheels.wheel import Wheel

GIVEN: Final = "extra"
"""A folder of this name in the folder of --wheels-from: sources that its owner adds."""
PAGE: Final = "SOURCES.md"
_ESPEAK: Final = "espeak-ng"
_ESPEAK_HOLDERS: Final = ("espeakng-loader", "piper-tts")


def stage(
    folder: Path, wheels: Sequence[Wheel], *, cache: Path, made_at_s: int, given: Path | None
) -> tuple[str, ...]:
    """Fill `folder` and write `SOURCES.md`; returns what could not be had, in sentences.

    Our own source archive, the exact source archive of each GPL wheel from the package index, and
    whatever lies in `given/extra`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needed = [wheel for wheel in wheels if wheel.name in GPL_WHEELS]
    there: list[str] = []
    missing: list[str] = []
    _own_source(folder, cache, made_at_s, there, missing)
    for wheel in needed:
        archive = _archive_of(wheel, cache / "sources")
        if archive is None:
            missing.append(f"{wheel.name} {wheel.version}: no source archive on the package index")
        else:
            shutil.copyfile(archive, folder / archive.name)
            there.append(f"`{archive.name}`: {wheel.name} {wheel.version}, of the package index")
    extra = given / GIVEN if given is not None else None
    if extra is not None and extra.is_dir():
        for path in sorted(each for each in extra.iterdir() if each.is_file()):
            shutil.copyfile(path, folder / path.name)
            there.append(f"`{path.name}`: given by whoever made this bundle")
    _espeak(folder, needed, cache, there, missing)
    (folder / PAGE).write_text(_page(there, missing), "utf-8")
    return tuple(missing)


def _own_source(
    folder: Path, cache: Path, made_at_s: int, there: list[str], missing: list[str]
) -> None:
    try:
        place = cache / "own-source"
        shutil.rmtree(place, ignore_errors=True)
        ours = own.build("sdist", place, made_at_s)
    except ShippingError as error:
        missing.append(f"edge-assistant: {error.message}")
        return
    shutil.copyfile(ours, folder / ours.name)
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
    """espeak-ng is inside two wheels as a library; its own source is in neither's archive."""
    holders = [wheel.name for wheel in needed if wheel.name in _ESPEAK_HOLDERS]
    if not holders or any(path.name.startswith(_ESPEAK) for path in folder.iterdir()):
        return
    version = _debian_source(folder, cache)
    inside = " and ".join(holders)
    if version is None:
        missing.append(
            f"espeak-ng itself, which is compiled into {inside}: put its source archive into the "
            f"folder `{GIVEN}` of --wheels-from"
        )
        return
    there.append(f"`espeak-ng_{version}*`: espeak-ng as Debian has it, from `apt-get source`")
    missing.append(
        f"espeak-ng as it was compiled into {inside}: their makers do not name the commit. What "
        f"is here is Debian's {version}, which need not be the same; put the exact one into the "
        f"folder `{GIVEN}` of --wheels-from"
    )


def _debian_source(folder: Path, cache: Path) -> str | None:
    """Let apt fetch espeak-ng's source; the version, or None where apt has no source entries."""
    place = cache / "sources" / "debian-espeak-ng"
    if not list(place.glob("*.dsc")):
        place.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                ["apt-get", "source", "--download-only", "--quiet", _ESPEAK],
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=600,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
    for path in sorted(place.iterdir()):
        shutil.copyfile(path, folder / path.name)
    (description, *_) = sorted(place.glob("*.dsc"))
    return description.name.removeprefix(f"{_ESPEAK}_").removesuffix(".dsc")


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
