"""`edge-assistant export` and the ONNX part of `edge-assistant quantize`, from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edge_assistant_quantize.errors import WorkshopError

from edge_assistant.cli.verbs import cli
from tests.engines.piper_vits import TINY
from tests.workshop.piper_voice import weights_of, write_named_voice
from tests.workshop.torch_zip import write_checkpoint


def call(*arguments: object) -> Result:
    """Run one command; errors of ours come through, as the top level expects."""
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_voice(tmp_path_factory.mktemp("voice"), TINY)


def test_a_voice_as_ort_and_in_halves(voice: Path, tmp_path: Path) -> None:
    ended = call("export", voice, tmp_path / "voice.ort", "--to", "ort")
    assert ended.exit_code == 0
    assert ended.stdout.startswith("float32\t")
    assert "difference over 3 runs of phonemes" in ended.stderr
    split = call("export", voice, tmp_path / "voice.onnx", "--to", "split", "--json")
    made: list[dict[str, Any]] = json.loads(split.stdout)
    assert [Path(each["path"]).name for each in made] == [
        "voice-encoder.onnx",
        "voice-decoder.onnx",
    ]
    assert all(Path(each["path"]).stat().st_size == each["size_bytes"] for each in made)


def test_a_checkpoint_as_onnx(voice: Path, tmp_path: Path) -> None:
    tensors = {f"model_g.{name}": each for name, each in weights_of(voice, TINY).items()}
    checkpoint = write_checkpoint(tmp_path / "last.ckpt", tensors)
    ended = call("export", checkpoint, tmp_path / "mine.onnx", "--to", "onnx", "--like", voice)
    assert ended.exit_code == 0
    assert (tmp_path / "mine.onnx.json").is_file()
    assert "max 0.00e+00" in ended.stderr


def test_wrong_usage_is_told(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    assert call("export", voice, out, "--to", "onnx").exit_code == 2
    assert call("export", voice, out, "--to", "split", "--like", voice).exit_code == 2
    with pytest.raises(WorkshopError) as caught:
        call("export", voice, out, "--to", "ort")
    assert caught.value.code == "wrong-suffix"
    assert list(tmp_path.iterdir()) == []
