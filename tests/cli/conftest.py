"""The command line in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from edge_assistant.store.store import default_root

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment without settings of ours; the models stay where they are."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_ASSISTANT_", "XDG_"))}
    return clean | {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "EDGE_ASSISTANT_MODELS_DIR": str(default_root()),
        "NO_COLOR": "1",
    }


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    """Run `edge-assistant` with some arguments, as a person does."""

    def run_command(*arguments: str, stdin: str | None = None, **variables: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "edge_assistant", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environ | variables,
            timeout=600,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_command
