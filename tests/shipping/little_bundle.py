"""Unpacked bundles that are small, whole and quick to make: a wheel of two files, a model of one.

The program in the wheel says its own version and what the wrapper gave it, so that a mixture of
two versions would be seen.
"""

from __future__ import annotations

import atexit
import compileall
import ensurepip
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

from edge_assistant_packaging import install

PROGRAM: Final = """\
import os
from pathlib import Path

VERSION = "{version}"


def main():
    models = Path(os.environ["EDGE_ASSISTANT_MODELS_DIR"], "starter", "model.bin").read_text()
    config = Path(os.environ["EDGE_ASSISTANT_BUNDLE_CONFIG"]).read_text()
    print("edge-assistant, version", VERSION, "models", models.split()[0], config.strip())
"""


def build(folder: Path, version: str, *, number: int = 1, model_bytes: int = 2000) -> Path:
    """Make an unpacked bundle in the new folder `folder`; the same one for the same arguments."""
    _wheel(folder / "wheels", version)
    _write(folder / "wheels/requirements.txt", f"edge-assistant=={version}\n")
    pip = _compiled_pip()
    shutil.copyfile(pip, folder / "wheels" / pip.name)
    _write(folder / "models/starter/model.bin", f"{version} ".ljust(model_bytes, "x"))
    _write(folder / "config/config.toml", f"# config {version}\n")
    _write(folder / "services/edge-assistant.service", "[Service]\n")
    _write(folder / "licences/report.md", "none\n")
    _write(folder / "sbom.cdx.json", "{}\n")
    _write(folder / "install.sh", install.script().decode())
    (folder / "install.sh").chmod(0o755)
    seal(folder, version, number)
    return folder


def seal(folder: Path, version: str, number: int = 1, **changed: str) -> None:
    """Write SHA256SUMS and the manifest for what is there."""
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    paths = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*.*"))
    files = [path for path in paths if (folder / path).is_file()]
    _write(folder / "SHA256SUMS", "".join(f"{_sha256(folder / path)}  {path}\n" for path in files))
    entries = [
        {
            "is_executable": path == "install.sh",
            "path": path,
            "sha256": _sha256(folder / path),
            "size_bytes": (folder / path).stat().st_size,
        }
        for path in sorted([*files, "SHA256SUMS"])
    ]
    manifest = {
        "schema": 1,
        "name": "little",
        "version": version,
        "build": number,
        "platform": f"linux-{platform.machine()}",
        "profile": "starter",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "cpu_flags": 'none, "version":"9" is no flag',
        "is_permissive_only": True,
        "made_at_s": 0,
        "files": entries,
        **changed,
    }
    _write(
        folder / "manifest.json",
        json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n",
    )


def identity(folder: Path) -> str:
    """The name of the version's folder that this bundle is installed in."""
    raw = (folder / "manifest.json").read_bytes()
    facts = json.loads(raw)
    return f"{facts['version']}-{facts['build']}-{hashlib.sha256(raw).hexdigest()[:12]}"


class Machine:
    """A home of its own, in which bundles are installed."""

    def __init__(self, root: Path) -> None:
        self.home = root
        self.prefix = root / ".local/share/edge-assistant-app"
        self.command = root / ".local/bin/edge-assistant"
        self.environ = {
            **{
                name: value
                for name, value in os.environ.items()
                if name[:4] not in ("XDG_", "EDGE")
            },
            "HOME": str(root),
            "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        }

    def run(
        self, bundle: Path, *arguments: str, before: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a bundle's install.sh, as an argument of the program `before` if there is one."""
        return subprocess.run(
            [*before, "sh", str(bundle / "install.sh"), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def says(self) -> str:
        """What the installed command says; an error if it does not start."""
        return subprocess.run(
            [self.command, "--version"],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def versions(self) -> list[str]:
        """Names of the folders of versions."""
        folder = self.prefix / "versions"
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def left(self) -> list[str]:
        """Everything in the home, but for folders that are there in any home."""
        usual = {".local", ".local/share", ".local/bin"}
        paths = (each.relative_to(self.home).as_posix() for each in self.home.rglob("*"))
        return sorted(path for path in paths if path not in usual)


def said_by(version: str) -> str:
    """What a whole installation of this version says."""
    return f"edge-assistant, version {version} models {version} # config {version}"


def code_of(run: subprocess.CompletedProcess[str]) -> str:
    """The code of the error that it ended with, which has a way out below it."""
    found = re.search(r"^error \[([a-z-]+)\]: .+\nhint: .+", run.stderr, re.MULTILINE)
    assert found, run.stderr + run.stdout
    assert run.returncode != 0
    return found[1]


@functools.cache
def _compiled_pip() -> Path:
    """Python's own pip, compiled, which starts in a tenth of the time."""
    folder = Path(tempfile.mkdtemp(prefix="little-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (own,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    with zipfile.ZipFile(own) as wheel:
        wheel.extractall(folder / "pip")
    compileall.compile_dir(
        folder / "pip", quiet=2, legacy=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )
    return Path(shutil.make_archive(str(folder / own.name), "zip", folder / "pip")).rename(
        folder / own.name
    )


def _wheel(folder: Path, version: str) -> None:
    folder.mkdir(parents=True)
    info = f"edge_assistant-{version}.dist-info"
    members = {
        "edge_assistant_little.py": PROGRAM.format(version=version),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: edge-assistant\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": (
            "[console_scripts]\nedge-assistant = edge_assistant_little:main\n"
        ),
    }
    record = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"edge_assistant-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in {**members, f"{info}/RECORD": record}.items():
            wheel.writestr(zipfile.ZipInfo(name), text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
