"""A source package of Debian, fetched with apt from the mirror that this machine uses.

apt checks the signatures. Its own lists and settings are left alone: it works in a folder of ours.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

_SUITES: Final = ("trixie", "sid", "bookworm")
"""Tried in this order."""
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S: Final = 600


def fetch(package: str, version: str, place: Path) -> tuple[Path, ...]:
    """Fetch the source package made of this upstream version; empty where it cannot be had.

    Args:
        package: `espeak-ng`.
        version: `1.52.0`; Debian's own revision does not matter.
        place: folder to keep the files in; what is there is given back without the network.
    """
    if list(place.glob("*.dsc")):
        return tuple(sorted(place.iterdir()))
    mirror = _mirror()
    if mirror is None:
        return ()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=place.parent) as room:
        for suite in _SUITES:
            files = _fetched(package, version, suite, mirror, Path(room))
            if files:
                shutil.rmtree(place, ignore_errors=True)
                files[0].parent.replace(place)
                return tuple(sorted(place.iterdir()))
    return ()


def _mirror() -> str | None:
    """Address of Debian's archive in this machine's settings of apt."""
    said = _apt(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"], Path.cwd())
    for line in (said or "").splitlines():
        address, _, release = line.partition(" ")
        if release and "-" not in release and "/debian" in address:
            return address
    return None


def _fetched(package: str, version: str, suite: str, mirror: str, room: Path) -> list[Path]:
    folder = room / suite
    for name in ("lists/partial", "cache/archives/partial", "files"):
        (folder / name).mkdir(parents=True)
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.is_file() else ""
    (folder / "sources.list").write_text(f"deb-src {signed}{mirror} {suite} main\n", "utf-8")
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
    }
    options = [
        "-qq",
        *(word for key, value in settings.items() for word in ("-o", f"{key}={value}")),
    ]
    files = folder / "files"
    wanted = re.compile(rf"{re.escape(package)}_{re.escape(version)}[-+~][^ /']*\.dsc")
    if _apt([*options, "update"], files) is None:
        return []
    named = _apt([*options, "--print-uris", "source", package], files)
    if named is None or not wanted.search(named):
        return []
    if _apt([*options, "--download-only", "source", package], files) is None:
        return []
    return sorted(files.iterdir())


def _apt(arguments: list[str], folder: Path) -> str | None:
    """What `apt-get` said; None if it failed or is not there."""
    try:
        done = subprocess.run(
            ["apt-get", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env={**os.environ, "LC_ALL": "C"},
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
