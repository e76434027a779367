"""`edge-assistant convert` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from edge_assistant_quantize.llama import convert as converter
from edge_assistant_quantize.llama import tensors

from edge_assistant.cli import workshop as door
from edge_assistant.cli.convert import convert
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.headers import inspect
from tests.workshop.tiny_llama import Variant, write_tiny_llama

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments: str | Path) -> Result:
    """Run the command; errors of ours come through, as the top level expects."""
    return CliRunner().invoke(convert, [str(each) for each in arguments], catch_exceptions=False)


def test_a_checkpoint_becomes_a_file_that_was_checked(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "tiny", Variant(pre="qwen2", architecture="qwen2"))
    done = call(folder, tmp_path / "tiny.gguf", "--check")
    assert done.exit_code == 0
    lines = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    assert lines["F16"].startswith("15\t")
    assert lines["texts_same"] == lines["texts"]
    assert float(lines["max_difference"]) < 0.03 * float(lines["spread"])
    assert "NFC" in done.stderr
    assert inspect(tmp_path / "tiny.gguf").summary.startswith("qwen2, 2 layers")


def test_json(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "tiny")
    output = tmp_path / "tiny.gguf"
    done = call(folder, output, "--type", "f32", "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["path"] == str(output)
    assert answer["size_bytes"] == output.stat().st_size
    assert [each["type"] for each in answer["types"]] == ["F32"]
    assert answer["agreement"] is None
    answer = json.loads(call(folder, output, "--overwrite", "--check", "--json").stdout)
    assert answer["agreement"]["texts_same"] == answer["agreement"]["texts"]


def test_a_wrong_conversion_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the converter itself is broken: it no longer permutes."""
    assert vars(converter)["paired"] is tensors.paired
    monkeypatch.setattr(converter, "paired", lambda rows, heads: rows)
    folder = write_tiny_llama(tmp_path / "tiny", Variant(is_tied=False))
    with pytest.raises(EdgeAssistantError) as caught:
        call(folder, tmp_path / "tiny.gguf", "--check")
    assert caught.value.code == "conversion-differs"
    assert "logits differ" in caught.value.message


def test_a_whisper_goes_to_its_own_converter(tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    config = {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}
    (folder / "config.json").write_text(json.dumps(config))
    for arguments in (["--type", "f32"], ["--check"]):
        ended = call(folder, tmp_path / "out.bin", *arguments)
        assert ended.exit_code == click.UsageError.exit_code


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)  # as if it were not there
    monkeypatch.delitem(sys.modules, "edge_assistant_quantize.llama.convert", raising=False)
    with pytest.raises(EdgeAssistantError) as caught:
        door.workshop("llama.convert")
    assert caught.value.code == "workshop-missing"
    assert 'pip install "edge-assistant[quantize]"' in caught.value.hint


@pytest.mark.parametrize(
    ("config", "code", "status"),
    [
        (None, "file-missing", 74),
        ('{"architectures": ["T5"]}', "architecture-unknown", 1),
        ("{", "json-invalid", 1),
    ],
)
def test_a_person_gets_one_line_and_a_way_out(
    config: str | None, code: str, status: int, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    command = [sys.executable, "-m", "edge_assistant", "convert", str(tmp_path), "out.gguf"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'quantize'}", "HOME": str(tmp_path), "NO_COLOR": "1"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"error [{code}]:")
    assert lines[1].startswith("hint: ")
    assert not (tmp_path / "out.gguf").exists()
