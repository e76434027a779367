"""A bundle's install.sh, run for real in a home of its own: what it puts there and removes."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from edge_assistant_packaging import install

from tests.shipping.little_bundle import Machine, build, code_of, identity, said_by

pytestmark = pytest.mark.skipif(
    not (shutil.which("flock") and Path("/proc/self").exists()), reason="installs on Linux only"
)
OWN_FILE: Final = ".config/edge-assistant/config.toml"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three versions, one after the other."""
    folder = tmp_path_factory.mktemp("bundles")
    return [build(folder / str(number), f"1.{number}.0", number=number) for number in range(3)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    home = tmp_path / "it's [a] h\\\u00f6me *"
    home.mkdir()
    return Machine(home)


@pytest.fixture(scope="module")
def installed_home(
    bundles: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """The first version, for tests that change nothing."""
    machine = Machine(tmp_path_factory.mktemp("installed"))
    run = machine.run(bundles[0])
    assert run.returncode == 0, run.stderr
    yield machine
    assert machine.says() == said_by("1.0.0")
    assert machine.versions() == [identity(bundles[0])]


def done(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr + run.stdout


def test_a_life_of_installations(machine: Machine, bundles: list[Path]) -> None:
    """Install, upgrade, back, forth, upgrade again, remove; a quote and blanks in the path."""
    first, second, third = bundles
    own = machine.home / OWN_FILE
    own.parent.mkdir(parents=True)
    own.write_text("# mine\n")

    done(machine.run(first))
    assert machine.says() == said_by("1.0.0")
    assert code_of(machine.run(first, "--rollback")) == "no-previous"
    done(machine.run(second))
    assert machine.says() == said_by("1.1.0")
    done(machine.run(second))  # again: nothing changes
    assert machine.versions() == [identity(first), identity(second)]

    copy = machine.prefix / "current/install.sh"  # the bundle may be gone by then
    done(machine.run(copy.parent, "--rollback"))
    assert machine.says() == said_by("1.0.0")
    done(machine.run(copy.parent, "--rollback"))
    assert machine.says() == said_by("1.1.0")

    done(machine.run(third))
    assert machine.says() == said_by("1.2.0")
    assert machine.versions() == [identity(second), identity(third)]  # the first is pruned
    assert (machine.prefix / "previous").resolve().name == identity(second)

    removed = machine.run(copy.parent, "--uninstall")
    done(removed)
    assert f"kept {own.parent}" in removed.stdout
    assert machine.left() == [".config", ".config/edge-assistant", OWN_FILE]
    done(machine.run(third, "--uninstall", "--purge"))
    assert list(machine.home.iterdir()) == []


def test_folders_that_were_there_stay(machine: Machine, bundles: list[Path]) -> None:
    """And those that were made for it go: the home is as it was."""
    (machine.home / ".local/bin").mkdir(parents=True)
    (machine.home / ".cache/other").mkdir(parents=True)
    before = sorted(machine.home.rglob("*"))
    done(machine.run(bundles[0]))
    done(machine.run(bundles[0], "--uninstall"))
    assert sorted(machine.home.rglob("*")) == before
    done(machine.run(bundles[0], "--uninstall", "--purge"))
    assert sorted(machine.home.rglob("*")) == before


def test_what_is_installed(installed_home: Machine, bundles: list[Path]) -> None:
    version = (installed_home.prefix / "current").resolve()
    assert version == installed_home.prefix / "versions" / identity(bundles[0])
    names = {each.name for each in version.iterdir()}
    assert names == {
        *("venv", "bin", "models", "config", "services", "licences", "manifest.json"),
        *("sbom.cdx.json", "install.sh", "complete"),
    }
    compiled = version.glob("venv/lib/python*/site-packages/__pycache__/edge_assistant_little*")
    assert list(compiled)


def test_the_command_takes_its_own_models_unless_told_otherwise(
    installed_home: Machine, tmp_path: Path
) -> None:
    other = tmp_path / "starter/model.bin"
    other.parent.mkdir()
    other.write_text("mine")
    environ = {
        **installed_home.environ,
        "PYTHONPATH": str(tmp_path),
        "EDGE_ASSISTANT_MODELS_DIR": str(tmp_path),
        "EDGE_ASSISTANT_BUNDLE_CONFIG": "/nowhere",
    }
    (tmp_path / "edge_assistant_little.py").write_text("raise SystemExit(9)")
    said = subprocess.check_output([installed_home.command], env=environ, text=True)
    assert said.strip() == said_by("1.0.0").replace("models 1.0.0", "models mine")


@pytest.mark.parametrize("path", ["wheels/pip-", "models/", "config/", "install.sh", "SHA256SUMS"])
def test_a_changed_byte_is_refused(
    machine: Machine, bundles: list[Path], tmp_path: Path, path: str
) -> None:
    bundle = shutil.copytree(bundles[0], tmp_path / "bundle")
    files = (each for each in bundle.rglob("*") if each.is_file())
    file = next(each for each in files if path in f"{each.relative_to(bundle)}")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    run = machine.run(bundle)
    assert code_of(run) == "bundle-changed"
    assert file.name in run.stderr
    assert machine.left() == []
    assert code_of(machine.run(bundle, "--check")) == "bundle-changed"


def fill(path: Path) -> None:
    path.write_text("x")


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def name_another(path: Path) -> None:
    path.write_text(f"{path.read_text()}{'0' * 64}  ../x\n")


DAMAGE: Final[dict[str, Callable[[Path], None]]] = {
    "wheels/more.whl": fill,
    ".hidden": fill,
    "manifestXjson": fill,
    "a\nb": fill,
    "licences/link": link,
    "models/pipe": os.mkfifo,
    "services/edge-assistant.service": Path.unlink,
    "SHA256SUMS": name_another,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_too_many_or_too_few_is_refused(
    machine: Machine, bundles: list[Path], tmp_path: Path, name: str
) -> None:
    bundle = shutil.copytree(bundles[0], tmp_path / "bundle")
    DAMAGE[name](bundle / name)
    run = machine.run(bundle)
    assert code_of(run) == "bundle-changed"
    assert name.partition("\n")[0] in run.stderr
    assert machine.left() == []


def test_only_a_bundle_is_installed(machine: Machine, bundles: list[Path], tmp_path: Path) -> None:
    bundle = shutil.copytree(bundles[0], tmp_path / "bundle")
    assert machine.run(bundle, "--check").returncode == 0
    (bundle / "SHA256SUMS").unlink()
    assert code_of(machine.run(bundle)) == "bundle-incomplete"
    assert machine.left() == []


def test_without_a_home_places_have_to_be_named(
    machine: Machine, bundles: list[Path], tmp_path: Path
) -> None:
    """And what is installed can be removed without one."""
    del machine.environ["HOME"]
    place = ("--prefix", str(tmp_path / "place"))
    assert code_of(machine.run(bundles[0], *place)) == "home-missing"
    assert not (tmp_path / "place").exists()
    done(machine.run(bundles[0], *place, "--bin-dir", str(tmp_path / "bin")))
    own_copy = tmp_path / "place/current"
    assert code_of(machine.run(own_copy, "--rollback")) == "no-previous"
    (tmp_path / "place/mine").touch()
    removed = machine.run(own_copy, "--uninstall")
    done(removed)
    assert f"kept {tmp_path / 'place'}" in removed.stdout
    assert [each.name for each in (tmp_path / "place").iterdir()] == ["mine"]
    assert not (tmp_path / "bin").exists()  # it made that folder, too


def test_nobody_else_can_change_what_is_installed(machine: Machine, bundles: list[Path]) -> None:
    done(machine.run(bundles[0], before=("sh", "-c", 'umask 000; exec "$@"', "sh")))
    modes = (each.lstat().st_mode for each in machine.prefix.rglob("*") if not each.is_symlink())
    assert not [mode for mode in modes if mode & 0o022]


def test_two_at_once(machine: Machine, bundles: list[Path]) -> None:
    machine.prefix.mkdir(parents=True)
    lock = machine.prefix / ".edge-assistant.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert code_of(machine.run(bundles[0])) == "install-running"
        assert code_of(machine.run(bundles[0], "--uninstall")) == "install-running"
    assert machine.versions() == []
    done(machine.run(bundles[0], "--uninstall"))
    assert machine.left() == []


def test_what_a_killed_run_left_is_removed(machine: Machine, bundles: list[Path]) -> None:
    """Parts of a version, also of the one that is asked for, and a link that was not renamed."""
    for bundle in bundles[:2]:
        (machine.prefix / "versions" / identity(bundle) / "venv").mkdir(parents=True)
    (machine.prefix / ".edge-assistant.lock").touch()
    (machine.prefix / "current.new").symlink_to("versions/x")
    done(machine.run(bundles[0]))
    assert machine.says() == said_by("1.0.0")
    assert {each.name for each in machine.prefix.iterdir()} == {
        *("versions", "current", "command", ".edge-assistant.lock")
    }
    assert machine.versions() == [identity(bundles[0])]


def test_what_is_not_ours_is_left_alone(
    machine: Machine, bundles: list[Path], tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs/versions/1"
    theirs.mkdir(parents=True)
    for verb in ((), ("--uninstall",), ("--rollback",)):
        run = machine.run(bundles[0], *verb, "--prefix", str(theirs.parents[1]))
        assert code_of(run) == "prefix-in-use"
    assert theirs.is_dir()
    machine.command.parent.mkdir(parents=True)
    machine.command.write_text("theirs")
    run = machine.run(bundles[0])
    done(run)
    assert "warning [command-taken]" in run.stderr
    done(machine.run(bundles[0], "--uninstall"))
    assert machine.left() == [".local/bin/edge-assistant"]
    assert machine.command.read_text() == "theirs"


def test_uninstall_takes_away_the_services_that_were_switched_on(
    machine: Machine, bundles: list[Path]
) -> None:
    done(machine.run(bundles[0]))
    units = machine.home / ".config/systemd/user"
    (units / "default.target.wants").mkdir(parents=True)
    ours = machine.prefix / "current/services/edge-assistant.service"
    for link in ("edge-assistant.service", "default.target.wants/edge-assistant.service"):
        (units / link).symlink_to(ours)
    (units / "other.service").symlink_to("/usr/lib/other.service")
    done(machine.run(bundles[0], "--uninstall"))
    assert [each.name for each in units.rglob("*") if each.is_symlink()] == ["other.service"]


def test_the_shell_accepts_the_script(tmp_path: Path) -> None:
    script = tmp_path / install.NAME
    script.write_bytes(install.script())
    for shell in ("dash", "sh"):
        if found := shutil.which(shell):
            subprocess.run([found, "-n", script], check=True)
    if found := shutil.which("shellcheck"):
        subprocess.run([found, "-s", "sh", script], check=True)


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--prefix"], ["--purge"], ["--check", "--rollback"]]
)
def test_wrong_arguments(machine: Machine, bundles: list[Path], arguments: list[str]) -> None:
    run = machine.run(bundles[0], *arguments)
    assert code_of(run) == "usage"
    assert run.returncode == 2
