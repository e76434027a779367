"""Updates from a folder: what is newer is brought, and nothing old, mixed or foreign."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from edge_assistant_packaging.bundle.build import Built, build
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.files import read_small
from edge_assistant_packaging.signing import KeyPair, generate, sign
from edge_assistant_packaging.updates.catalog import (
    CATALOG,
    CATALOG_SIGNATURE,
    Catalog,
    Floor,
    Line,
    parse,
)
from edge_assistant_packaging.updates.delta import make_delta
from edge_assistant_packaging.updates.judge import Installed, WhenExpired
from edge_assistant_packaging.updates.memory import Memory
from edge_assistant_packaging.updates.publish import publish
from edge_assistant_packaging.updates.source import FolderSource
from edge_assistant_packaging.updates.updater import Updater, read_installed

from tests.shipping.small_bundle import FACTS, PAIR
from tests.shipping.two_bundles import make_two

KEY = PAIR.public
LINE = Line(name="kiosk", platform="linux-x86_64", profile="kiosk")
NOW_S = 1_800_000_000
DAY_S = 86_400


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Built]:
    folder = tmp_path_factory.mktemp("made")
    old, new = make_two(folder)
    make_delta(old.path, new.path, folder / "7-8.delta", KEY)
    return old, new


@pytest.fixture
def shop(tmp_path: Path, made: tuple[Built, Built]) -> Path:
    """What a vendor serves: both bundles, the delta, and their catalog."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for path in (made[0].path, made[1].path, made[0].path.with_name("7-8.delta")):
        shutil.copy(path, folder)
    issue(folder)
    return folder


def issue(folder: Path, floor: int | None = None, now_s: int = NOW_S, **others: Any) -> Catalog:
    floors = {} if floor is None else {LINE: floor}
    terms: dict[str, Any] = {"channel": "stable", "valid_s": DAY_S} | others
    return publish(folder, PAIR, floors=floors, now_s=now_s, **terms).catalog


def reissue(folder: Path, change: Callable[[Catalog], Catalog], pair: KeyPair = PAIR) -> None:
    """Sign a changed catalog, as only the vendor (or who has his key) could."""
    changed = change(parse(read_small(folder / CATALOG, 1 << 20)))
    (folder / CATALOG).write_bytes(changed.to_bytes())
    (folder / CATALOG_SIGNATURE).write_text(sign(changed.to_bytes(), pair, changed.comment))


def updater(
    shop: Path, state: Path, now_s: float = NOW_S, expired: WhenExpired = "refuse"
) -> Updater:
    return Updater(
        FolderSource(shop),
        KEY,
        Memory(state),
        channel="stable",
        now_s=lambda: now_s,
        expired=expired,
    )


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(ShippingError) as raised:
        ask()
    assert raised.value.hint
    return raised.value.code


def test_a_newer_bundle_is_found_brought_whole_and_checked(
    shop: Path, made: tuple[Built, Built], tmp_path: Path
) -> None:
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, read_installed(made[0].path))
    assert answer.offer is not None
    assert (answer.offer.build, answer.floor, answer.warning) == (8, 0, "")
    fetched = asked.fetch(answer, tmp_path / "got.bundle")
    assert fetched.path.read_bytes() == made[1].path.read_bytes()
    assert not fetched.is_by_delta
    assert asked.check(LINE, read_installed(fetched.path)).offer is None
    names = sorted(path.name for path in tmp_path.glob("*got*"))
    assert names == ["got.bundle", "got.bundle.minisig"]
    assert not list(tmp_path.glob(".got*"))


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_a_link_that_waits_for_what_comes_is_not_followed(
    shop: Path, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    """Its name follows from the catalog, so anybody who may write there can be first."""
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, None)
    assert answer.offer is not None
    (tmp_path / "precious").write_text("precious")
    waiting = tmp_path / f".got.bundle.{answer.offer.sha256[:16]}.part"
    plant(tmp_path / "precious", waiting)
    fetched = asked.fetch(answer, tmp_path / "got.bundle")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not fetched.path.is_symlink()
    assert fetched.path.stat().st_nlink == 1


def test_with_the_old_bundle_only_the_delta_comes(
    shop: Path, made: tuple[Built, Built], tmp_path: Path
) -> None:
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, read_installed(made[0].path))
    (shop / "new.bundle").unlink()
    fetched = asked.fetch(answer, tmp_path / "got.bundle", have=made[0].path)
    assert fetched.is_by_delta
    assert fetched.came_bytes == (shop / "7-8.delta").stat().st_size < fetched.size_bytes
    assert fetched.path.read_bytes() == made[1].path.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("is_by_delta", [False, True])
def test_what_was_fetched_can_be_checked_with_minisign_alone(
    shop: Path, made: tuple[Built, Built], tmp_path: Path, is_by_delta: bool
) -> None:
    asked = updater(shop, tmp_path / "state.json")
    got = tmp_path / "got.bundle"
    have = made[0].path if is_by_delta else None
    asked.fetch(asked.check(LINE, None), got, have=have)
    signature = tmp_path / "got.bundle.minisig"
    assert signature.read_bytes() == made[1].signature_path.read_bytes()
    if shutil.which("minisign") is None:
        pytest.skip("`minisign` is not installed")
    command = ["minisign", "-V", "-q", "-P", KEY.to_base64(), "-m", str(got)]
    assert subprocess.run(command, check=False).returncode == 0
    with got.open("ab") as file:
        file.write(b"x")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_no_bundle_gets_its_name_without_its_signature(shop: Path, tmp_path: Path) -> None:
    asked = updater(shop, tmp_path / "state.json")
    got = tmp_path / "got.bundle"
    (tmp_path / "got.bundle.minisig" / "in-the-way").mkdir(parents=True)
    assert refused(lambda: asked.fetch(asked.check(LINE, None), got)) == "output-unwritable"
    assert not got.exists()
    assert not list(tmp_path.glob(".got*"))


def test_an_old_catalog_shown_again_is_refused(shop: Path, tmp_path: Path) -> None:
    old = [(shop / name).read_bytes() for name in (CATALOG, CATALOG_SIGNATURE)]
    issue(shop)
    state = tmp_path / "state.json"
    updater(shop, state).check(LINE, None)
    for name, data in zip((CATALOG, CATALOG_SIGNATURE), old, strict=True):
        (shop / name).write_bytes(data)
    assert refused(lambda: updater(shop, state).check(LINE, None)) == "catalog-replayed"
    # Who never saw the newer one cannot know; the date is all that protects him.
    assert updater(shop, tmp_path / "other.json").check(LINE, None).offer is not None
    late = updater(shop, tmp_path / "third.json", NOW_S + DAY_S)
    assert refused(lambda: late.check(LINE, None)) == "catalog-expired"


def test_two_catalogs_with_one_serial_are_refused(shop: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    updater(shop, state).check(LINE, None)
    updater(shop, state).check(LINE, None)  # the same one again is fine
    reissue(shop, lambda catalog: replace(catalog, expires_at_s=catalog.expires_at_s + 1))
    assert refused(lambda: updater(shop, state).check(LINE, None)) == "catalog-forked"


def test_nothing_goes_back(shop: Path, made: tuple[Built, Built], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    installed = read_installed(made[1].path)
    (shop / "new.bundle").unlink()
    issue(shop)
    ask = updater(shop, state).check
    assert refused(lambda: ask(LINE, installed)) == "update-rollback"
    assert refused(lambda: ask(LINE, replace(installed, build=9))) == "update-rollback"
    answer = ask(LINE, None)
    assert answer.offer is not None
    assert answer.offer.build == 7
    (shop / "old.bundle").unlink()
    issue(shop)
    assert refused(lambda: ask(LINE, installed)) == "update-none-offered"


def test_a_floor_once_seen_stays(shop: Path, made: tuple[Built, Built], tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert refused(lambda: issue(shop, floor=8)) == "catalog-unfit"  # with build 7 in it
    (shop / "old.bundle").unlink()
    issue(shop, floor=8)
    answer = updater(shop, state).check(LINE, read_installed(made[0].path))
    assert "below the vendor's floor 8" in answer.warning
    assert refused(lambda: issue(shop, floor=7)) == "catalog-floor-lowered"
    for floors in ((), (Floor(line=LINE, build=7),)):
        reissue(shop, lambda c, f=floors: replace(c, serial=c.serial + 1, floors=f))  # type: ignore[misc]
        assert refused(lambda: updater(shop, state).check(LINE, None)) == "catalog-floor-lowered"
    # The vendor's own files can be lost; the machine remembers.
    (shop / CATALOG).unlink()
    shutil.copy(made[0].path, shop)
    issue(shop)
    reissue(shop, lambda c: replace(c, serial=99))
    assert refused(lambda: updater(shop, state).check(LINE, None)) == "catalog-floor-lowered"


def test_a_lost_state_is_fresh_and_a_broken_one_is_not(shop: Path, tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state.json"
    updater(shop, state).check(LINE, None)
    whole = state.read_text()
    for broken in ("", "{", whole.replace('"serial": 1', '"serial": -1'), "[]", whole[:-20]):
        state.write_text(broken)
        ask = updater(shop, state).check
        assert refused(lambda a=ask: a(LINE, None)) == "update-state-invalid"  # type: ignore[misc]
    state.write_text(whole)
    updater(shop, state).check(LINE, None)
    seen = json.loads(whole)["seen"]
    assert list(seen) == [f"{KEY.name} stable"]


def test_of_two_that_ask_at_once_the_newer_catalog_stays(shop: Path, tmp_path: Path) -> None:
    """One read its catalog first, and remembers it last."""
    slow = parse(read_small(shop / CATALOG, 1 << 20))
    issue(shop)
    memory = Memory(tmp_path / "state.json")
    updater(shop, tmp_path / "state.json").check(LINE, None)
    seen = memory.recall(KEY.name, "stable")
    memory.keep(KEY.name, slow, "0" * 64)
    assert memory.recall(KEY.name, "stable") == seen
    assert seen.serial == 2


def test_an_expired_catalog_is_refused_or_warned_of(shop: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    late = NOW_S + 3 * DAY_S
    assert refused(lambda: updater(shop, state, late).check(LINE, None)) == "catalog-expired"
    answer = updater(shop, state, late, "warn").check(LINE, None)
    assert "expired 2.0 days ago" in answer.warning
    assert answer.offer is not None


def test_a_clock_set_back_revives_nothing(shop: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    issue(shop, now_s=NOW_S + 5 * DAY_S)
    updater(shop, state, now_s=0).check(LINE, None)  # no clock at all: the catalog's own time
    reissue(shop, lambda c: replace(c, serial=50, issued_at_s=NOW_S, expires_at_s=NOW_S + DAY_S))
    assert refused(lambda: updater(shop, state, NOW_S).check(LINE, None)) == "catalog-expired"


def test_a_vendors_clock_set_back_stops_no_machine(shop: Path, tmp_path: Path) -> None:
    """Or what it signs next would count as expired wherever the last catalog was seen."""
    machine = updater(shop, tmp_path / "state.json")
    machine.check(LINE, None)
    catalog = issue(shop, now_s=NOW_S - 2 * DAY_S)
    assert catalog.expires_at_s == NOW_S + DAY_S
    assert machine.check(LINE, None).catalog == catalog


def test_another_channel_line_or_key_is_refused(
    shop: Path, made: tuple[Built, Built], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    arm = replace(LINE, platform="linux-aarch64")
    ask = updater(shop, state).check
    assert refused(lambda: ask(arm, None)) == "update-none-offered"
    installed = Installed(line=arm, build=1)
    assert refused(lambda: ask(LINE, installed)) == "update-other-line"
    forked = Installed(line=LINE, build=8, manifest_sha256="0" * 64)
    assert refused(lambda: ask(LINE, forked)) == "update-forked"
    assert refused(lambda: issue(shop, channel="beta")) == "catalog-wrong-channel"
    reissue(shop, lambda c: replace(c, channel="beta", serial=c.serial + 1))
    assert refused(lambda: ask(LINE, None)) == "catalog-wrong-channel"
    reissue(shop, lambda c: replace(c, channel="stable"), generate())
    assert refused(lambda: ask(LINE, None)) == "signature-other-key"


def test_other_signed_things_are_no_catalog(shop: Path, tmp_path: Path) -> None:
    """A signature says who, not what: the manifest of a bundle is signed by the same key."""
    ask = updater(shop, tmp_path / "state.json").check
    from edge_assistant_packaging.bundle.verify import unpack

    unpack(shop / "new.bundle", tmp_path / "un", KEY)
    shutil.copy(tmp_path / "un" / "manifest.json", shop / CATALOG)
    shutil.copy(tmp_path / "un" / "manifest.json.minisig", shop / CATALOG_SIGNATURE)
    assert refused(lambda: ask(LINE, None)) == "catalog-invalid"


def test_a_byte_changed_in_a_catalog_is_refused(shop: Path, tmp_path: Path) -> None:
    ask = updater(shop, tmp_path / "state.json").check
    data = bytearray((shop / CATALOG).read_bytes())
    for at in range(0, len(data), 3):
        data[at] ^= 1 << at % 8
        (shop / CATALOG).write_bytes(data)
        assert refused(lambda: ask(LINE, None)) == "signature-wrong"
        data[at] ^= 1 << at % 8
    assert not (tmp_path / "state.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64},
        {"size_bytes": 16_385},
        {"size_bytes": 10},
        {"path": "old.bundle"},
        {"path": "7-8.delta"},
        {"path": "not-there.bundle"},
        {"build": 9},
        {"version": "9.9"},
        {"manifest_sha256": "0" * 64},
        {"signature": sign(b"another file", PAIR, "1")},
        {"signature": "none"},
    ],
    ids=str,
)
def test_a_catalog_and_a_bundle_that_do_not_belong_together_are_refused(
    shop: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    def mixed(catalog: Catalog) -> Catalog:
        last = replace(catalog.bundles[-1], **change)
        return replace(catalog, deltas=(), bundles=(*catalog.bundles[:-1], last))

    reissue(shop, mixed)
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, None)
    output = tmp_path / "got.bundle"
    assert refused(lambda: asked.fetch(answer, output)) in (
        "update-wrong-bytes",
        "update-mismatch",
        "file-missing",
        "signature-wrong",
        "signature-invalid",
    )
    assert not list(tmp_path.glob("*got*"))
    assert not list(tmp_path.glob(".got*"))


@pytest.mark.parametrize("change", [lambda d: d + b"\0", lambda d: d[:-1], lambda d: b""])
def test_a_file_that_is_longer_or_shorter_is_refused(
    shop: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, None)
    (shop / "new.bundle").write_bytes(change((shop / "new.bundle").read_bytes()))
    code = refused(lambda: asked.fetch(answer, tmp_path / "got.bundle"))
    assert code == "update-wrong-bytes"
    assert not list(tmp_path.glob(".got*"))


def test_the_manifest_of_one_bundle_with_the_files_of_another_is_refused(
    shop: Path, made: tuple[Built, Built], tmp_path: Path
) -> None:
    """Both parts are signed by the vendor; together they are nothing."""
    old, new = (each.path.read_bytes() for each in made)
    at = new.index(b"edge-assistant-bundle/SHA256SUMS")
    cut = old.index(b"edge-assistant-bundle/SHA256SUMS")
    (shop / "new.bundle").write_bytes(new[:at] + old[cut:])
    assert refused(lambda: issue(shop)) == "bundle-altered"  # nor does the vendor list it
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, None)
    code = refused(lambda: asked.fetch(answer, tmp_path / "got.bundle"))
    assert code == "update-wrong-bytes"
    assert not list(tmp_path.glob("*got*"))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"schema": 2},
        {"channel": "../x"},
        {"channel": 1},
        {"serial": -1},
        {"serial": True},
        {"serial": 1e3},
        {"expires_at_s": 0},
        {"floors": [{}]},
        {"floors": {}},
        {"bundles": None},
        {"bundles": [[]]},
        {"deltas": [{"path": "x"}]},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_catalog_that_is_none_is_refused_even_if_signed(
    shop: Path, change: dict[str, Any]
) -> None:
    raw = json.loads((shop / CATALOG).read_bytes()) | change
    data = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert refused(lambda: parse(data)) == "catalog-invalid"


@pytest.mark.parametrize("path", ["../x.bundle", "/etc/passwd", "a//b", "a/./b", "x\n", "", "a b"])
def test_a_path_out_of_the_folder_is_refused(shop: Path, path: str) -> None:
    raw = json.loads((shop / CATALOG).read_bytes())
    raw["bundles"][0]["path"] = path
    data = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert refused(lambda: parse(data)) == "catalog-invalid"


@pytest.mark.parametrize("signature", [1, None, "x" * 5000])
def test_a_signature_that_is_none_or_too_long_is_refused(shop: Path, signature: object) -> None:
    raw = json.loads((shop / CATALOG).read_bytes())
    raw["bundles"][0]["signature"] = signature
    data = json.dumps(raw, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert refused(lambda: parse(data)) == "catalog-invalid"


def test_a_catalog_survives_its_own_bytes(shop: Path) -> None:
    catalog = parse((shop / CATALOG).read_bytes())
    assert parse(catalog.to_bytes()) == catalog
    assert {each.build for each in catalog.bundles} == {7, 8}
    assert {field.name for field in dataclasses.fields(catalog)} >= {"channel", "floors"}


def test_a_delta_to_a_bundle_that_is_not_offered_is_left_out(shop: Path) -> None:
    (shop / "new.bundle").unlink()
    done = publish(shop, PAIR, channel="stable", floors={}, now_s=NOW_S, valid_s=DAY_S)
    assert done.left_out == ("7-8.delta",)
    assert done.catalog.deltas == ()


def test_a_damaged_base_is_told_and_the_whole_bundle_still_comes(
    shop: Path, made: tuple[Built, Built], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.bundle"
    data = bytearray(made[0].path.read_bytes())
    data[data.rindex(b"models/vad/silero_vad.onnx") + 1000] ^= 1
    damaged.write_bytes(data)
    asked = updater(shop, tmp_path / "state.json")
    answer = asked.check(LINE, None)
    code = refused(lambda: asked.fetch(answer, tmp_path / "got.bundle", have=damaged))
    assert code == "delta-base-damaged"
    assert not list(tmp_path.glob(".got*"))
    assert asked.fetch(answer, tmp_path / "got.bundle").path.exists()
    assert refused(lambda: asked.fetch(answer, tmp_path / "got.bundle")) == "output-exists"


@pytest.mark.parametrize("ends_before", [1, 2, 3])
def test_a_publishing_that_is_cut_short_loses_no_serial(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_before: int
) -> None:
    """Ended at each change of a name: the next one counts on, and machines follow."""
    left = [ends_before]
    rename = os.replace

    def cut(*names: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        rename(*names)

    updater(shop, tmp_path / "state.json").check(LINE, None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            issue(shop)
    serial = issue(shop).serial
    assert serial == (3 if ends_before == 3 else 2)
    answer = updater(shop, tmp_path / "state.json").check(LINE, None)
    assert answer.catalog.serial == serial
    assert not list(shop.glob(".*"))


def test_two_builds_of_one_number_make_no_catalog(shop: Path, tmp_path: Path) -> None:
    staged = tmp_path / "staging"
    staged.mkdir()
    (staged / "install.sh").write_text("#!/bin/sh\n")
    build(staged, FACTS, shop / "again.bundle", PAIR)
    assert refused(lambda: issue(shop)) == "catalog-unfit"
