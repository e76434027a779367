"""`edge-assistant quantize`, as a person and as a script use it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Ended, Run, environ, run
from tests.fakes.model_files import ggml_whisper, ort_model
from tests.workshop.compare_models import quantize_on_path
from tests.workshop.llama_gguf import read_types, write_llama

__all__ = ["environ", "run"]


@pytest.fixture
def quantize(run: Run) -> Run:
    """The command, with `first` before our packages."""

    def command(*arguments: str | Path, first: Path | None = None) -> Ended:
        paths = [str(first), quantize_on_path()] if first else [quantize_on_path()]
        return run("quantize", *map(str, arguments), PYTHONPATH=os.pathsep.join(paths))

    return command


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_llama(tmp_path / "f16.gguf", dtype=np.float16)


def test_the_types_that_tensors_got_are_printed(
    quantize: Run, source: Path, tmp_path: Path
) -> None:
    ended = quantize(source, "out.gguf", "--type", "Q4_K_M")
    assert ended.code == 0, ended.err
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert {(kind, int(count)) for kind, count, *_ in rows} == {
        (kind, list(types.values()).count(kind))
        for types in [read_types(tmp_path / "out.gguf")]
        for kind in set(types.values())
    }
    assert "quantise ..." in ended.err
    assert "% of the source" in ended.err


def test_json_for_machines(quantize: Run, source: Path, tmp_path: Path) -> None:
    ended = quantize(source, "out.gguf", "--type", "q8_0", "--json")
    told = json.loads(ended.out)
    assert told["path"] == "out.gguf"
    assert told["size_bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert told["source_bytes"] == source.stat().st_size
    assert {each["type"] for each in told["types"]} == {"Q8_0", "F32"}


def test_with_a_text(quantize: Run, source: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("What is the weather like in London today? " * 20)
    ended = quantize(source, "out.gguf", "--type", "Q2_K_S", "--imatrix", text)
    assert ended.code == 0, ended.err
    assert "note: the importance matrix knows 14 of 14 weights" in ended.err


def test_errors_are_one_line_with_a_way_out(quantize: Run, source: Path, tmp_path: Path) -> None:
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
        ended = quantize(*arguments)
        assert f"error [{code}]:" in ended.err, ended
        assert ended.code == exit_code
        assert ended.out == ""
    assert not (tmp_path / "out.gguf").exists()


def test_without_the_extra_it_says_what_to_install(
    quantize: Run, source: Path, tmp_path: Path
) -> None:
    stand_in = tmp_path / "first" / "gguf.py"
    stand_in.parent.mkdir()
    stand_in.write_text("raise ModuleNotFoundError(\"No module named 'gguf'\")")
    ended = quantize(source, "out.gguf", "--type", "Q8_0", first=stand_in.parent)
    assert ended.code == 1
    assert "error [workshop-missing]:" in ended.err
    assert 'hint: pip install "edge-assistant[quantize]"' in ended.err


def test_wrong_usage_is_told_by_code_two(quantize: Run, source: Path) -> None:
    assert quantize(source, "out.gguf").code == 2
    assert quantize("--help").code == 0
