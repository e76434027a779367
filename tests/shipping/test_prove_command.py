"""`edge-assistant prove` as it is called: exit codes, JSON, and a real turn of the starter pack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from edge_assistant_packaging.proof import enclosure, turn

from edge_assistant.cli.main import run_command

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture(autouse=True)
def can_look() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if reason := enclosure.namespace_refused():
        pytest.skip(f"no network namespace here: {reason}")


def prove_stand_in(monkeypatch: pytest.MonkeyPatch, breach: str, *arguments: str) -> int:
    monkeypatch.setattr(turn, "assistant", lambda: (sys.executable, str(STAND_IN), breach))
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    return run_command(["prove", *arguments])


@pytest.mark.parametrize(
    ("breach", "code", "verdict"),
    [("none", 0, "held"), ("thread", 1, "breached"), ("not repeatable", 1, "incomplete")],
)
def test_exit_codes_and_json(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    breach: str,
    code: int,
    verdict: str,
) -> None:
    assert prove_stand_in(monkeypatch, breach, "--offline", "--json") == code
    (proof,) = json.loads(capsys.readouterr().out)
    assert (proof["subject"], proof["verdict"]) == ("offline", verdict)


def test_a_kept_recording_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove_stand_in(monkeypatch, "wav", "--no-audio", "--seed", "7") == 1
    told = capsys.readouterr().out
    assert "BREACH:\n  - home/last.wav: sound of the canary, as WAV PCM_16 at 16000 Hz" in told
    assert told.endswith("verdict: breached\n")


def test_something_has_to_be_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["prove"]) == 2
    assert "--offline, --no-audio, or both" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.usefixtures("starter_pack")
@pytest.mark.parametrize("plant", ["", "import socket; socket.socket(socket.AF_INET6)\n"])
def test_the_real_assistant(tmp_path: Path, plant: str) -> None:
    """As it is, the proof holds; with one more line somewhere in it, it does not."""
    (tmp_path / "sitecustomize.py").write_text(plant)
    path = ":".join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "edge_assistant", "prove", "--offline", "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    proof: dict[str, Any] = json.loads(done.stdout)[0]
    if proof["verdict"] == "incomplete":
        pytest.skip(f"this machine is too busy: {proof['unchecked']}")
    assert (done.returncode, proof["verdict"]) == ((1, "breached") if plant else (0, "held"))
