"""Files that are there as a whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_assistant.atomic import write_atomically


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_the_parts_take_the_place_of_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    path.write_text("a longer one that was there before")
    write_atomically(path, b"one\n", bytearray(b"two"), memoryview(b"three"))
    assert path.read_bytes() == b"one\ntwothree"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize(("is_private", "mode"), [(True, 0o600), (False, 0o666)])
@pytest.mark.usefixtures("open_umask")
def test_only_a_private_file_is_private(tmp_path: Path, is_private: bool, mode: int) -> None:
    path = tmp_path / "pins.json"
    write_atomically(path, b"new", is_private=is_private)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_name_is_given_to_what_is_on_the_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == 3
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "pins.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new", is_synced=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
