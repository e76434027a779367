"""llama.cpp's wheel, made fit for a machine without a compiler."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from edge_assistant_packaging.wheels.repack import repack

from tests.shipping.small_wheels import X86_64, elf, write_wheel

TAG = "py3-none-linux_x86_64"


def built(folder: Path, *words: bytes) -> Path:
    members = {
        "llama_cpp/__init__.py": b"",
        "llama_cpp/lib/libggml-cpu.so": elf(X86_64, *words),
        "lib/libllama-common.so": elf(X86_64, b"libssl.so.3"),
        "include/llama.h": b"",
        "bin/llama-cli": b"",
    }
    return write_wheel(folder, "llama-cpp-python", "0.3.36", tag=TAG, members=members)


def openmp(folder: Path) -> Path:
    path = folder / "libgomp.so.1.0.0"
    path.write_bytes(elf(X86_64))
    return path


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def made(tmp_path: Path, name: str, wheel: Path, made_at_s: int = 315_532_800) -> Path:
    (tmp_path / name).mkdir()
    return repack(wheel, tmp_path / name, openmp(tmp_path), made_at_s)


def test_the_openmp_library_comes_along_and_the_programmers_copy_does_not(tmp_path: Path) -> None:
    wheel = made(tmp_path, "new", built(tmp_path / "old", b"libgomp.so.1"))
    assert names(wheel) == {
        "llama_cpp/__init__.py",
        "llama_cpp/lib/libggml-cpu.so",
        "llama_cpp/lib/libgomp.so.1",
    }


def test_a_wheel_that_does_not_ask_for_it_gets_none(tmp_path: Path) -> None:
    wheel = made(tmp_path, "new", built(tmp_path / "old"))
    assert "llama_cpp/lib/libgomp.so.1" not in names(wheel)


def test_the_record_tells_of_every_file(tmp_path: Path) -> None:
    wheel = made(tmp_path, "new", built(tmp_path / "old", b"libgomp.so.1"))
    with zipfile.ZipFile(wheel) as archive:
        last = archive.namelist()[-1]
        rows = [line.split(",") for line in archive.read(last).decode().splitlines()]
        assert last.endswith(".dist-info/RECORD")
        assert sorted(row[0] for row in rows) == sorted(archive.namelist())
        for name, sum_, size in rows:
            if name != last:
                digest = hashlib.sha256(archive.read(name)).digest()
                word = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                assert (sum_, size) == (f"sha256={word}", str(len(archive.read(name))))


def test_the_same_wheel_gives_the_same_bytes(tmp_path: Path) -> None:
    wheel = built(tmp_path / "old", b"libgomp.so.1")
    first, again = made(tmp_path, "one", wheel), made(tmp_path, "two", wheel)
    assert first.read_bytes() == again.read_bytes()
    assert made(tmp_path, "three", wheel, 1_700_000_000).read_bytes() != first.read_bytes()


@pytest.mark.parametrize(
    ("made_at_s", "year"), [(0, 1980), (1, 1980), (1_700_000_000, 2023), (8**11 - 1, 2107)]
)
def test_a_time_that_no_zip_file_can_hold_is_the_nearest_one(
    tmp_path: Path, made_at_s: int, year: int
) -> None:
    wheel = made(tmp_path, "new", built(tmp_path / "old"), made_at_s)
    with zipfile.ZipFile(wheel) as archive:
        assert {each.date_time[0] for each in archive.infolist()} == {year}
