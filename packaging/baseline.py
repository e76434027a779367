"""Makes the baseline build, in a folder and an environment of its own, and says how to bench it.

    python packaging/baseline.py [REF] [--folder DIR]

The tree of REF sets itself up with its own bootstrap.py, so a baseline is built as it was built
then: its own `.venv`, the llama.cpp that it asks for (quick, once pip has that wheel in its cache)
and its own models, from the store that all builds share. What both builds require in the same words
gets the versions that this checkout has, so that they differ by what was changed and not by what
was released in between.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bootstrap

PIN = Path(__file__).resolve().with_name("baseline.txt")
BUILDS = bootstrap.ROOT / "build" / "baseline"
MARK = ".baseline"
"""File that says which commit a folder was unpacked from."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="baseline.py", description="Make the baseline build.")
    parser.add_argument("ref", nargs="?", help="a commit; without it: the one in baseline.txt")
    parser.add_argument("--folder", type=Path, help="where; without it: build/baseline/COMMIT")
    asked = parser.parse_args(argv)
    try:
        bootstrap.check_python()
        folder = make(asked.ref or pinned(), asked.folder)
    except bootstrap.SetupFailed as failure:
        print(f"\nbaseline failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next run goes on from here", file=sys.stderr)
        return 130
    print(f"--system {shlex.quote(system('baseline', folder))}")
    return 0


def make(ref: str, folder: Path | None = None) -> Path:
    """Unpack `ref` and set it up; what is there already is kept. Its folder."""
    commit = resolve(ref)
    folder = (folder or BUILDS / commit[:12]).resolve()
    if git("cat-file", "-e", f"{commit}:packaging/bootstrap.py").returncode != 0:
        raise bootstrap.SetupFailed(f"{ref} has no packaging/bootstrap.py: choose a newer commit")
    unpack(commit, folder)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environ["PIP_CONSTRAINT"] = str(constrain(folder, shared_versions(folder)))
    bootstrap.say(f"Setting up the baseline {commit[:12]} in {folder}")
    command = [sys.executable, str(folder / "packaging" / "bootstrap.py"), "setup"]
    if subprocess.call(command, env=environ) != 0:
        raise bootstrap.SetupFailed(f"{ref} could not be set up (see above)")
    return folder


def system(name: str, folder: Path) -> str:
    """What `bench --system` takes for the build in `folder`.

    -I: neither PYTHONPATH nor the working directory may put another tree in the place of its own.
    """
    python = folder / Path(bootstrap.python()).relative_to(bootstrap.ROOT)
    command = [str(python), "-I", "-m", "edge_assistant", "converse", "--pipe"]
    return f"{name}={shlex.join(command)}"


def pinned() -> str:
    """The commit in baseline.txt: its only line that is no comment."""
    lines = [line.strip() for line in PIN.read_text("utf-8").splitlines()]
    refs = [line for line in lines if line and not line.startswith("#")]
    if len(refs) != 1:
        raise bootstrap.SetupFailed(f"{PIN} must name one commit and names {len(refs)}")
    return refs[0]


def resolve(ref: str) -> str:
    """The commit's full name."""
    found = git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if found.returncode != 0:
        raise bootstrap.SetupFailed(
            f"there is no commit {ref} in {bootstrap.ROOT}: "
            "a baseline needs the history (git fetch --unshallow, git fetch --tags)"
        )
    return found.stdout.strip()


def unpack(commit: str, folder: Path) -> None:
    """The tree of `commit` in `folder`, whole or not at all."""
    mark = folder / MARK
    if mark.exists() and mark.read_text().strip() == commit:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise bootstrap.SetupFailed(
            f"{folder} holds something else than {commit[:12]}: remove it, or choose another folder"
        )
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    archive = draft / "tree.zip"
    packed = git("archive", "--format=zip", f"--output={archive}", commit)
    if packed.returncode != 0:
        raise bootstrap.SetupFailed(f"git archive: {packed.stderr.strip()}")
    with zipfile.ZipFile(archive) as tree:
        tree.extractall(draft)
    archive.unlink()
    (draft / MARK).write_text(f"{commit}\n")
    draft.replace(folder)


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git on the checkout."""
    command = ["git", "-C", str(bootstrap.ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise bootstrap.SetupFailed("git is missing: sudo apt install git") from error


def constrain(folder: Path, versions: list[str]) -> Path:
    """The file of `versions` for pip; where they are others than last time, all is set up anew."""
    file = folder / "constraints.txt"
    text = "".join(f"{line}\n" for line in versions)
    if not file.exists() or file.read_text() != text:
        shutil.rmtree(folder / bootstrap.STAMPS.relative_to(bootstrap.ROOT), ignore_errors=True)
        file.write_text(text)
    return file


def shared_versions(folder: Path) -> list[str]:
    """`name==version` of what this checkout's environment holds and both builds ask for alike."""
    import tomllib

    if not bootstrap.has_venv():
        return []
    command = bootstrap.pip("freeze", "--exclude-editable")
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return constraints_of(frozen.splitlines(), bootstrap.project_table(), theirs)


def constraints_of(frozen: list[str], ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The frozen versions, but of what only one of the two asks for, or in other words."""
    changed = set(ours["dependencies"]) ^ set(theirs["dependencies"])
    free = {name_of(each) for each in changed}
    return [line for line in frozen if "==" in line and name_of(line) not in free]


def name_of(requirement: str) -> str:
    """A project's name as pip compares it."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
