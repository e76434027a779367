"""Files of the user's own: vetted, copied, pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_assistant.errors import ModelCorrupt, ModelError, ModelNotFound
from edge_assistant.store import Store
from edge_assistant.store.adding import Told
from tests.fakes.model_files import (
    ggml_whisper,
    gguf,
    gguf_llama,
    llama_keys,
    llama_tensors,
    onnx_model,
    piper_config,
)
from tests.store.build import entry, file_spec, install, store_of, unknown_spec

LLAMA = gguf_llama()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A catalog of one language model whose bytes are known."""
    spec = file_spec("llama.gguf", LLAMA)
    return store_of(tmp_path / "store", entry("a-llama", "llm", "llamacpp", spec))


def test_a_file_put_there_by_hand_is_vetted_and_then_pinned(tmp_path: Path) -> None:
    spec = unknown_spec("w.bin", "hf:owner/repo@main/w.bin")
    store = store_of(tmp_path, entry("w", "stt", "whispercpp", spec))
    path = install(store, "w", ggml_whisper)
    assert store.open("w").path == path
    path.write_bytes(ggml_whisper(ftype=9))  # sound too, but not what was pinned
    with pytest.raises(ModelCorrupt):
        store.open("w")


def test_adding_a_file_of_ones_own(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "My Model (v2).gguf"
    mine.write_bytes(gguf_llama(kind=0))
    with pytest.raises(ModelError) as caught:
        store.add(mine)
    assert caught.value.code == "bad-name"
    mine = mine.rename(tmp_path / "My-Model.gguf")
    model = store.add(mine)
    assert model.entry.id == "my-model"
    assert model.path.parent == store.root / "my-model"
    mine.unlink()
    assert store.open("my-model", kind="llm").path == model.path
    assert {status.entry.id for status in store.list()} == {"a-llama", "my-model"}
    assert store.verify("my-model")[0].was_run
    store.remove("my-model")
    with pytest.raises(ModelNotFound):
        store.entry("my-model")


def test_adding_refuses_clashes_and_bad_ids(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)
    store.add(mine)
    for model_id, code in (("mine", "id-taken"), ("../x", "bad-id"), ("con", "bad-id")):
        with pytest.raises(ModelError) as caught:
            store.add(mine, model_id)
        assert caught.value.code == code


def test_adding_a_voice_brings_its_json(store: Store, tmp_path: Path) -> None:
    (tmp_path / "en.onnx").write_bytes(onnx_model())
    (tmp_path / "en.onnx.json").write_bytes(piper_config())
    model = store.add(tmp_path / "en.onnx", "my-voice")
    assert set(model.paths) == {"en.onnx", "en.onnx.json"}
    assert store.open("my-voice", kind="tts") == model


def test_supplying_a_catalog_model_by_hand(store: Store, tmp_path: Path) -> None:
    copied = tmp_path / "from-a-stick.gguf"
    copied.write_bytes(gguf_llama(kind=0))
    with pytest.raises(ModelCorrupt) as caught:
        store.add(copied, "a-llama")
    assert caught.value.code == "hash-mismatch"
    copied.write_bytes(LLAMA)
    assert store.add(copied, "a-llama").path == store.root / "a-llama" / "llama.gguf"


def test_names_in_the_pins_do_not_lead_out_of_the_store(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)
    store.add(mine)
    pins = store.root / "pins.json"
    pins.write_text(pins.read_text().replace('"name":"mine.gguf"', '"name":"../../mine.gguf"'))
    with pytest.raises(ModelError) as caught:
        store.open("mine")
    assert caught.value.code == "store-damaged"


def test_a_file_that_changes_between_check_and_copy_is_not_kept(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)

    def swapped(source: Path, target: Path, max_bytes: int) -> None:
        del source, max_bytes
        target.write_bytes(gguf_llama(kind=0))

    monkeypatch.setattr("edge_assistant.store.adding.copy_capped", swapped)
    with pytest.raises(ModelCorrupt) as caught:
        store.add(mine)
    assert caught.value.code == "file-changed"
    assert list((store.root / "mine").iterdir()) == []
    assert "mine" not in {status.entry.id for status in store.list()}


def test_what_a_file_tells_of_itself_goes_with_it(store: Store, tmp_path: Path) -> None:
    said: dict[str, object] = {"general.license": "apache-2.0", "general.languages": ["en", "fr"]}
    keys = llama_keys(template="<start_of_turn>") | said
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf(keys, llama_tensors()))
    added = store.add(mine).entry
    assert (added.licence, added.languages, added.template) == ("apache-2.0", ("en", "fr"), "gemma")
    assert added.ram_bytes >= mine.stat().st_size
    voice = tmp_path / "v.onnx"
    voice.write_bytes(onnx_model())
    (tmp_path / "v.onnx.json").write_bytes(piper_config(license="CC0-1.0"))
    added = store.add(voice).entry
    assert (added.licence, added.languages) == ("CC0-1.0", ("en-US",))
    assert [spec.name for spec in added.files] == ["v.onnx", "v.onnx.json"]


def test_what_the_user_tells_goes_over_it(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)
    for bad in (
        Told(languages=("English!",)),
        Told(licence="\x1b[31m"),
        Told(title="x" * 5000),
    ):
        with pytest.raises(ModelError) as caught:
            store.add(mine, told=bad)
        assert caught.value.code == "bad-description"
    told = Told(title="Mine", licence="MIT", languages=("de", "pt-BR"))
    store.add(mine, told=told)
    entry = store.entry("mine")
    assert (entry.title, entry.licence, entry.languages) == ("Mine", "MIT", ("de", "pt-BR"))
    with pytest.raises(ModelError) as caught:
        store.add(mine, "a-llama", told=told)
    assert caught.value.code == "model-listed"
