"""Bundles: there and back, twice the same, and not one byte another."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from edge_assistant_packaging import signing
from edge_assistant_packaging.bundle.build import Facts, build
from edge_assistant_packaging.bundle.verify import unpack, verify, verify_stream
from edge_assistant_packaging.epoch import source_date_epoch
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import MANIFEST, MAX_NUMBER, SIGNATURE, SUMS, TOP, parse

from tests.shipping.small_bundle import BUNDLE_BYTES, FACTS, LONG, PAIR, make, stage


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def code_of(caught: pytest.ExceptionInfo[ShippingError]) -> str:
    assert caught.value.hint
    return caught.value.code


def test_there_and_back(tmp_path: Path) -> None:
    built = make(tmp_path)
    assert built.path.stat().st_size == built.size_bytes == BUNDLE_BYTES
    public = tmp_path / "vendor.pub"
    signing.write_keys(public, tmp_path / "vendor.key", None, pair=PAIR)
    assert verify(built.path, public) == built.manifest
    old = os.umask(0o077)
    try:
        manifest = unpack(built.path, tmp_path / "out", public)
    finally:
        os.umask(old)
    assert manifest == built.manifest
    unpacked, staged = files_of(tmp_path / "out"), files_of(tmp_path / "staging-kiosk.bundle")
    assert set(unpacked) - set(staged) == {MANIFEST, SIGNATURE, SUMS}
    assert all(unpacked[name][0] == staged[name][0] for name in staged)
    modes = {name: mode & 0o777 for name, (_, mode) in unpacked.items()}
    assert {name for name, mode in modes.items() if mode == 0o755} == {"install.sh"}
    assert set(modes.values()) == {0o644, 0o755}
    folders = {
        path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_dir()
    }
    assert folders == {0o755} == {(tmp_path / "out").stat().st_mode & 0o777}
    assert parse(unpacked[MANIFEST][0]) == manifest
    assert signing.verify(unpacked[MANIFEST][0], unpacked[SIGNATURE][0], PAIR.public)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_sums_are_what_sha256sum_wants(tmp_path: Path) -> None:
    unpack(make(tmp_path).path, tmp_path / "out", PAIR.public)
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", SUMS], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    listed = {line.rpartition(":")[0] for line in done.stdout.splitlines()}
    assert listed == set(files_of(tmp_path / "out")) - {MANIFEST, SIGNATURE, SUMS}


def test_other_programs_read_it(tmp_path: Path) -> None:
    """Whoever has no verifier of ours has minisign and tar."""
    built = make(tmp_path)
    unpack(built.path, tmp_path / "ours", PAIR.public)
    subprocess.run(["tar", "-xf", built.path], cwd=tmp_path, check=True)
    assert files_of(tmp_path / TOP) == files_of(tmp_path / "ours")
    assert LONG in files_of(tmp_path / TOP)
    with tarfile.open(built.path) as tar:
        assert tar.getnames()[:2] == [f"{TOP}/{MANIFEST}", f"{TOP}/{SIGNATURE}"]
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in tar} == {(0, 0, "", FACTS.made_at_s)}
    text = built.signature_path.read_text()
    assert signing.verify(built.path, text, PAIR.public) == built.manifest.comment
    if shutil.which("minisign"):
        key = PAIR.public.to_base64()
        subprocess.run(["minisign", "-VHm", built.path, "-P", key], check=True, capture_output=True)


def test_built_twice_is_the_same(tmp_path: Path) -> None:
    first = make(tmp_path, "first")
    other = stage(tmp_path / "elsewhere")
    for path in other.rglob("*"):
        os.utime(path, (5, 5))
        path.chmod(path.stat().st_mode | 0o022)
    (other / "empty folder").mkdir()
    (other / SUMS).write_text("of an earlier build")
    second = build(other, FACTS, tmp_path / "second", PAIR)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.signature_path.read_bytes() == second.signature_path.read_bytes()
    later = make(tmp_path, "third", dataclasses.replace(FACTS, made_at_s=FACTS.made_at_s + 1))
    assert later.path.read_bytes() != first.path.read_bytes()


@pytest.mark.slow
def test_no_byte_can_be_another(tmp_path: Path) -> None:
    """Each of 16,384 bytes changed by one bit; `figures/ship_bundle.py` tries all eight."""
    good = make(tmp_path).path.read_bytes()
    assert len(good) == BUNDLE_BYTES
    key = PAIR.public
    refused: Counter[str] = Counter()
    for at in range(len(good)):
        changed = bytearray(good)
        changed[at] ^= 1
        with pytest.raises(ShippingError) as caught:
            verify_stream(io.BytesIO(changed), key)
        refused[code_of(caught)] += 1
    assert sum(refused.values()) == BUNDLE_BYTES
    assert set(refused) == {
        *("bundle-not-one", "bundle-altered", "signature-wrong", "signature-invalid"),
        "signature-other-key",
    }


def test_no_byte_can_be_missing_or_more(tmp_path: Path) -> None:
    good = make(tmp_path).path.read_bytes()
    for at in range(0, len(good), 101):
        for changed in (good[:at], good[:at] + good[at + 1 :], good[:at] + b"\0" + good[at:]):
            with pytest.raises(ShippingError):
                verify_stream(io.BytesIO(changed), PAIR.public)


def test_a_source_may_give_less_than_asked(tmp_path: Path) -> None:
    good = make(tmp_path).path.read_bytes()

    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(7, size or 0))

    assert verify_stream(Dripping(good), PAIR.public).build == FACTS.build


def test_unpack_leaves_the_old_or_nothing(tmp_path: Path) -> None:
    built = make(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("there", "link"):
        with pytest.raises(ShippingError) as caught:
            unpack(built.path, tmp_path / name, PAIR.public)
        assert code_of(caught) == "output-exists"
    with pytest.raises(ShippingError) as caught:
        unpack(built.path, tmp_path / "no" / "folder", PAIR.public)
    assert code_of(caught) == "output-unwritable"
    last = bytearray(built.path.read_bytes())
    last[-1] = 1
    built.path.write_bytes(last)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ShippingError) as caught:
        unpack(built.path, tmp_path / "new", PAIR.public)
    assert code_of(caught) == "bundle-altered"
    assert {path.name for path in tmp_path.iterdir()} == before
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine"]


def test_unpack_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    built = make(tmp_path)
    (tmp_path / ".out.01234567.part" / "models").mkdir(parents=True)
    (tmp_path / ".outer.01234567.part").mkdir()
    unpack(built.path, tmp_path / "out", PAIR.public)
    assert [path.name for path in tmp_path.glob(".*")] == [".outer.01234567.part"]


def test_unpacked_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = make(tmp_path)
    before: set[int] = set()
    after: set[int] = set()
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        (after if (tmp_path / "out").exists() else before).add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", watched)
    unpack(built.path, tmp_path / "out", PAIR.public)
    assert before == {
        path.stat().st_ino for path in [tmp_path / "out", *tmp_path.rglob("out/**/*")]
    }
    assert after == {tmp_path.stat().st_ino}


def test_unpack_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = make(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=BUNDLE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ShippingError) as caught:
        unpack(built.path, tmp_path / "out", PAIR.public)
    assert code_of(caught) == "disk-full"
    assert not (tmp_path / "out").exists()


def test_what_cannot_become_a_bundle(tmp_path: Path) -> None:
    def refused(facts: Facts = FACTS, output: Path = tmp_path / "out.bundle") -> str:
        with pytest.raises(ShippingError) as caught:
            build(staging, facts, output, PAIR)
        return code_of(caught)

    staging = tmp_path / "none"
    assert refused() == "staging-missing"
    staging = stage(tmp_path / "staging")
    assert refused(output=staging / "x.bundle") == "output-in-staging"
    assert refused(dataclasses.replace(FACTS, platform="windows")) == "staging-unfit"
    assert refused(dataclasses.replace(FACTS, version="../..")) == "staging-unfit"
    assert refused(dataclasses.replace(FACTS, made_at_s=MAX_NUMBER + 1)) == "staging-unfit"
    for name in ("a b", "SHA256sums", "models/\u00fcber", "-rf"):
        (staging / name).touch()
        assert refused() == "staging-unfit"
        (staging / name).unlink()
    (staging / "link").symlink_to("install.sh")
    assert refused() == "staging-unfit"
    (staging / "link").unlink()
    os.mkfifo(staging / "pipe")
    assert refused() == "staging-unfit"
    (staging / "pipe").unlink()
    assert list(tmp_path.glob("*out.bundle*")) == []
    build(staging, FACTS, tmp_path / "out.bundle", PAIR)
    assert refused() == "output-exists"
    build(staging, FACTS, tmp_path / "out.bundle", PAIR, overwrite=True)


def test_a_folder_that_cannot_be_read_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, who may read all: the system's answer is put in its place."""
    scan = os.scandir

    def scandir(path: Any = ".") -> Any:
        if os.fspath(path).endswith("models"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ShippingError) as caught:
        make(tmp_path)
    assert (code_of(caught), "models" in caught.value.message) == ("staging-unfit", True)


def test_a_signature_that_cannot_be_written_leaves_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "kiosk.bundle.minisig").mkdir()
    with pytest.raises(ShippingError) as caught:
        make(tmp_path)
    assert code_of(caught) == "output-unwritable"
    assert list(tmp_path.glob("*kiosk.bundle")) == [tmp_path / "staging-kiosk.bundle"]
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("output", [".", "/", "folder", "no/x.bundle"])
def test_an_output_that_is_no_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ShippingError) as caught:
        build(stage(tmp_path / "staging"), FACTS, Path(output), PAIR, overwrite=True)
    assert code_of(caught) == "output-unwritable"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "staging"]


def test_the_time_is_never_that_of_the_clock() -> None:
    assert source_date_epoch({"SOURCE_DATE_EPOCH": "1700000000"}) == 1_700_000_000
    assert source_date_epoch({}) == source_date_epoch({})
    for text in ("", "now", "-1", "1e9", str(MAX_NUMBER + 1), "9" * 5000, "\u0663"):
        with pytest.raises(ShippingError) as caught:
            source_date_epoch({"SOURCE_DATE_EPOCH": text})
        assert code_of(caught) == "epoch-invalid"
