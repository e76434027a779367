"""Old bundle and delta give the new bundle byte for byte, or nothing."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from edge_assistant_packaging.bundle.archive import header
from edge_assistant_packaging.bundle.build import Built, build
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.signing import generate
from edge_assistant_packaging.updates.delta import KIND, apply_delta, make_delta

from tests.shipping.small_bundle import FACTS, PAIR, make
from tests.shipping.two_bundles import NEW_BYTES, make_two

KEY = PAIR.public


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Built, Path]:
    folder = tmp_path_factory.mktemp("two")
    old, new = make_two(folder)
    made = make_delta(old.path, new.path, folder / "x.delta", KEY)
    return old, new, made.path


def refused(old: Path, delta: Path, output: Path) -> str:
    """The code; nothing is left of a failed one."""
    with pytest.raises(ShippingError) as raised:
        apply_delta(old, delta, output, KEY)
    assert raised.value.hint
    assert not list(output.parent.glob(f"*{output.name}*"))
    return raised.value.code


def test_it_gives_the_new_bundle_and_its_signature_byte_for_byte(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, new, delta = two
    made = apply_delta(old.path, delta, tmp_path / "made.bundle", KEY)
    assert made.path.read_bytes() == new.path.read_bytes()
    assert made.sha256 == new.sha256
    signature = tmp_path / "made.bundle.minisig"
    assert signature.read_bytes() == new.signature_path.read_bytes()
    if shutil.which("minisign"):
        command = ["minisign", "-V", "-q", "-P", KEY.to_base64(), "-m", str(made.path)]
        subprocess.run(command, check=True)


def test_without_its_signature_there_is_no_bundle(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    (tmp_path / "made.bundle.minisig").mkdir()
    with pytest.raises(ShippingError) as raised:
        apply_delta(two[0].path, two[2], tmp_path / "made.bundle", KEY)
    assert raised.value.code == "output-unwritable"
    assert [path.name for path in tmp_path.iterdir()] == ["made.bundle.minisig"]


def test_it_holds_each_new_content_once_and_nothing_old(two: tuple[Built, Built, Path]) -> None:
    old, new, delta = two
    data = delta.read_bytes()
    noise = random.Random(8).randbytes(NEW_BYTES)
    assert data.count(noise) == 1
    assert new.path.read_bytes().count(noise) == 2
    old_hashes = {each.sha256 for each in old.manifest.files}
    for entry in new.manifest.files:
        is_in = header(entry.path, entry.size_bytes, FACTS.made_at_s) in data
        assert not is_in or entry.sha256 not in old_hashes
    assert KIND.encode() in data


def test_made_twice_it_is_the_same(two: tuple[Built, Built, Path], tmp_path: Path) -> None:
    old, new, delta = two
    again = make_delta(old.path, new.path, tmp_path / "y.delta", KEY)
    assert again.path.read_bytes() == delta.read_bytes()
    assert again.sha256 == hashlib.sha256(delta.read_bytes()).hexdigest()


def test_one_byte_changed_anywhere_in_the_delta_is_refused(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    """A sample; every byte that a header or a list may begin with is in it."""
    old, _, delta = two
    data = bytearray(delta.read_bytes())
    changed = tmp_path / "changed.delta"
    places = sorted({*range(0, len(data), 13), *range(512, 532), len(data) - 1})
    for at in places:
        data[at] ^= 1 << at % 8
        changed.write_bytes(data)
        refused(old.path, changed, tmp_path / "made.bundle")
        data[at] ^= 1 << at % 8
    assert len(places) > 500


def test_a_delta_that_ends_early_or_late_is_refused(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, _, delta = two
    data = delta.read_bytes()
    changed = tmp_path / "changed.delta"
    for length in range(0, len(data), 97):
        changed.write_bytes(data[:length])
        assert refused(old.path, changed, tmp_path / "made.bundle") == "bundle-truncated"
    changed.write_bytes(data + b"\0")
    assert refused(old.path, changed, tmp_path / "made.bundle") == "bundle-altered"


def test_a_time_that_is_not_the_bundles_is_refused(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, _, delta = two
    data = delta.read_bytes()
    size_bytes = int(data[124:135], 8)
    times_s = FACTS.made_at_s, FACTS.made_at_s + 1
    right, wrong = (header("delta.json", size_bytes, each) for each in times_s)
    assert data.startswith(right)
    changed = tmp_path / "changed.delta"
    changed.write_bytes(wrong + data.removeprefix(right))
    assert refused(old.path, changed, tmp_path / "made.bundle") == "delta-invalid"


def test_a_base_that_is_damaged_or_another_is_refused(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, new, delta = two
    data = bytearray(old.path.read_bytes())
    at = data.index(header("models/vad/silero_vad.onnx", 3584, FACTS.made_at_s)) + 512
    data[at + 5] ^= 1
    damaged = tmp_path / "damaged.bundle"
    damaged.write_bytes(data)
    assert refused(damaged, delta, tmp_path / "made.bundle") == "delta-base-damaged"
    damaged.write_bytes(data[:at])
    assert refused(damaged, delta, tmp_path / "made.bundle") == "delta-base-damaged"
    other = make(tmp_path, "other.bundle", replace(FACTS, build=3))
    assert refused(other.path, delta, tmp_path / "made.bundle") == "delta-wrong-base"
    assert refused(new.path, delta, tmp_path / "made.bundle") == "delta-wrong-base"


def test_a_bundle_is_no_delta_and_a_delta_no_bundle(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, new, delta = two
    assert refused(old.path, new.path, tmp_path / "made.bundle") == "bundle-not-one"
    assert refused(delta, delta, tmp_path / "made.bundle") == "bundle-not-one"


def test_another_key_and_a_mixed_up_signature_are_refused(
    two: tuple[Built, Built, Path], tmp_path: Path
) -> None:
    old, new, delta = two
    with pytest.raises(ShippingError, match="is signed with the key"):
        apply_delta(old.path, delta, tmp_path / "made.bundle", generate().public)
    # A signature by the same key, of the same length, of the other bundle as a whole.
    signatures = new.signature_path.read_bytes(), old.signature_path.read_bytes()
    mixed = tmp_path / "mixed.delta"
    mixed.write_bytes(delta.read_bytes().replace(*signatures))
    assert refused(old.path, mixed, tmp_path / "made.bundle") == "signature-wrong"


def test_it_goes_forward_and_stays_in_its_line(tmp_path: Path) -> None:
    old = make(tmp_path, "old.bundle")
    for name, facts in {
        "same": FACTS,
        "less": replace(FACTS, build=6),
        "platform": replace(FACTS, build=9, platform="linux-aarch64"),
        "profile": replace(FACTS, build=9, profile="pi"),
    }.items():
        new = make(tmp_path, f"{name}.bundle", facts)
        with pytest.raises(ShippingError) as raised:
            make_delta(old.path, new.path, tmp_path / "x.delta", KEY)
        assert raised.value.code in ("delta-backwards", "delta-other-line")
        assert not (tmp_path / "x.delta").exists()


def test_a_delta_is_not_made_of_what_is_not_signed(tmp_path: Path) -> None:
    old, new = make_two(tmp_path)
    stranger = generate()
    other = build(
        tmp_path / "staging-old", replace(FACTS, build=9), tmp_path / "o.bundle", stranger
    )
    with pytest.raises(ShippingError, match="is signed with the key"):
        make_delta(old.path, other.path, tmp_path / "x.delta", KEY)
    new.signature_path.unlink()
    with pytest.raises(ShippingError, match="is not there"):
        make_delta(old.path, new.path, tmp_path / "x.delta", KEY)
    assert not (tmp_path / "x.delta").exists()
