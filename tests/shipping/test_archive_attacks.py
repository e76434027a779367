"""Hostile bundles: each is refused in words, nothing is written outside or beyond the manifest."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from edge_assistant_packaging.bundle.verify import unpack, verify_stream
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import TOP

from tests.shipping.hostile_archives import FILES, Attack, _pieces, attacks, honest
from tests.shipping.small_bundle import PAIR

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGING: Final = {"os.mkdir", "os.link", "os.symlink", "os.rename", "os.truncate", "os.chmod"}


class Watch:
    """Everything that this process opens for writing, makes, links or renames.

    An audit hook stays for the life of the process, so there is one, which is deaf by default.
    """

    def __init__(self) -> None:
        self.seen: list[Path] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        if event == "open" and (isinstance(arguments[0], int) or not arguments[2] & _WRITING):
            return
        if event in _CHANGING or event == "open":
            places = arguments[:2] if event in ("os.rename", "os.link") else arguments[:1]
            self.seen += [Path(os.fsdecode(each)) for each in places if not isinstance(each, int)]


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def heard(watch: Watch) -> Iterator[list[Path]]:
    watch.seen = []
    yield watch.seen
    watch.seen = None


def test_every_attack_is_refused_and_leaves_nothing(
    tmp_path: Path, heard: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    remove = shutil.rmtree

    def measured(folder: Path, **options: Any) -> None:
        files = [path for path in folder.rglob("*") if path.is_file()]
        written.append(sum(path.stat().st_size for path in files))
        remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", measured)
    outside, room = tmp_path / "outside", tmp_path / "deep" / "room"
    outside.mkdir()
    room.mkdir(parents=True)
    file = room / "hostile.bundle"
    names = set()
    wrong = []
    for attack in attacks(str(outside)):
        names.add(attack.name)
        file.write_bytes(attack.data)
        heard.clear()
        written.clear()
        wrong += [f"{attack.name}: {fault}" for fault in faults(attack, file)]
        strayed = [path for path in heard if not path.is_relative_to(room)]
        strayed += [
            path for path in tmp_path.rglob("*") if path not in (outside, room.parent, room, file)
        ]
        if strayed or sum(written) > attack.may_write_bytes:
            wrong.append(f"{attack.name}: {strayed}, {written} bytes")
    assert wrong == []
    assert len(names) >= 500


def faults(attack: Attack, file: Path) -> Iterator[str]:
    """What is wrong with how a hostile bundle is met."""
    for what in ("verify", "unpack"):
        try:
            if what == "verify":
                verify_stream(io.BytesIO(attack.data), PAIR.public)
            else:
                unpack(file, file.parent / "unpacked", PAIR.public)
        except ShippingError as error:
            if not (error.code and error.message and error.hint) or len(str(error)) > 600:
                yield f"{what}: no good words: {error}"
        else:
            yield f"{what}: taken"


def test_what_they_are_made_from_is_sound() -> None:
    """Else they would be refused for another reason than the attack."""
    good = b"".join(_pieces(honest(), PAIR))
    assert verify_stream(io.BytesIO(good), PAIR.public) == honest()


def test_a_reader_that_believes_is_led_outside(tmp_path: Path) -> None:
    """The attacks are real ones: Python's own reader, without its filter, falls for them."""
    outside = tmp_path / "outside"
    outside.mkdir()
    escaped = 0
    for at, attack in enumerate(attacks(str(outside))):
        if "signed, before the end: path" not in attack.name and "through" not in attack.name:
            continue
        room = tmp_path / f"{at}" / "a" / "b"
        room.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(attack.data)) as tar:
            for member in tar:
                if member.name in (".", "..", "/", ""):
                    continue
                try:
                    tar.extract(member, room, filter="fully_trusted")
                except OSError:
                    continue
        strays = [path for path in tmp_path.rglob("escaped") if not path.is_relative_to(room)]
        escaped += bool(strays)
        for path in strays:
            path.unlink()
    assert escaped >= 4
    assert TOP not in FILES
