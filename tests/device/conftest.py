"""Runs each scenario in a process of its own, against a sound server of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.device.sound_server import SoundServer, missing_parts

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SoundServer]:
    """A running private PulseAudio."""
    reason = missing_parts()
    if reason:
        pytest.skip(reason)
    server = SoundServer(tmp_path / "pulse")
    server.prepare()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def run(server: SoundServer) -> Run:
    """Run a function of `scenarios.py` in a child and give what it returned."""

    def run_child(scenario: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.device.scenarios", scenario, *arguments],
            cwd=ROOT,
            env=server.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        result = json.loads(done.stdout.splitlines()[-1])
        print(f"{scenario}: {result}")
        assert isinstance(result, dict)
        return result

    return run_child
