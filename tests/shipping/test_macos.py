"""What can be said of the recipe for macOS without a Mac."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "packaging/macos"


def test_the_app_says_why_it_wants_the_microphone() -> None:
    info = plistlib.loads((RECIPE / "Info.plist.in").read_bytes())
    assert "listens" in info["NSMicrophoneUsageDescription"]
    assert f"MacOS/{info['CFBundleExecutable']}" in (RECIPE / "build.sh").read_text()
    placeholders = {each for each in info.values() if each.startswith("@")}
    assert all(each in (RECIPE / "build.sh").read_text() for each in placeholders)


def test_it_asks_for_the_microphone_and_for_no_network() -> None:
    asked = plistlib.loads((RECIPE / "entitlements.plist").read_bytes())
    assert asked["com.apple.security.device.audio-input"] is True
    assert not [each for each in asked if "network" in each]


@pytest.mark.skipif(sys.platform == "darwin", reason="it would build")
def test_elsewhere_the_recipe_says_where_it_belongs() -> None:
    subprocess.run(["sh", "-n", RECIPE / "build.sh"], check=True)
    done = subprocess.run(["sh", RECIPE / "build.sh", "wheels"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "on macOS" in done.stderr
