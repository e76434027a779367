"""The baseline build: its commit, its tree, its own environment, made for real but small."""

from __future__ import annotations

import importlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_assistant.bench.gate import read_limits
from edge_assistant.cli.examination import asked_systems

ROOT = Path(__file__).resolve().parents[2]

BOOTSTRAP = """\
# Like ours: it makes a .venv in the folder that it lies in, with the tree's own program in it.
import os, subprocess, sys
from pathlib import Path
assert sys.argv[1:] == ["setup"], sys.argv
assert not any(name.startswith("PYTHON") for name in os.environ)
root = Path(__file__).resolve().parent.parent
(root / ".venv" / "stamps").mkdir(parents=True, exist_ok=True)
if not (root / ".venv" / "bin").exists():
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    (site,) = (root / ".venv").glob("lib/python*/site-packages")
    (site / "edge_assistant.pth").write_text(str(root))
with (root / "calls").open("a") as calls:
    print(Path(os.environ["PIP_CONSTRAINT"]).read_text().split(), file=calls)
"""
PROJECT = '[project]\nname = "edge-assistant"\ndependencies = ["numpy>=1", "click>=8"]\n'


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Our packaging/baseline.py; scripts there import each other as neighbours."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    names = ("bootstrap", "baseline", "gate")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name)


@pytest.fixture
def baseline(scripts: dict[str, Any]) -> Any:
    return scripts["baseline"]


def git(checkout: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(checkout), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(checkout: Path, version: str) -> str:
    (checkout / "edge_assistant" / "__main__.py").write_text(f"print('version {version}')\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", version)
    return git(checkout, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path, scripts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository with a program in two versions, in the place of ours."""
    root = tmp_path / "checkout"
    for name in ("edge_assistant", "packaging"):
        (root / name).mkdir(parents=True)
    (root / "packaging" / "bootstrap.py").write_text(BOOTSTRAP)
    (root / "pyproject.toml").write_text(PROJECT)
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    places = {"ROOT": root, "VENV": root / ".venv", "STAMPS": root / ".venv" / "stamps"}
    for name, place in {**places, "BIN": root / ".venv" / "bin"}.items():
        monkeypatch.setattr(scripts["bootstrap"], name, place)
    monkeypatch.setattr(scripts["baseline"], "BUILDS", root / "build" / "baseline")
    return root


def test_the_pinned_commit_is_one_of_ours(baseline: Any) -> None:
    pinned = baseline.pinned()
    assert len(pinned) == 40
    if (ROOT / ".git").exists() and git(ROOT, "rev-parse", "--is-shallow-repository") == "false":
        assert baseline.resolve(pinned) == pinned


def test_the_old_build_runs_in_its_own_environment(
    checkout: Path,
    baseline: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = commit(checkout, "old")
    commit(checkout, "new")
    # Neither the working directory nor PYTHONPATH may lead it to the new one.
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    assert baseline.main([old]) == 0
    flag, system = shlex.split(capsys.readouterr().out)
    name, _, command = system.partition("=")
    assert (flag, name) == ("--system", "baseline")
    folder = checkout / "build" / "baseline" / old[:12]
    assert shlex.split(command)[0] == str(folder / ".venv" / "bin" / "python")
    said = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
    assert said == "version old\n"
    assert (checkout / "edge_assistant" / "__main__.py").read_text() == "print('version new')\n"
    [asked] = asked_systems([system], False)
    assert (asked.name, asked.takes_events) == ("baseline", True)
    assert list(asked.command) == shlex.split(command)


def test_what_is_there_is_kept_and_nothing_else_is_touched(checkout: Path, baseline: Any) -> None:
    old = commit(checkout, "old")
    folder = baseline.make("HEAD")
    assert (folder / "calls").read_text() == "[]\n"
    assert baseline.make(old, folder) == folder
    assert (folder / "calls").read_text() == "[]\n[]\n"
    new = commit(checkout, "new")
    with pytest.raises(Exception, match="holds something else"):
        baseline.make(new, folder)
    theirs = checkout.parent / "theirs"
    theirs.mkdir()
    (theirs / "letter").write_text("dear")
    with pytest.raises(Exception, match="holds something else"):
        baseline.make(new, theirs)
    assert [path.name for path in theirs.iterdir()] == ["letter"]


def test_a_tree_that_was_half_unpacked_is_unpacked_again(checkout: Path, baseline: Any) -> None:
    old = commit(checkout, "old")
    folder = checkout / "build" / "baseline" / old[:12]
    half = folder.with_name(f"{folder.name}.part")
    half.mkdir(parents=True)
    (half / "left over").write_text("")
    baseline.unpack(old, folder)
    assert not half.exists()
    names = {path.name for path in folder.iterdir()}
    assert names == {".baseline", "edge_assistant", "packaging", "pyproject.toml"}


@pytest.mark.parametrize("ref", ["nonsense", "main~7"])
def test_a_commit_that_is_not_there(
    checkout: Path, baseline: Any, ref: str, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(checkout, "old")
    assert baseline.main([ref]) == 1
    said = capsys.readouterr().err
    assert f"there is no commit {ref}" in said
    assert "git fetch" in said
    assert not (checkout / "build").exists()


def test_a_commit_that_cannot_set_itself_up(
    checkout: Path, baseline: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "packaging" / "bootstrap.py").write_text("import sys; sys.exit(3)")
    commit(checkout, "broken")
    assert baseline.main(["HEAD"]) == 1
    assert "could not be set up" in capsys.readouterr().err
    (checkout / "packaging" / "bootstrap.py").unlink()
    commit(checkout, "older")
    assert baseline.main(["HEAD"]) == 1
    assert "has no packaging/bootstrap.py" in capsys.readouterr().err


def test_both_builds_get_the_same_versions_of_what_both_ask_for_alike(baseline: Any) -> None:
    frozen = ["numpy==2.0", "Ruamel_YAML==1.0", "click==8.1", "rich==14.0", "x @ file:///x"]
    ours = {"dependencies": ["numpy>=1", "ruamel.yaml>=1,<2", "click>=8"]}
    theirs = {"dependencies": ["numpy>=1", "ruamel.yaml>=0.9", "msgspec>=1"]}
    assert baseline.constraints_of(frozen, ours, theirs) == ["numpy==2.0", "rich==14.0"]
    assert baseline.constraints_of(frozen, ours, ours) == frozen[:-1]


def test_other_versions_set_the_environment_up_anew(checkout: Path, baseline: Any) -> None:
    stamps = checkout / ".venv" / "stamps"
    stamps.mkdir(parents=True)
    (stamps / "package").write_text("done")
    file = baseline.constrain(checkout, ["numpy==2.0"])
    assert file.read_text() == "numpy==2.0\n"
    assert not stamps.exists()
    stamps.mkdir()
    baseline.constrain(checkout, ["numpy==2.0"])
    assert stamps.exists()
    baseline.constrain(checkout, ["numpy==2.1"])
    assert not stamps.exists()


def test_the_gate_runs_both_builds_and_judges_them(scripts: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    run, judge = scripts["gate"].commands(tmp_path / "old", out, 20)
    systems = [run[at + 1] for at, word in enumerate(run) if word == "--system"]
    assert [each.name for each in asked_systems(systems, False)] == ["baseline", "candidate"]
    assert str(tmp_path / "old" / ".venv") in systems[0]
    assert str(ROOT / ".venv") in systems[1]
    asked = run[run.index("--scenarios") + 1].split(",")
    assert set(asked) == {limit.scenario for limit in read_limits()} - {""}
    assert run[run.index("--count") + 1] == "20"
    assert judge[-2:] == ["gate", str(out)]
    out.mkdir()
    (out / "plan.json").write_text("{}")
    again, _ = scripts["gate"].commands(tmp_path / "old", out, 20)
    assert again[-3:] == ["--resume", "-o", str(out)]


def test_the_gate_has_a_make_target() -> None:
    make = ["make", "--dry-run", "--directory", str(ROOT), "gate", "ARGS=--count 40"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    planned = subprocess.run(make, env=environ, capture_output=True, text=True, check=True).stdout
    assert "packaging/gate.py --count 40" in planned
