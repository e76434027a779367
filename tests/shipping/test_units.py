"""The units: how exposed they are, as systemd counts it, and whether it can read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Final

import pytest

SYSTEM, USER = "edge-assistant.service", "edge-assistant-user.service"
UNITS: Final = (SYSTEM, USER)
MAX_EXPOSURE: Final = 0.6
"""On systemd's scale from 0 to 10."""

KNOWN_LATER: Final = ("RestartSteps", "RestartMaxDelaySec")
"""Of systemd 254; older ones say that they do not know them, and go on."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="no systemd-analyze here: sudo apt install systemd",
)


def text_of(unit: str) -> str:
    return (resources.files("edge_assistant_packaging") / "services" / unit).read_text("utf-8")


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=False,
    )


def exposure(unit: str, text: str, folder: Path) -> float:
    """The overall exposure level. systemd counts a unit without User= as root's; a user's manager
    never runs anything as root, so there the user is put in."""
    if unit == USER:
        text = text.replace("[Service]\n", "[Service]\nUser=somebody\n")
    path = folder / unit
    path.write_text(text)
    done = analyze("security", "--offline=true", str(path))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at files: it takes systemd 250")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_little_is_exposed(unit: str, tmp_path: Path) -> None:
    figure = exposure(unit, text_of(unit), tmp_path)
    print(f"{unit}: exposure {figure}")
    assert figure <= MAX_EXPOSURE


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    "line", ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "CapabilityBoundingSet="]
)
def test_what_is_left_out_is_seen(unit: str, line: str, tmp_path: Path) -> None:
    """The gate can fail: each of these lines counts."""
    text = text_of(unit)
    assert f"\n{line}\n" in text
    whole = exposure(unit, text, tmp_path)
    assert exposure(unit, text.replace(f"\n{line}\n", "\n"), tmp_path) > whole


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_reads_every_line(unit: str, tmp_path: Path) -> None:
    text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text_of(unit))
    path = tmp_path / unit
    path.write_text(text)
    done = analyze("verify", "--man=no", str(path))
    faults = [
        line
        for line in done.stderr.splitlines()
        if unit in line and not any(f"'{key}'" in line for key in KNOWN_LATER)
    ]
    assert not faults, faults
    path.write_text(text.replace("[Service]\n", "[Service]\nProtectSistem=yes\n"))
    assert "ProtectSistem" in analyze("verify", "--man=no", str(path)).stderr


@pytest.mark.parametrize("unit", UNITS)
def test_what_runs_writes_no_events_and_no_core(unit: str) -> None:
    settings = dict(
        line.split("=", 1)
        for line in text_of(unit).splitlines()
        if "=" in line and line[0] not in "#;"
    )
    assert settings["ExecStart"] == ("/opt/edge-assistant/current/bin/edge-assistant run --service")
    assert (settings["Type"], settings["NotifyAccess"]) == ("notify", "main")
    assert settings["LimitCORE"] == "0"
    assert settings["WatchdogSignal"] == "SIGKILL"
    assert settings["RestrictAddressFamilies"] == "AF_UNIX"
