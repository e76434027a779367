"""`edge-assistant bundle`, from the outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edge_assistant_packaging import signing
from edge_assistant_packaging.errors import ShippingError

from edge_assistant.cli.main import run_command
from edge_assistant.cli.verbs import cli
from edge_assistant.errors import EdgeAssistantError
from tests.shipping.small_bundle import PAIR, stage


def call(*arguments: object, typed: str | None = None) -> Result:
    """Run one command; errors of ours come through, as the top level expects."""
    words = ["bundle", *map(str, arguments)]
    return CliRunner().invoke(cli, words, input=typed, catch_exceptions=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with keys and a staging folder, which commands run in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert call("keygen", "--no-password").exit_code == 0
    stage(tmp_path / "staging")
    return tmp_path


def build(*more: object) -> Result:
    fixed = ("--profile", "kiosk", "--platform", "linux-aarch64", "-s", "edge-assistant.key")
    return call("build", *fixed, *more)


def test_from_key_to_unpacked_folder(home: Path) -> None:
    made = build("--staging", "staging", "--cpu-flags", "armv8.2-a", "-o", "k.bundle", "--json")
    told: dict[str, Any] = json.loads(made.stdout)
    assert (told["size_bytes"], told["platform"]) == (16384, "linux-aarch64")
    again = build("--staging", "staging", "--cpu-flags", "armv8.2-a", "-o", "again", "--json")
    assert json.loads(again.stdout)["sha256"] == told["sha256"]
    checked = call("verify", "k.bundle", "-p", "edge-assistant.pub")
    assert checked.stdout.startswith("ok  k.bundle: edge-assistant bundle kiosk ")
    assert "armv8.2-a" in checked.stderr
    word = Path("edge-assistant.pub").read_text().splitlines()[1]
    assert json.loads(call("verify", "k.bundle", "-P", word, "--json").stdout)["build"] == 1
    assert call("unpack", "k.bundle", "out", "-P", word).stdout == "out\n"
    assert (home / "out" / "install.sh").is_file()


def test_a_key_with_a_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = partial(signing.write_keys, scrypt_bytes=1 << 24)
    monkeypatch.setattr(signing, "write_keys", cheap)
    (home / "word").write_text("secret\n")
    files = ("-p", "b.pub", "-s", "b.key", "--password-file", "word", "--json")
    word = json.loads(call("keygen", *files).stdout)["key"]
    fixed = ("--profile", "kiosk", "--platform", "linux-x86_64", "--staging", "staging")
    asked = ("build", *fixed, "-s", "b.key", "-o", "k.bundle")
    with pytest.raises(EdgeAssistantError) as caught:
        call(*asked)
    assert caught.value.code == "key-password-needed"
    assert call(*asked, "--password-file", "word").exit_code == 0
    assert call("verify", "k.bundle", "-P", word).exit_code == 0


def test_what_is_refused_ends_with_its_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build("--staging", "staging", "-o", "k.bundle")
    data = bytearray((home / "k.bundle").read_bytes())
    data[9000] ^= 1
    (home / "bad.bundle").write_bytes(data)
    key = "edge-assistant.pub"
    for words, code, exit_code in (
        (["verify", "bad.bundle", "-p", key], "bundle-altered", 1),
        (["unpack", "bad.bundle", "out", "-p", key], "bundle-altered", 1),
        (["verify", "k.bundle", "-P", PAIR.public.to_base64()], "signature-other-key", 1),
        (["verify", "k.bundle", "-P", "x"], "key-invalid", 1),
        (["verify", "none", "-p", key], "file-missing", 74),
        (["verify", "k.bundle", "-p", "none"], "file-missing", 74),
        (["unpack", "k.bundle", "staging", "-p", key], "output-exists", 1),
        (["keygen", "--no-password"], "output-exists", 1),
    ):
        assert run_command(["bundle", *words]) == exit_code
        told = capsys.readouterr().err
        assert told.startswith(f"error [{code}]: "), told
        assert "\nhint: " in told
    assert not (home / "out").exists()


def test_wrong_usage_is_told(home: Path) -> None:
    assert call("verify", "k.bundle").exit_code == 2
    assert call("verify", "k.bundle", "-p", "a", "-P", "b").exit_code == 2
    assert build("-o", "k", "--python", "3.11").exit_code == 2
    assert build("-o", "k", "--staging", "staging", "--with-sources").exit_code == 2
    assert not (home / "k").exists()


def test_what_cannot_end_well_is_told_before_anything_is_staged(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stage_nothing(*arguments: Any, **options: Any) -> None:
        raise AssertionError("staged")

    module = SimpleNamespace(stage=stage_nothing)
    monkeypatch.setitem(sys.modules, "edge_assistant_packaging.staging", module)
    (home / "there").touch()
    for output, code in (
        ("there", "output-exists"),
        ("no/k.bundle", "output-unwritable"),
    ):
        with pytest.raises(EdgeAssistantError) as caught:
            build("-o", output)
        assert (caught.value.code, output in caught.value.message) == (code, True)
    for words in (("--name", "my kiosk"), ("--profile", "../x"), ("--build", 8**11)):
        assert build("-o", "k.bundle", *words).exit_code == 2
    assert not list(home.glob(".*"))


def test_the_secret_key_is_never_packed(home: Path) -> None:
    (home / "edge-assistant.key").rename(home / "staging" / "vendor.key")
    with pytest.raises(EdgeAssistantError) as caught:
        build("--staging", "staging", "-s", "staging/vendor.key", "-o", "k.bundle")
    assert caught.value.code == "secret-key-in-staging"
    assert not (home / "k.bundle").exists()


def test_without_a_stdin_no_password_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after `<&-`
    assert run_command(["bundle", "keygen", "-p", "b.pub", "-s", "b.key"]) == 1
    assert capsys.readouterr().err.startswith("error [key-password-needed]: ")


def test_what_is_staged_is_what_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`build` has the parts staged, takes what is said of them, and throws the folder away."""
    asked: dict[str, Any] = {}

    def fill(profile: str, platform: str, config: Path | None, **options: Any) -> SimpleNamespace:
        asked.update(profile=profile, platform=platform, config=config, **options)
        stage(options["folder"])
        return SimpleNamespace(
            version="9.8.7",
            python="3.13",
            cpu_flags="armv8-a",
            cpu_features="asimdhp",
            made_at_s=1_600_000_000,
            warnings=("piper-tts is GPL-3",),
            missing_sources=(),
        )

    module = SimpleNamespace(stage=fill)
    monkeypatch.setitem(sys.modules, "edge_assistant_packaging.staging", module)
    (home / ".k.bundle.abcd1234.staging" / "models").mkdir(parents=True)  # a killed one left it
    words = ("--permissive-only", "--with-sources", "--build", 12, "--cpu", "armv8", "--json")
    made = build("-o", "k.bundle", *words)
    told: dict[str, Any] = json.loads(made.stdout)
    assert (told["version"], told["python"], told["build"]) == ("9.8.7", "3.13", 12)
    assert (told["made_at_s"], told["is_permissive_only"]) == (1_600_000_000, True)
    assert told["notes"] == ["piper-tts is GPL-3"]
    assert told["cpu_features"] == "asimdhp"
    assert (asked["with_sources"], asked["permissive_only"]) == (True, True)
    assert asked["cpu"] == "armv8"
    assert not asked["folder"].exists()
    assert [path.name for path in home.glob(".*")] == []


@pytest.mark.skipif(shutil.which("minisign") is None, reason="`minisign` is not installed")
def test_the_whole_file_is_signed_for_minisign(home: Path) -> None:
    build("--staging", "staging", "-o", "k.bundle")
    command = ["minisign", "-Vm", "k.bundle", "-p", "edge-assistant.pub"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0
    assert "edge-assistant bundle kiosk" in done.stdout


def test_what_a_folder_that_somebody_filled_needs_of_a_processor(home: Path) -> None:
    for kind, features in {"armv8": "", "armv8.2-dotprod": "atomics asimdhp asimddp"}.items():
        made = build("--staging", "staging", "--cpu", kind, "-o", kind, "--json")
        assert json.loads(made.stdout)["cpu_features"] == features
        assert f'"cpu_features":"{features}"' in (home / kind).read_bytes().decode("latin-1")
    with pytest.raises(ShippingError) as caught:
        build("--staging", "staging", "--cpu", "x86-64-v3", "-o", "k.bundle")
    assert caught.value.code == "cpu-unknown"


def test_a_broken_staging_is_told_before_anything_is_written(home: Path) -> None:
    (home / "staging" / "a b").touch()
    with pytest.raises(ShippingError) as caught:
        build("--staging", "staging", "-o", "k.bundle")
    assert caught.value.code == "staging-unfit"
    assert list(home.glob("*k.bundle*")) == []
