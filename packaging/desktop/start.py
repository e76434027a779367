"""What the one-folder build starts: the command, or a module of ours as `python -m` would.

A model that nobody vouches for is first run in a child process (`store.trial`), which is this
program again.
"""

import ctypes.util
import os
import runpy
import sys
from pathlib import Path

inside = Path(getattr(sys, "_MEIPASS", Path(__file__).parent))
if (inside / "models").is_dir():
    os.environ.setdefault("EDGE_ASSISTANT_MODELS_DIR", str(inside / "models"))

_find = ctypes.util.find_library


def find_library(name: str) -> str | None:
    """Ours first: sounddevice asks the system for PortAudio, which may have none."""
    ours = inside / f"lib{name}.so.2"
    return str(ours) if ours.is_file() else _find(name)


ctypes.util.find_library = find_library

if __name__ == "__main__":
    if sys.argv[1:2] == ["-m"] and sys.argv[2].startswith("edge_assistant"):
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        from edge_assistant.cli.main import main

        main()
