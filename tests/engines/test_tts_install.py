"""espeak-ng where it is hard to find: a deep folder, no package, no library at all."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.engines.piper_file import write_piper_voice

SPEAK = """
import sys
from pathlib import Path
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelNotFound
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.piper import PiperTts
try:
    voice = PiperTts(*map(Path, sys.argv[1:])) if sys.argv[1:] else EspeakVoice("de")
    print(sum(len(chunk.samples) for chunk in voice.synthesize("Hallo Welt.", CancelToken())))
except ModelNotFound as error:
    print(error.code)
"""


def run_with(first_on_path: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(first_on_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", SPEAK, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.strip()


def installed(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def mirror(source: Path, target: Path) -> None:
    """The same package under another path; files are linked, folders are made."""
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        elif "__pycache__" not in path.parts:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)


@pytest.mark.parametrize("package", ["espeakng_loader", "piper"])
def test_a_deep_virtual_environment_works(tmp_path: Path, package: str) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / ("f" * 60)
    mirror(installed(package), deep / package)
    voice = write_piper_voice(tmp_path) if package == "piper" else ()
    assert int(run_with(deep, *map(str, voice))) > 10_000


def test_without_the_package_the_system_is_asked_and_an_error_names_both(tmp_path: Path) -> None:
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError('not here')")
    answer = run_with(tmp_path)
    assert answer == "espeak-not-installed" or int(answer) > 10_000
