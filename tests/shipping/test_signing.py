"""Signatures and keys, held against the `minisign` program both ways."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from edge_assistant_packaging import signing
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.signing import KeyPair

from tests.shipping.small_bundle import PAIR

CHEAP_BYTES = 1 << 24
needs_minisign = pytest.mark.skipif(
    shutil.which("minisign") is None, reason="the program `minisign` is not installed"
)


def minisign(folder: Path, *arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["minisign", *map(str, arguments)], cwd=folder, input=typed, capture_output=True, text=True
    )


def code_of(caught: pytest.ExceptionInfo[ShippingError]) -> str:
    assert caught.value.hint
    return caught.value.code


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A file with keys beside it, made by us."""
    signing.write_keys(tmp_path / "a.pub", tmp_path / "a.key", None, pair=PAIR)
    (tmp_path / "file").write_bytes(bytes(range(256)) * 5000)
    return tmp_path


@needs_minisign
def test_minisign_takes_what_we_sign(signed: Path) -> None:
    text = signing.sign(signed / "file", PAIR, "kiosk 1.0, für alle")
    (signed / "file.minisig").write_text(text)
    done = minisign(signed, "-VHm", "file", "-p", "a.pub")
    assert done.returncode == 0, done.stderr
    assert "kiosk 1.0, für alle" in done.stdout
    done = minisign(signed, "-Vm", "file", "-P", PAIR.public.to_base64())
    assert done.returncode == 0
    with (signed / "file").open("ab") as file:
        file.write(b"x")
    assert minisign(signed, "-Vm", "file", "-p", "a.pub").returncode != 0


@needs_minisign
@pytest.mark.parametrize("form", ["prehashed", "legacy"])
def test_we_take_what_minisign_signs(signed: Path, form: str) -> None:
    minisign(signed, "-G", "-W", "-p", "b.pub", "-s", "b.key")
    flags = ["-l"] if form == "legacy" else []
    assert minisign(signed, "-S", *flags, "-s", "b.key", "-m", "file", "-t", "t 1").returncode == 0
    key = signing.read_public(signed / "b.pub")
    assert signing.verify(signed / "file", signed / "file.minisig", key) == "t 1"
    data = (signed / "file").read_bytes()
    assert signing.verify(data, (signed / "file.minisig").read_bytes(), key) == "t 1"
    with pytest.raises(ShippingError) as caught:
        signing.verify(data + b"x", signed / "file.minisig", key)
    assert code_of(caught) == "signature-wrong"
    (signed / "file.minisig").write_text(
        (signed / "file.minisig").read_text().replace("t 1", "t 2")
    )
    with pytest.raises(ShippingError) as caught:
        signing.verify(data, signed / "file.minisig", key)
    assert code_of(caught) == "signature-wrong"


@needs_minisign
def test_minisign_signs_with_our_keys_and_we_with_its(signed: Path) -> None:
    assert minisign(signed, "-S", "-s", "a.key", "-m", "file").returncode == 0
    signing.verify(signed / "file", signed / "file.minisig", PAIR.public)
    minisign(signed, "-G", "-W", "-p", "b.pub", "-s", "b.key")
    pair = signing.read_secret(signed / "b.key")
    assert pair.public == signing.read_public(signed / "b.pub")
    assert pair.public.to_text() == (signed / "b.pub").read_text()
    done = minisign(signed, "-R", "-p", "c.pub", "-s", "a.key")
    assert done.returncode == 0, done.stderr
    assert signing.read_public(signed / "c.pub") == PAIR.public


@needs_minisign
def test_minisign_opens_our_encrypted_key(signed: Path) -> None:
    signing.write_keys(
        signed / "e.pub", signed / "e.key", "pässword", pair=PAIR, scrypt_bytes=CHEAP_BYTES
    )
    done = minisign(signed, "-S", "-s", "e.key", "-m", "file", typed="pässword\n")
    assert done.returncode == 0, done.stderr
    signing.verify(signed / "file", signed / "file.minisig", PAIR.public)
    assert minisign(signed, "-S", "-s", "e.key", "-m", "file", typed="x\n").returncode != 0


@needs_minisign
@pytest.mark.slow
def test_we_open_the_encrypted_key_of_minisign(signed: Path) -> None:
    """At minisign's own cost of a password: 1 GiB of memory."""
    done = minisign(signed, "-G", "-p", "b.pub", "-s", "b.key", typed="secret\nsecret\n")
    assert done.returncode == 0, done.stderr
    pair = signing.read_secret(signed / "b.key", "secret")
    assert pair.public == signing.read_public(signed / "b.pub")


def test_a_pair_survives_its_files(tmp_path: Path) -> None:
    public, secret = tmp_path / "k.pub", tmp_path / "k.key"
    pair = signing.write_keys(public, secret, "word", scrypt_bytes=CHEAP_BYTES)
    assert signing.is_encrypted(secret)
    assert signing.read_secret(secret, "word") == pair
    assert signing.read_public(public) == pair.public
    assert signing.parse_public(pair.public.to_base64()) == pair.public
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert pair.seed not in secret.read_bytes()
    assert repr(pair.seed) not in repr(pair)
    for password, code in (("wrong", "key-password-wrong"), (None, "key-password-needed")):
        with pytest.raises(ShippingError) as caught:
            signing.read_secret(secret, password)
        assert code_of(caught) == code


def test_keys_are_not_overwritten_by_accident(tmp_path: Path) -> None:
    public, secret = tmp_path / "k.pub", tmp_path / "k.key"
    signing.write_keys(public, secret, None, pair=PAIR)
    for second in ((public, tmp_path / "other"), (tmp_path / "other", secret), (public, public)):
        with pytest.raises(ShippingError) as caught:
            signing.write_keys(*second, None)
        assert code_of(caught) == "output-exists"
    assert signing.read_secret(secret) == PAIR
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.key", "k.pub"]
    with pytest.raises(ShippingError) as caught:
        signing.write_keys(public, secret, "", overwrite=True)
    assert code_of(caught) == "key-password-empty"
    assert signing.write_keys(public, secret, None, overwrite=True) != PAIR


def test_two_names_of_one_place_are_no_two_files(tmp_path: Path) -> None:
    """Or the public key would take the place of the secret one, which nobody can make again."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub")
    for other in (tmp_path / "sub" / ".." / "k", tmp_path / "link" / ".." / "k"):
        with pytest.raises(ShippingError) as caught:
            signing.write_keys(other, tmp_path / "k", None)
        assert code_of(caught) == "output-exists"
    assert not (tmp_path / "k").exists()


def test_a_password_may_be_of_any_bytes(tmp_path: Path) -> None:
    password = b"gr\xfc\xdfe".decode(errors="surrogateescape")
    files = (tmp_path / "k.pub", tmp_path / "k.key")
    pair = signing.write_keys(*files, password, scrypt_bytes=CHEAP_BYTES)
    assert signing.read_secret(files[1], password) == pair


def test_too_little_memory_for_a_password_is_told(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from edge_assistant_packaging import signing
from edge_assistant_packaging.errors import ShippingError

resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
try:
    signing.write_keys(Path("k.pub"), Path("k.key"), "secret")
except ShippingError as error:
    sys.exit(error.code)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stderr.strip() == "key-memory-short"
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_keys(tmp_path: Path) -> None:
    signing.write_keys(tmp_path / "k.pub", tmp_path / "k.key", None, pair=PAIR)
    public, secret = (tmp_path / "k.pub").read_text(), (tmp_path / "k.key").read_text()
    file = tmp_path / "file"
    for text in ("", "x", secret, public[:-5], public + "x\n", public.replace("RW", "RX"), "\n\n"):
        file.write_text(text)
        with pytest.raises(ShippingError) as caught:
            signing.read_public(file)
        assert code_of(caught) == "key-invalid"
    for text in (
        "",
        "x",
        public,
        secret[:-5],
        secret.replace("RWQ", "RWX"),
        secret[:-90] + secret[-94:],
    ):
        file.write_text(text)
        with pytest.raises(ShippingError) as caught:
            signing.read_secret(file)
        assert code_of(caught) == "key-invalid"
    for place, code in ((tmp_path, "not-a-file"), (tmp_path / "no", "file-missing")):
        with pytest.raises(ShippingError) as caught:
            signing.read_public(place)
        assert code_of(caught) == code


def test_signatures_of_others_are_refused() -> None:
    text = signing.sign(b"data", PAIR, "c")
    stranger = KeyPair(key_id=b"stranger", seed=bytes(32))
    impostor = KeyPair(key_id=PAIR.key_id, seed=bytes(32))
    for signer, code in ((stranger, "signature-other-key"), (impostor, "signature-wrong")):
        with pytest.raises(ShippingError) as caught:
            signing.verify(b"data", signing.sign(b"data", signer, "c"), PAIR.public)
        assert code_of(caught) == code
    assert signing.verify(b"data", text.replace("\n", "\r\n"), PAIR.public) == "c"
    with pytest.raises(ShippingError) as caught:
        signing.verify(b"data", text.replace("\n", "\r\n"), PAIR.public, is_canonical=True)
    assert code_of(caught) == "signature-invalid"


def test_signing_is_the_same_every_time() -> None:
    assert signing.sign(b"data", PAIR, "c") == signing.sign(b"data", PAIR, "c")
    for comment in ("two\nlines", "bell\a", "x" * 3000):
        with pytest.raises(ValueError, match="printable"):
            signing.sign(b"data", PAIR, comment)
