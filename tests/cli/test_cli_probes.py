"""What the doctor tells to type where an engine does not load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_assistant.cli import probes

NO_OPENMP = (
    "RuntimeError: Failed to load shared library '/x/llama_cpp/lib/libllama.so': "
    "libgomp.so.1: cannot open shared object file: No such file or directory"
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine that is an empty distribution; its list of files is to be written."""
    about = tmp_path / "stand_in_engine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in-engine\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("EDGE_ASSISTANT_BUNDLE_CONFIG", raising=False)
    return about / "RECORD"


def test_a_library_of_the_system(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed.write_text("llama_cpp/lib/libllama.so,,\n")
    assert probes.mend_of("stand-in-engine", NO_OPENMP) == "sudo apt install libgomp1"
    monkeypatch.setenv("EDGE_ASSISTANT_BUNDLE_CONFIG", "/srv/app/current/config/config.toml")
    assert probes.mend_of("stand-in-engine", NO_OPENMP) == "sudo apt install libgomp1"


def test_a_library_that_a_bundle_brought(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is damaged; Debian's own would be another one, and pip is not there."""
    installed.write_text("llama_cpp/lib/libgomp.so.1,,\n")
    monkeypatch.setenv("EDGE_ASSISTANT_BUNDLE_CONFIG", "/srv/app/current/config/config.toml")
    mend = probes.mend_of("stand-in-engine", NO_OPENMP)
    assert mend.startswith("/srv/app/current/install.sh --uninstall, then ")


def test_an_engine_for_another_processor(installed: Path) -> None:
    installed.write_text("")
    mend = probes.mend_of("stand-in-engine", "")
    assert mend.startswith(f"{sys.executable} -m pip install")
    assert probes.mend_of("no-such-engine", "ModuleNotFoundError: no").startswith(sys.executable)
