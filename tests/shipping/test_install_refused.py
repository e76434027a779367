"""Machines on which install.sh cannot install: it says why, what to type, and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.figures.ship_kills import Kills
from tests.shipping.little_bundle import Machine, build, code_of, said_by, seal

IS_ROOT: Final = os.geteuid() == 0
pytestmark = pytest.mark.skipif(
    not (shutil.which("flock") and Path("/proc/self").exists()), reason="installs on Linux only"
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return build(tmp_path / "bundle", "1.0.0")


def python_that(tmp_path: Path, condition: str, answer: str) -> str:
    """A Python of this machine but for one question."""
    program = tmp_path / "python"
    real = Path(sys.base_prefix) / "bin" / "python3"
    program.write_text(f'#!/bin/sh\ncase "$*" in {condition}) {answer} ;; esac\nexec {real} "$@"\n')
    program.chmod(0o755)
    return str(program)


def mounted(command: str) -> Sequence[str]:
    """A program that runs another in a mount namespace of its own, after `command`."""
    if not IS_ROOT or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("takes root, to mount a file system")
    return ("unshare", "-m", "sh", "-c", f'{command} && exec "$@"', "sh")


def test_no_python3_venv(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    python = python_that(tmp_path, "*'import venv, ensurepip'*", "exit 1")
    (pip,) = bundle.glob("wheels/pip-*.whl")
    pip.unlink()
    seal(bundle, "1.0.0")
    run = machine.run(bundle, "--python", python)
    assert code_of(run) == "python-venv-missing"
    assert f"apt install python3.{sys.version_info.minor}-venv" in run.stderr
    assert machine.left() == []


def test_without_pip_in_the_bundle_pythons_own_is_used(machine: Machine, bundle: Path) -> None:
    (pip,) = bundle.glob("wheels/pip-*.whl")
    pip.unlink()
    seal(bundle, "1.0.0")
    run = machine.run(bundle)
    assert run.returncode == 0, run.stderr
    assert machine.says() == said_by("1.0.0")


def test_the_wrong_python_or_machine(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    for answer, code in {
        "echo 3.9 linux-x86_64 64; exit": "python-version",
        f"echo 3.{sys.version_info.minor} linux-riscv64 64; exit": "platform-wrong",
        f"echo 3.{sys.version_info.minor} linux-{os.uname().machine} 32; exit": "platform-wrong",
        "exit 1": "python-missing",
    }.items():
        python = python_that(tmp_path, "*platform.machine*", answer)
        assert code_of(machine.run(bundle, "--python", python)) == code
    assert machine.left() == []


PI_4: Final = "fp asimd evtstrm crc32 cpuid"
PI_5: Final = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)


@pytest.mark.parametrize(
    ("cores", "needs", "lacks"),
    [
        ([PI_5, PI_5], "asimddp asimdhp atomics", ""),
        ([PI_4, PI_4], "asimddp asimdhp atomics", "asimddp asimdhp atomics"),
        ([PI_5, PI_4], "asimdhp asimd", "asimdhp"),  # one core is enough
        ([PI_4], "asi", "asi"),  # a part of a word is no word
        ([PI_4], "", ""),
        ([], "asimddp", ""),  # the kernel does not say
    ],
)
def test_a_processor_without_what_llama_cpp_needs(
    machine: Machine, bundle: Path, tmp_path: Path, cores: list[str], needs: str, lacks: str
) -> None:
    planted = tmp_path / "cpuinfo"
    planted.write_text("".join(f"processor\t: 0\nFeatures\t: {each}\n\n" for each in cores))
    seal(bundle, "1.0.0", cpu_features=needs)
    before = mounted(f"mount --bind '{planted}' /proc/cpuinfo")
    # A prefix with other things in it is what is refused next, which is quicker than to install.
    run = machine.run(bundle, "--prefix", str(tmp_path), before=before)
    assert code_of(run) == ("processor-wrong" if lacks else "prefix-in-use")
    assert not lacks or f"with {needs}; this one lacks {lacks}\n" in run.stderr


@pytest.mark.skipif("flags" not in Path("/proc/cpuinfo").read_text(), reason="no x86")
def test_the_processor_of_this_machine(machine: Machine, bundle: Path) -> None:
    seal(bundle, "1.0.0", cpu_features="fpu avx9999 sse2")
    run = machine.run(bundle)
    assert code_of(run) == "processor-wrong"
    assert "lacks avx9999\n" in run.stderr
    assert machine.left() == []
    seal(bundle, "1.0.0", cpu_features="fpu sse2")
    assert machine.run(bundle).returncode == 0


def test_a_disk_that_is_too_small_is_found_beforehand(machine: Machine, tmp_path: Path) -> None:
    bundle = build(tmp_path / "big", "1.0.0", model_bytes=40 << 20)
    before = mounted(f"mount -t tmpfs -o size=48m tmpfs '{machine.home}'")
    run = machine.run(bundle, before=before)
    assert code_of(run) == "disk-full"
    assert "room for 47 MiB, and this takes 50 MiB" in run.stderr


def test_a_disk_that_fills_up_on_the_way_leaves_the_old_version(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    """No file may be larger than 3 MB: the model's copy fails as on a full disk."""
    assert machine.run(bundle).returncode == 0
    old = machine.versions()
    big = build(tmp_path / "big", "1.1.0", model_bytes=8 << 20)
    run = machine.run(big, before=("sh", "-c", 'trap "" XFSZ; ulimit -f 6000; exec "$@"', "sh"))
    assert code_of(run) == "install-failed"
    assert "copying models" in run.stderr
    assert machine.says() == said_by("1.0.0")
    assert machine.versions() == old


def test_a_read_only_prefix(machine: Machine, bundle: Path) -> None:
    share = machine.prefix.parent
    share.mkdir(parents=True)
    if IS_ROOT:
        run = machine.run(bundle, before=mounted(f"mount -t tmpfs -o ro tmpfs '{share}'"))
    else:
        share.chmod(0o555)
        run = machine.run(bundle)
        share.chmod(0o755)
    assert code_of(run) == "prefix-not-writable"
    assert machine.left() == []


def test_a_bundle_whose_program_does_not_start(machine: Machine, bundle: Path) -> None:
    assert machine.run(bundle).returncode == 0
    new = shutil.copytree(bundle, machine.home.parent / "new")
    shutil.rmtree(new / "config")  # the little program reads it
    seal(new, "1.1.0")
    run = machine.run(new)
    assert code_of(run) == "install-failed"
    assert "FileNotFoundError" in run.stderr
    other = build(machine.home.parent / "other", "1.1.0")
    seal(other, "1.2.0")
    assert code_of(machine.run(other)) == "version-wrong"
    assert machine.says() == said_by("1.0.0")
    assert len(machine.versions()) == 1


def test_system_wide_takes_root(machine: Machine, bundle: Path) -> None:
    before = ("unshare", "--user") if IS_ROOT else ()
    if IS_ROOT and subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("takes a user namespace, to be no root")
    assert code_of(machine.run(bundle, "--system", before=before)) == "needs-root"


def test_for_all_users(machine: Machine, bundle: Path) -> None:
    """In /opt and /usr/local/bin of its own: everybody may read it, whatever the umask was."""
    folders = " && ".join(
        f"mount -t tmpfs -o mode=755 tmpfs {folder}"
        for folder in ("/opt", "/usr/local/bin", "/etc")
    )
    before = mounted(folders)
    script = f"""
        umask 077; mkdir -p /etc/edge-assistant
        sh '{bundle}/install.sh' --system || exit 1
        [ /usr/local/bin/edge-assistant -ef /opt/edge-assistant/current/bin/edge-assistant ]
        find /opt -type f ! -perm -004 -o -type d ! -perm -005
        edge-assistant
        sh /opt/edge-assistant/current/install.sh --uninstall --purge || exit 1
        find /opt /usr/local/bin /etc -mindepth 1
    """
    run = subprocess.run(
        [*before, "sh", "-euc", script],
        env=machine.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [line for line in run.stdout.splitlines() if line.startswith(("/", "edge-"))] == [
        said_by("1.0.0")
    ]


def test_the_signature_where_there_is_minisign(
    machine: Machine, bundle: Path, tmp_path: Path
) -> None:
    key = tmp_path / "vendor.pub"
    if shutil.which("minisign") is None:
        assert code_of(machine.run(bundle, "--check", "--key", str(key))) == "minisign-missing"
        pytest.skip("takes minisign")
    minisign = ["minisign", "-W", "-G", "-p", str(key), "-s", str(tmp_path / "vendor.key")]
    for other in (key, bundle, bundle / "manifest.json"):  # not there yet, a folder, no key
        assert code_of(machine.run(bundle, "--check", "--key", str(other))) == "key-invalid"
    subprocess.run(minisign, check=True, capture_output=True)
    assert code_of(machine.run(bundle, "--check", "--key", str(key))) == "signature-wrong"
    subprocess.run(
        ["minisign", "-S", "-s", str(tmp_path / "vendor.key"), "-m", str(bundle / "manifest.json")],
        check=True,
        capture_output=True,
        input=b"\n",
    )
    run = machine.run(bundle, "--check", "--key", str(key))
    assert run.returncode == 0, run.stderr
    (bundle / "install.sh").write_text((bundle / "install.sh").read_text() + "# more\n")
    seal(bundle, "1.0.0")
    assert code_of(machine.run(bundle, "--check", "--key", str(key))) == "signature-wrong"


@pytest.mark.slow
def test_five_kills(tmp_path: Path) -> None:
    """Two hundred of them: tests/figures/ship_kills.py."""
    kills = Kills(tmp_path, seed=int.from_bytes(os.urandom(4)))
    for number in range(5):
        kills.kill_once(is_late=number % 2 == 1)
    assert kills.seen.total() == 5
