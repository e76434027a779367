"""With EDGE_ASSISTANT_STATE_DIR all that is written of its own accord is in that folder.

That a whole conversation writes nowhere else is shown by `python -m tests.figures.ship_read_only`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.llm.state_file import StateFolder, default_folder
from edge_assistant.places import cache_folder, data_folder, state_folder, temporary_folder
from edge_assistant.store.store import default_root
from edge_assistant.tts.short_path import LONGEST_BYTES, short_path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EDGE_ASSISTANT_MODELS_DIR", raising=False)
    monkeypatch.setenv("EDGE_ASSISTANT_STATE_DIR", str(tmp_path / "s"))
    return tmp_path / "s"


def test_every_place_is_in_it(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [state_folder(), cache_folder(), data_folder(), default_root(), default_folder()]
    assert [each and each.relative_to(state).as_posix() for each in places] == [
        ".",
        ".",
        ".",
        "models",
        "states",
    ]
    monkeypatch.setenv("EDGE_ASSISTANT_MODELS_DIR", "/models")
    assert default_root() == Path("/models")


def test_without_it_all_is_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("EDGE_ASSISTANT_STATE_DIR", "EDGE_ASSISTANT_MODELS_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_folder() == tmp_path / "cache" / "edge-assistant" / "states"
    assert default_root() == tmp_path / "data" / "edge-assistant" / "models"
    assert temporary_folder() is None
    monkeypatch.setenv("EDGE_ASSISTANT_STATE_DIR", "")
    assert state_folder() is None


def test_the_link_to_a_long_path_is_in_it(state: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * LONGEST_BYTES)
    deep.mkdir()
    link = short_path(deep)
    assert link.resolve() == deep
    assert link.is_relative_to(state / "tmp")
    assert (state / "tmp").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_costs_the_kept_state_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGE_ASSISTANT_STATE_DIR", str(tmp_path / "file"))
    folder = StateFolder(default_folder())
    folder.save(bytes(32), b"state")
    assert folder.load(bytes(32)) is None
    deep = tmp_path / ("d" * LONGEST_BYTES)
    deep.mkdir()
    assert short_path(deep) == deep  # whose length the voice then complains of
