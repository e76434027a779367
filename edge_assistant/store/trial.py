"""Our side of the preflight: start the child, wait, and survive whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_assistant.errors import ModelIncompatible
from edge_assistant.store.headers import Form
from edge_assistant.store.preflight import MARK

TIMEOUT_S = 60.0
_TAIL_BYTES = 4000


def can_run(form: Form) -> bool:
    """Say whether a format is one that native code loads."""
    return form in ("ggml", "gguf", "onnx", "ort")


def run_once(path: Path, form: Form, timeout_s: float = TIMEOUT_S) -> str:
    """Load and run a file in a child process with bounded memory and time.

    Returns:
        Why it was only loaded, if its library took it but not the input that we made up (an ONNX or
        ORT model may ask for anything); empty if it ran.

    Raises:
        ModelIncompatible: `preflight-failed` with the library's reason or the signal that ended the
            child, `preflight-timeout`.
    """
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "edge_assistant.store.preflight", form, str(path)]
    # A file, not a pipe: a child that floods its output must neither block nor fill our memory.
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failed("preflight-timeout", path, f"no answer in {timeout_s:.0f} s") from error
        output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = output.read().decode("utf-8", "replace").splitlines()
    last = lines[-1].removeprefix(MARK) if lines and lines[-1].startswith(MARK) else ""
    verdict, _, note = last.partition(", ")
    if done.returncode != 0 or verdict != "ok":
        raise _failed("preflight-failed", path, last or _ending(done.returncode))
    return note


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"the child process ended with code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"the child process was ended by {name}"


def _failed(code: str, path: Path, reason: str) -> ModelIncompatible:
    return ModelIncompatible(
        code, f"{path.name} could not be loaded: {reason}", "edge-assistant models list"
    )
