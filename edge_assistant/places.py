"""Where the assistant may write, if anywhere. A leaf: it knows no room.

With `EDGE_ASSISTANT_STATE_DIR` everything that is written of its own accord lies in that one
folder, so the rest of the machine can be read-only and the folder in memory (tmpfs):

| what | in the folder | else |
|---|---|---|
| what a model made of its system prompt | `states` | the user's cache |
| what was found of models in a folder that cannot be written | `verdicts` | the user's cache |
| `run --demo-if-silent` | `demo` | the user's cache |
| models, where EDGE_ASSISTANT_MODELS_DIR names no folder | `models` | the user's data |
| a link to espeak-ng's data, if its path is long | `tmp` | the system's folder for such |

Files that somebody names (`--events`, `--write`) are where he says. All of it can be lost: the next
start is only slower.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "EDGE_ASSISTANT_STATE_DIR"

_NAME: Final = "edge-assistant"


def state_folder() -> Path | None:
    """What EDGE_ASSISTANT_STATE_DIR names; None where it is not set, or empty."""
    given = os.environ.get(STATE_VARIABLE)
    return Path(given).expanduser().absolute() if given else None


def cache_folder() -> Path:
    """For what can be made anew; it need not be there yet. XDG_CACHE_HOME counts."""
    import platformdirs

    return state_folder() or platformdirs.user_cache_path(_NAME, appauthor=False)


def data_folder() -> Path:
    """For what was fetched; it need not be there yet. XDG_DATA_HOME counts."""
    import platformdirs

    return state_folder() or platformdirs.user_data_path(_NAME, appauthor=False)


def temporary_folder() -> Path | None:
    """For what lives as long as the process; it is there. None: wherever `tempfile` says.

    Raises:
        OSError: it cannot be made.
    """
    state = state_folder()
    if state is None:
        return None
    folder = state / "tmp"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
