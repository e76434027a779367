"""No engine of ours reports to its maker."""

from __future__ import annotations

import os
import subprocess
import sys


def test_onnx_runtime_is_told_to_be_silent_before_it_is_loaded() -> None:
    """Whoever imports any part of us first; a 0 in the environment does not bring it back."""
    program = (
        "import edge_assistant.onnx, os, sys;"
        "assert 'onnxruntime' not in sys.modules;"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environ = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "1"
