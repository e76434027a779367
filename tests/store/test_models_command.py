"""`edge-assistant models` from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_assistant.cli.models import models
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store import Store
from tests.fakes.model_files import gguf, gguf_llama, llama_keys, llama_tensors

LLAMA = gguf_llama()


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_ASSISTANT_MODELS_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("EDGE_ASSISTANT_OFFLINE", "1")


def call(*arguments: str) -> Result:
    """Run one command; errors of ours come through, as the top level expects."""
    return CliRunner().invoke(models, arguments, catch_exceptions=False)


def answer(*arguments: str) -> Any:
    """What `--json` printed on stdout."""
    return json.loads(call(*arguments, "--json").stdout)


def test_list_tells_what_is_pinned_only_on_the_first_pull() -> None:
    lines = {line.split("\t")[0]: line for line in call("list").stdout.splitlines()}
    assert "pinned on first pull" in lines["whisper-tiny.en-q5_1"]
    assert "98.4 MB" in lines["smollm2-135m-instruct"]
    assert "comes along" in lines["espeak-en"]
    found = {model["id"]: model for model in answer("list")}
    assert found.keys() == lines.keys()
    assert found["whisper-tiny.en-q5_1"]["size_bytes"] is None
    assert found["smollm2-135m-instruct"]["licence"] == "Apache-2.0"
    assert {model["kind"] for model in answer("list", "--kind", "vad")} == {"vad"}
    assert [model["id"] for model in answer("list", "--installed")] == ["espeak-en"]


def test_add_verify_path_remove(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)
    assert call("add", str(mine), "--id", "my-llm").stdout == "my-llm\n"
    (report,) = answer("verify", "my-llm")
    assert (report["name"], report["was_run"]) == ("mine.gguf", True)
    path = Path(call("path", "my-llm").stdout.strip())
    assert path.read_bytes() == LLAMA
    assert "ok  " in call("verify", str(mine)).stdout
    path.write_bytes(LLAMA[:-1])
    with pytest.raises(EdgeAssistantError) as caught:
        call("verify", "my-llm")
    assert caught.value.code == "size-mismatch"
    assert call("remove", "my-llm").exit_code == 0
    with pytest.raises(EdgeAssistantError) as caught:
        call("path", "my-llm")
    assert caught.value.code == "model-unknown"


def test_pull_knows_packs_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[str] = []

    def pull(store: Store, model_id: str, progress: object, *, offline: bool) -> Any:
        del progress, offline
        pulled.append(model_id)
        return store.open("espeak-en")

    monkeypatch.setattr(Store, "pull", pull)
    result = call("pull", "espeak-en", "starter")
    assert result.exit_code == 0
    assert result.stdout == "", "progress and notes belong on stderr"
    assert sorted(pulled) == [
        "espeak-en",
        "moonshine-tiny-en",
        "silero-vad",
        "smart-turn-v3.2",
        "smollm2-135m-instruct",
    ]


def test_pull_without_a_network_says_so() -> None:
    with pytest.raises(EdgeAssistantError) as caught:
        call("pull", "whisper-tiny.en-q5_1")
    assert caught.value.code == "offline"
    with pytest.raises(EdgeAssistantError) as caught:
        call("pull", "whisper-tyni")
    assert "did you mean whisper-tiny" in caught.value.hint


def test_verify_tells_who_says_what(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    said: dict[str, object] = {"general.license": "mit", "general.languages": ["en"]}
    mine.write_bytes(gguf(llama_keys(template="<|im_start|>") | said, llama_tensors(8)))
    lines = call("verify", str(mine)).stdout.splitlines()
    assert lines[0].endswith("mostly Q8_0, ran")
    told = {line[:20].strip(): line[20:] for line in lines[1:]}
    assert told["tensors"].startswith("12: 9 of Q8_0 (")
    assert told["licence"] == "mit, says the file"
    assert told["languages"] == "en, says the file"
    assert told["chat template"].endswith("the file's own looks like it")
    assert "weights and caches" in told["RAM"]
    assert told["smoke run"] == "loaded and run in a child process"
    mine.write_bytes(LLAMA)
    quick = call("verify", str(mine), "--quick").stdout
    assert "unknown: the file does not say" in quick
    assert "the file has none of its own" in quick
    assert "not run" in quick


def test_verify_in_json(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LLAMA)
    call("add", str(mine), "--licence", "MIT", "--languages", "de, pt-BR", "--title", "Mine")
    (report,) = answer("verify", "mine")
    assert report["types"]["F32"]["tensors"] == 3
    assert report["tensors"] == sum(share["tensors"] for share in report["types"].values())
    assert (report["format"], report["context_length"]) == ("gguf", 128)
    model = report["model"]
    assert (model["source"], model["licence"], model["licence_in_file"]) == ("added", "MIT", "")
    assert (model["languages"], model["template"]) == (["de", "pt-BR"], "chatml")
    assert model["ram_bytes"] >= model["ram_by_header_bytes"] > 0
    (listed,) = [each for each in answer("list", "--installed") if each["id"] == "mine"]
    assert (listed["title"], listed["licence"]) == ("Mine", "MIT")
    with pytest.raises(EdgeAssistantError) as caught:
        call("add", str(mine), "--id", "other", "--languages", "English!")
    assert caught.value.code == "bad-description"


def test_verify_of_a_voice_without_files() -> None:
    told = call("verify", "espeak-en").stdout
    assert "it has no files of its own" in told
    assert "GPL-3.0-or-later (catalog)" in told
