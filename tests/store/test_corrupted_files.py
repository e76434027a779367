"""No spoiled file gets past the store, and the good ones do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_assistant.errors import ModelCorrupt, ModelError
from edge_assistant.store.headers import inspect
from edge_assistant.store.headers.info import Form
from tests.fakes.model_files import GOOD, HTML, corruptions
from tests.store.build import store_of
from tests.store.corrupted import PER_FORMAT, run

FORMS: dict[str, Form] = {
    "model.bin": "ggml",
    "model.gguf": "gguf",
    "model.onnx": "onnx",
    "model.ort": "ort",
}


def test_two_hundred_spoiled_files_are_refused_and_the_good_ones_are_not(tmp_path: Path) -> None:
    outcome = run(tmp_path)
    assert outcome.spoiled == 4 * PER_FORMAT == 200
    assert outcome.accepted == []
    assert outcome.refused == 200
    assert outcome.accepted_good == outcome.good == 8
    assert outcome.without_way_out == []


def test_opening_a_listed_model_loads_no_native_library(tmp_path: Path) -> None:
    """In a process of its own, because other tests of this one do load them."""
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.fakes.model_files import gguf_llama\n"
        "from tests.store.build import entry, file_spec, install, store_of\n"
        "from tests.store.corrupted import NATIVE\n"
        "spec = file_spec('model.gguf', gguf_llama())\n"
        "store = store_of(Path(sys.argv[1]), entry('a', 'llm', 'llamacpp', spec))\n"
        "install(store, 'a', gguf_llama); store.open('a')\n"
        "print([name for name in NATIVE if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"[]\n", b"")


@pytest.mark.parametrize("name", GOOD)
def test_the_header_alone_finds_truncation_wrong_type_and_pages(name: str, tmp_path: Path) -> None:
    """What protects a file that nobody has a hash of; flipped weights are for the hash to find."""
    path = tmp_path / name
    path.write_bytes(GOOD[name]())
    assert inspect(path, FORMS[name]).form == FORMS[name]
    accepted = []
    for what, data in corruptions(name, 120, seed=7):
        path.write_bytes(data)
        try:
            inspect(path, FORMS[name])
        except ModelCorrupt:
            continue
        accepted.append(what)
    harmless = {what for what in accepted if what.startswith("bit") or what == "tail added"}
    if name == "model.ort":
        # A flatbuffer ends in padding, which is part of nothing.
        size = len(GOOD[name]())
        harmless |= {"last byte missing", *(f"truncated at {size - cut}" for cut in range(1, 8))}
    assert set(accepted) <= harmless


@pytest.mark.parametrize("name", GOOD)
def test_a_spoiled_file_that_the_user_names_is_refused_without_running_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("native code would have seen it")

    monkeypatch.setattr("edge_assistant.store.unlisted.run_once", never)
    store = store_of(tmp_path / "store")
    path = tmp_path / name
    for what, data in (("page", HTML), ("empty", b""), ("half", GOOD[name]()[:500])):
        path.write_bytes(data)
        with pytest.raises(ModelError) as caught:
            store.open(path, kind="vad" if name == "model.onnx" else None)
        assert caught.value.code in ("wrong-format", "header-invalid", "kind-unknown"), what
        assert caught.value.hint, what
