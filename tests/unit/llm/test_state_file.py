"""The kept state: what is read back is what was written, and anything else is as if it were not
there."""

from __future__ import annotations

import logging
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_assistant.llm import state_file
from edge_assistant.llm.state_file import StateFolder, default_folder

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
STATE = os.urandom(5000)

posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "cache" / "states")


@pytest.fixture(autouse=True)
def loud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, state_file.__name__)


def found(folder: StateFolder, key: bytes = KEY) -> bytes | None:
    """What is under `key`."""
    state = folder.load(key)
    return None if state is None else bytes(state)


def kept(folder: StateFolder) -> Path:
    """The one file that is there, after `STATE` was saved."""
    folder.save(KEY, STATE)
    (path,) = folder.path.iterdir()
    return path


def test_what_was_saved_is_loaded(folder: StateFolder) -> None:
    assert folder.load(KEY) is None
    folder.save(KEY, STATE)
    assert found(folder) == STATE
    assert folder.load(OTHER_KEY) is None
    assert found(StateFolder(folder.path)) == STATE


@posix
def test_nobody_else_can_look(folder: StateFolder) -> None:
    old = os.umask(0)
    try:
        path = kept(folder)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _cut_in_the_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _change_the_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def _change_the_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"state 1", b"state 2"))


def _let_the_group_write(path: Path) -> None:
    path.chmod(0o660)


def _let_everybody_write(path: Path) -> None:
    path.chmod(0o602)


def _link(path: Path) -> None:
    target = path.parent / "elsewhere"
    path.rename(target)
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = [
    _cut,
    _cut_in_the_head,
    _lengthen,
    _empty,
    _change_the_last_byte,
    _change_the_version,
    *(
        pytest.param(each, marks=posix)
        for each in (_let_the_group_write, _let_everybody_write, _link, _pipe)
    ),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_touched_is_removed_with_one_line_of_the_log(
    folder: StateFolder, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = kept(folder)
    damage(path)
    assert folder.load(KEY) is None
    assert not path.is_symlink()
    assert not path.exists()
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert not folder.has(KEY)
    folder.save(KEY, STATE)
    assert found(folder) == STATE


def test_every_changed_byte_is_seen(folder: StateFolder) -> None:
    state = b"sixteen bytes..."
    folder.save(KEY, state)
    (path,) = folder.path.iterdir()
    sound = path.read_bytes()
    for position in range(len(sound)):
        spoilt = bytearray(sound)
        spoilt[position] ^= 0x80
        path.write_bytes(spoilt)
        path.chmod(0o600)
        assert folder.load(KEY) is None, position


def test_a_file_under_the_name_of_another_is_not_believed(folder: StateFolder) -> None:
    path = kept(folder)
    path.rename(folder._file(OTHER_KEY))
    assert folder.load(OTHER_KEY) is None
    assert not folder.has(OTHER_KEY)


@posix
def test_somebody_elses_file_is_not_believed(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(folder)
    ours = folder.path.lstat().st_ino
    monkeypatch.setattr(state_file, "_is_own", lambda status: status.st_ino == ours)
    assert folder.load(KEY) is None
    assert not path.exists()


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes root")
def test_a_file_that_another_user_owns_is_removed(folder: StateFolder) -> None:
    path = kept(folder)
    os.chown(path, 65534, -1)
    assert folder.load(KEY) is None
    assert not path.exists()


@posix
def test_a_folder_that_others_can_enter_is_left_alone(folder: StateFolder) -> None:
    path = kept(folder)
    folder.path.chmod(0o755)
    assert folder.load(KEY) is None
    folder.save(OTHER_KEY, STATE)
    assert list(folder.path.iterdir()) == [path]


@posix
def test_a_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(real)
    folder = StateFolder(link)
    folder.save(KEY, STATE)
    assert folder.load(KEY) is None
    assert list(real.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = StateFolder(tmp_path / "file" / "states")
    folder.save(KEY, STATE)
    assert folder.load(KEY) is None
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_the_least_used_goes_first(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "states", max_files=3)
    keys = [bytes([number]) * 32 for number in range(4)]
    for number, key in enumerate(keys[:3]):
        folder.save(key, STATE)
        os.utime(folder._file(key), (number, number))
    assert found(folder, keys[0]) == STATE, "it is of use, so it is not the oldest any more"
    folder.save(keys[3], STATE)
    assert [folder.has(key) for key in keys] == [True, False, True, True]


def test_all_files_together_are_bounded(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "states", max_bytes=12_000)
    for number in range(5):
        folder.save(bytes([number]) * 32, STATE)
    sizes = [path.stat().st_size for path in folder.path.iterdir()]
    assert len(sizes) == 2
    assert sum(sizes) <= 12_000


def test_what_is_too_large_is_not_kept_and_drives_nothing_out(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "states", max_bytes=12_000)
    folder.save(KEY, STATE)
    folder.save(OTHER_KEY, bytes(12_000))
    assert found(folder) == STATE
    assert not folder.has(OTHER_KEY)


def test_a_write_that_fails_leaves_nothing(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save(OTHER_KEY, STATE)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        folder.save(KEY, STATE)
    assert [path.name for path in folder.path.iterdir()] == [folder._file(OTHER_KEY).name]


def test_half_written_files_of_dead_processes_go(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "states", max_files=2)
    folder.save(KEY, STATE)
    for number in range(3):
        stale = folder.path / f".new-{number}"
        stale.write_bytes(b"half")
        os.utime(stale, (number, number))
    folder.save(OTHER_KEY, STATE)
    assert {path.suffix for path in folder.path.iterdir()} == {".state"}


def test_many_who_write_at_once_leave_a_sound_file(folder: StateFolder) -> None:
    def write() -> None:
        for _ in range(20):
            folder.save(KEY, STATE)
            assert found(folder) in (STATE, None)

    failures: list[BaseException] = []

    def watched() -> None:
        try:
            write()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=watched) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert found(folder) == STATE


@pytest.mark.skipif(sys.platform != "linux", reason="the variable is of Linux desktops")
def test_the_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "edge-assistant" / "states"
