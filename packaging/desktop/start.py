"""What the one-folder build starts: the command, or a module of ours as `python -m` would.

A model that nobody vouches for is first run in a child process (`store.trial`), which is this
program again.
"""

import os
import runpy
import sys
from pathlib import Path

# onnxruntime would keep a number of this account and look for a network to report to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
inside = Path(getattr(sys, "_MEIPASS", Path(__file__).parent))
if (inside / "models").is_dir():
    os.environ.setdefault("EDGE_ASSISTANT_MODELS_DIR", str(inside / "models"))

if __name__ == "__main__":
    if sys.argv[1:2] == ["-m"] and sys.argv[2].startswith("edge_assistant"):
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        from edge_assistant.cli.main import main

        main()
