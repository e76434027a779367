"""A short way to espeak-ng's data: its C code keeps the path in a buffer of 160 bytes."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from typing import Final

from edge_assistant.places import temporary_folder

LONGEST_BYTES: Final = 140
"""espeak-ng appends names like `/lang/gmw/en-US` to it (N_PATH_HOME is 160 on Linux and macOS)."""


def short_path(folder: Path) -> Path:
    """`folder`, or a link to it that lives while the process does, if its path is too long.

    A virtual environment deep in a build directory is enough: espeak-ng then says that its data is
    missing (piper-tts's own build does not mind). Where links cannot be made, `folder` comes back,
    and the caller's error names it.
    """
    if len(os.fsencode(folder)) <= LONGEST_BYTES:
        return folder
    try:
        home = tempfile.TemporaryDirectory(prefix="espeak-", dir=temporary_folder())
        link = Path(home.name) / "espeak-ng-data"
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        return folder
    atexit.register(home.cleanup)
    return link
