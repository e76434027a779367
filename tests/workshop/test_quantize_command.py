"""`edge-assistant quantize`, as a person and as a script use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.fakes.model_files import ggml_whisper, ort_model
from tests.workshop.llama_gguf import read_types, write_llama

ROOT = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `edge-assistant quantize` in a folder of its own, with `first` before our packages."""

    def run_command(*arguments: str | Path, first: Path | None = None) -> Ended:
        paths = [*([str(first)] if first else []), str(ROOT), str(ROOT / "quantize")]
        done = subprocess.run(
            [sys.executable, "-m", "edge_assistant", "quantize", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1"},
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run_command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_llama(tmp_path / "f16.gguf", dtype=np.float16)


def test_the_types_that_tensors_got_are_printed(run: Run, source: Path, tmp_path: Path) -> None:
    ended = run(source, "out.gguf", "--type", "Q4_K_M")
    assert ended.code == 0, ended.err
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert {(kind, int(count)) for kind, count, *_ in rows} == {
        (kind, list(types.values()).count(kind))
        for types in [read_types(tmp_path / "out.gguf")]
        for kind in set(types.values())
    }
    assert "quantise ..." in ended.err
    assert "% of the source" in ended.err


def test_json_for_machines(run: Run, source: Path, tmp_path: Path) -> None:
    ended = run(source, "out.gguf", "--type", "q8_0", "--json")
    told = json.loads(ended.out)
    assert told["path"] == "out.gguf"
    assert told["size_bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert told["source_bytes"] == source.stat().st_size
    assert {each["type"] for each in told["types"]} == {"Q8_0", "F32"}


def test_with_a_text(run: Run, source: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("What is the weather like in London today? " * 20)
    ended = run(source, "out.gguf", "--type", "IQ2_M", "--imatrix", text)
    assert ended.code == 0, ended.err
    assert "note: the importance matrix knows 14 of 14 weights" in ended.err


def test_errors_are_one_line_with_a_way_out(run: Run, source: Path, tmp_path: Path) -> None:
    (tmp_path / "there.gguf").write_bytes(b"x")
    (tmp_path / "page.gguf").write_text("<html>not found</html>")
    (tmp_path / "whisper.bin").write_bytes(ggml_whisper())
    (tmp_path / "model.ort").write_bytes(ort_model())
    for arguments, code, exit_code in (
        ((source, "there.gguf", "--type", "Q8_0"), "output-exists", 1),
        ((source, "no/folder.gguf", "--type", "Q8_0"), "output-unwritable", 74),
        ((source, "out.gguf", "--type", "Q5"), "type-unknown", 1),
        ((source, "out.gguf", "--type", "F32"), "type-wider", 1),
        ((source, "out.gguf", "--type", "IQ2_M"), "imatrix-needed", 1),
        (("absent.gguf", "out.gguf", "--type", "Q8_0"), "file-missing", 74),
        (("page.gguf", "out.gguf", "--type", "Q8_0"), "wrong-format", 1),
        (("model.ort", "out.ort", "--type", "Q8_0"), "not-quantisable", 1),
        (
            ("whisper.bin", "out.bin", "--type", "q8_0", "--imatrix", "x"),
            "imatrix-not-for-this",
            1,
        ),
    ):
        ended = run(*arguments)
        assert f"error [{code}]:" in ended.err, ended
        assert ended.code == exit_code
        assert ended.out == ""
    assert not (tmp_path / "out.gguf").exists()


def test_without_the_extra_it_says_what_to_install(run: Run, source: Path, tmp_path: Path) -> None:
    stand_in = tmp_path / "first" / "gguf.py"
    stand_in.parent.mkdir()
    stand_in.write_text("raise ModuleNotFoundError(\"No module named 'gguf'\")")
    ended = run(source, "out.gguf", "--type", "Q8_0", first=stand_in.parent)
    assert ended.code == 1
    assert "error [workshop-missing]:" in ended.err
    assert 'hint: pip install "edge-assistant[quantize]"' in ended.err


def test_wrong_usage_is_told_by_code_two(run: Run, source: Path) -> None:
    assert run(source, "out.gguf").code == 2
    assert run("--help").code == 0
