"""The plan of the house, enforced: every rule of `architecture`, and that it finds a breach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import (
    LOADED_ONLY_WHEN_USED,
    MAX_BROAD_EXCEPTS,
    PACKAGE,
    ROOT,
    SHIPPING,
    WORKSHOP,
    breaches,
)


def test_the_house_is_as_planned() -> None:
    assert breaches(ROOT) == []


def test_no_package_of_ours_hides_another() -> None:
    """`packaging` is also the name of a package that half of the tools import."""
    for folder in ("models", "quantize", "packaging"):
        assert not (ROOT / folder / "__init__.py").exists()


BROKEN: Final = {
    "sibling": ("vad/x.py", "from edge_assistant.stt.protocol import Transcript\n", "vad imports"),
    "sibling room": ("vad/x.py", "from edge_assistant import stt\n", "vad imports stt"),
    "nested": ("llm/x.py", "def f():\n    import edge_assistant.store.store\n", "llm imports"),
    "upwards": ("turns/x.py", "from edge_assistant.pipeline import assistant\n", "turns imports"),
    "not a value": ("turns/x.py", "from edge_assistant.stt import moonshine\n", "turns imports"),
    "config": ("llm/x.py", "from edge_assistant.config import Config\n", "llm imports config"),
    "relative": ("llm/x.py", "from . import prompt\n", "llm imports (relative"),
    "examiner": ("bench/x.py", "from edge_assistant.turns import floor\n", "bench imports turns"),
    "new room": ("attic/x.py", "", "a room that the plan does not know"),
    "engine": (
        "stt/x.py",
        "try:\n    import onnxruntime as ort\nexcept ImportError:\n    pass\n",
        "with the module",
    ),
    "long module": ("stt/x.py", "x = 1\n" * 401, "module of 401 lines"),
    "long function": ("stt/x.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    "print": ("stt/x.py", "print(1)\n", "print outside"),
    "wall clock": ("stt/x.py", "import time\nt = time.time()\n", "time.time()"),
    "queue": ("stt/x.py", "import queue\nq = queue.Queue()\n", "without a bound"),
    "queue of 0": ("stt/x.py", "import queue\nq = queue.Queue(maxsize=0)\n", "without a bound"),
    "name": ("stt/x.py", "def f(wait_sec):\n    return wait_sec\n", "wait_sec does not end"),
    "late type": ("stt/x.py", "x = msgspec.json.decode(b'', type=A)\n", "a msgspec.json.Decoder"),
    "late convert": ("stt/x.py", "x = msgspec.convert(raw, A)\n", "no decoder of the module's"),
    "broad": ("stt/x.py", "try:\n    x = 1\nexcept Exception:\n    pass\n", "without a reason"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_breach_is_found(tmp_path: Path, case: str) -> None:
    place, text, expected = BROKEN[case]
    file = tmp_path / PACKAGE / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (breach,) = breaches(tmp_path)
    assert breach.startswith(f"{PACKAGE}/{place}:")
    assert expected in breach


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        (f"{PACKAGE}/fit/x.py", f"import {WORKSHOP}.made\n", "fit imports the workshop"),
        (f"{PACKAGE}/store/x.py", f"from {WORKSHOP} import made\n", "store imports the workshop"),
        (f"quantize/{WORKSHOP}/llm/x.py", f"from {WORKSHOP} import whisper\n", "imports whisper"),
        (f"quantize/{WORKSHOP}/x.py", f"import {WORKSHOP}.llm.types\n", "imports llm.types"),
        (f"quantize/{WORKSHOP}/x.py", "from edge_assistant import turns\n", "imports turns"),
        (f"quantize/{WORKSHOP}/attic/x.py", "", "does not know"),
        (f"quantize/{WORKSHOP}/x.py", f"import {SHIPPING}.manifest\n", "imports what ships it"),
        (f"{PACKAGE}/store/x.py", f"from {SHIPPING} import errors\n", "imports what ships it"),
    ],
)
def test_a_breach_by_the_workshop_is_found(
    tmp_path: Path, place: str, text: str, expected: str
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (breach,) = breaches(tmp_path)
    assert breach.startswith(f"{place}:")
    assert expected in breach


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception:  # why\n    pass\n",
        "except BaseException:  # why\n    raise\n",
        "except (OSError, Exception):  # why\n    pass\n",
        "except:  # why\n    raise\n",
    ],
)
def test_too_many_broad_excepts_are_found(tmp_path: Path, handler: str) -> None:
    file = tmp_path / PACKAGE / "stt" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(f"try:\n    x = 1\n{handler}" * (MAX_BROAD_EXCEPTS + 1))
    (breach,) = breaches(tmp_path)
    assert "broad excepts in all" in breach


def test_sound_code_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / PACKAGE / "pipeline" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import queue\n"
        "from edge_assistant import config, stt\n"
        "from edge_assistant.turns.floor import step\n"
        "def f():\n"
        "    import onnxruntime\n"
        "    wait_s = 1.0\n"
        "    return queue.Queue(8), queue.Queue(maxsize=8)\n"
    )
    assert breaches(tmp_path) == []


@pytest.mark.parametrize(
    "program",
    [
        "import edge_assistant",
        "from edge_assistant.cli.main import run_command; assert run_command(['--help']) == 0",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(program: str) -> None:
    """`import edge_assistant` costs nothing, and `--help` answers at once."""
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{program}\nimport json, sys; print(json.dumps(list(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    loaded = {name.partition(".")[0] for name in json.loads(child.stdout.splitlines()[-1])}
    assert loaded & LOADED_ONLY_WHEN_USED == set()
