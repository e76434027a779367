"""What the one-folder build starts."""

import os
import sys
from pathlib import Path

inside = Path(getattr(sys, "_MEIPASS", Path(__file__).parent))
if (inside / "models").is_dir():
    os.environ.setdefault("EDGE_ASSISTANT_MODELS_DIR", str(inside / "models"))

from edge_assistant.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
