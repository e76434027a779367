"""The child process dies of what would have killed us."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edge_assistant.errors import ModelIncompatible
from edge_assistant.store.headers import Form, inspect
from edge_assistant.store.trial import run_once
from tests.fakes.model_files import GOOD, ggml_whisper, gguf_llama, piper_config
from tests.store.build import store_of


@pytest.mark.parametrize("name", GOOD)
def test_good_files_are_loaded_and_run(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name]())
    run_once(path, inspect(path).form)


def test_a_ggml_file_that_kills_whisper_cpp_kills_only_the_child(tmp_path: Path) -> None:
    """A saved page instead of a model: the constructor accepts it, `transcribe` is a segfault."""
    path = tmp_path / "hostile.bin"
    path.write_bytes(b"<!DOCTYPE html>" * 100)
    with pytest.raises(ModelIncompatible) as caught:
        run_once(path, "ggml")  # past our own parser, which would have refused it
    assert caught.value.code == "preflight-failed"
    if os.name == "posix":
        assert "ended by SIG" in caught.value.message


def test_a_file_with_a_valid_header_that_the_library_refuses_is_incompatible(
    tmp_path: Path,
) -> None:
    """An architecture that llama.cpp does not know: the header holds, the load fails."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(gguf_llama().replace(b"llama", b"lxxma"))
    store = store_of(tmp_path / "store")
    with pytest.raises(ModelIncompatible, match="could not be loaded") as caught:
        store.open(path)
    assert caught.value.code == "preflight-failed"
    assert caught.value.hint


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.gguf"
    good = gguf_llama(kind=0)
    path.write_bytes(good.replace(struct.pack("<f", 0.01), struct.pack("<f", float("nan"))))
    with pytest.raises(ModelIncompatible):
        run_once(path, "gguf")


def test_a_child_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stand-in for numpy that never returns, found before the real one.
    (tmp_path / "numpy.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_llama())
    with pytest.raises(ModelIncompatible) as caught:
        run_once(path, "gguf", timeout_s=1.0)
    assert caught.value.code == "preflight-timeout"


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is for Linux")
def test_memory_and_core_files_are_bounded() -> None:
    program = (
        "import resource; from edge_assistant.store.preflight import limit\n"
        "limit(1 << 30)\n"
        "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
        "try: bytearray(2 << 30)\n"
        "except MemoryError: print('bounded')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"bounded\n"


def test_an_unlisted_file_is_run_once_and_then_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my.gguf"
    path.write_bytes(gguf_llama(template="{{ '<|im_start|>' }}"))
    runs: list[Path] = []

    def counted(path: Path, form: Form) -> str:
        runs.append(path)
        return run_once(path, form)

    monkeypatch.setattr("edge_assistant.store.unlisted.run_once", counted)
    store = store_of(tmp_path / "store")
    model = store.open(path)
    assert (model.entry.kind, model.entry.template, model.path) == ("llm", "chatml", path)
    store.open(str(path))
    assert runs == [path]
    path.write_bytes(gguf_llama(kind=0))
    store.open(path)
    assert len(runs) == 2, "other bytes are another file"


def test_a_voice_needs_its_json(tmp_path: Path) -> None:
    voice = tmp_path / "voice.onnx"
    voice.write_bytes(GOOD["model.onnx"]())
    store = store_of(tmp_path / "store")
    with pytest.raises(ModelIncompatible, match="does not say what for"):
        store.open(voice)
    (tmp_path / "voice.onnx.json").write_bytes(piper_config())
    model = store.open(voice)
    assert model.entry.engine == "piper"
    assert set(model.paths) == {"voice.onnx", "voice.onnx.json"}
    with pytest.raises(ModelIncompatible, match="does not say llm"):
        store.open(voice, kind="llm")


def test_a_ggml_file_of_the_user_is_a_recogniser(tmp_path: Path) -> None:
    path = tmp_path / "ggml-mine.bin"
    path.write_bytes(ggml_whisper(ftype=9))
    model = store_of(tmp_path / "store").open(path, kind="stt")
    assert (model.entry.kind, model.entry.engine) == ("stt", "whispercpp")
    with pytest.raises(ModelIncompatible) as caught:
        store_of(tmp_path / "store").open(path, kind="llm")
    assert caught.value.code == "wrong-kind"
