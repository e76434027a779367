"""What a model asks for, from its names and its size."""

from __future__ import annotations

import pytest

from edge_assistant.fit.sizes import LlmSize, SpeechSize, WhisperSize, ram_bytes, size_of
from edge_assistant.store.catalog import Catalog
from tests.unit.fit.made import entry


def llm(model_id: str, title: str = "", file_bytes: int | None = None) -> LlmSize:
    found = size_of(entry(model_id, title=title), file_bytes)
    assert isinstance(found, LlmSize)
    return found


def test_every_model_of_the_catalog_has_a_size() -> None:
    for model in Catalog.load():
        if model.kind in ("stt", "llm", "tts"):
            assert size_of(model, None) is not None, model.id


def test_the_starter_model_is_worked_out_as_it_is() -> None:
    """The file has 98,362,432 bytes, of which 1.5 MB are the vocabulary."""
    found = llm("smollm2-135m-instruct", "SmolLM2 135M Instruct, Q4_1")
    assert not found.is_exact
    assert found.file_bytes == pytest.approx(98.4e6, rel=0.05)
    exact = llm("smollm2-135m-instruct", file_bytes=98_362_432)
    assert exact.is_exact
    assert exact.file_bytes == 98_362_432
    assert exact.body == pytest.approx(106.2e6)


@pytest.mark.parametrize(
    ("model_id", "title", "mb"),
    [
        ("qwen2.5-0.5b-instruct", "Qwen2.5 0.5B Instruct, Q4_K_M", 398),
        ("llama-3.2-1b-instruct", "Llama 3.2 1B Instruct, Q4_K_M", 808),
        ("lfm2-350m-instruct", "LFM2 350M, Q4_K_M", 229),
        ("gemma-3-1b-it", "Gemma 3 1B IT, Q4_K_M", 806),
        ("qwen2.5-1.5b-instruct", "Qwen2.5 1.5B Instruct, Q4_K_M", 986),
    ],
)
def test_sizes_are_near_those_of_the_hub(model_id: str, title: str, mb: int) -> None:
    """As listed there. Q4_K_M keeps some tensors wider, in small models more of them."""
    assert llm(model_id, title).file_bytes / 1e6 == pytest.approx(mb, rel=0.15)


@pytest.mark.parametrize(
    ("title", "parameters"),
    [
        ("Someone's Model 3B, Q4_K_M", 3e9),
        ("some-model-1.5b-q8_0", 1.5e9),
        ("other-350M.Q4_0", 350e6),
        ("Model 7B v2", 7e9),
    ],
)
def test_parameters_of_an_unknown_model_are_in_its_name(title: str, parameters: float) -> None:
    assert llm("my-model", title).parameters == parameters


@pytest.mark.parametrize("title", ["mine q4_k_m", "b2b", "v3.1beta", "my 12 monkeys"])
def test_no_number_is_taken_for_parameters(title: str) -> None:
    assert size_of(entry("my-model", title=title), None) is None
    assert llm("my-model", title, 50_000_000).parameters == pytest.approx(80e6, rel=0.3)


def test_quantisation_is_read_from_the_names() -> None:
    by_type = {
        quant: llm("smollm2-135m-x", f"SmolLM2.{quant}").file_bytes
        for quant in ("F16", "Q8_0", "Q6_K", "Q5_1", "Q4_1", "Q4_0")
    }
    assert list(by_type) == sorted(by_type, key=lambda quant: -by_type[quant])
    assert by_type["F16"] == pytest.approx(2 * 134.5e6)
    assert llm("llama-3.2-1b", "Q4_K_M").file_bytes < llm("llama-3.2-1b", "Q5_K_M").file_bytes


def test_whisper_s_shape_is_in_its_name() -> None:
    shapes = {}
    for name in ("tiny.en-q5_1", "base-q8_0", "small-q5_1", "large-v3-turbo-q5_0", "large-v3"):
        found = size_of(entry(f"whisper-{name}", "whispercpp"), None)
        assert isinstance(found, WhisperSize)
        assert found.decoder_bytes <= found.file_bytes
        shapes[name] = (found.width, found.encoder_layers, found.decoder_layers)
    assert shapes["tiny.en-q5_1"] == (384, 4, 4)
    assert shapes["base-q8_0"] == (512, 6, 6)
    assert shapes["small-q5_1"] == (768, 12, 12)
    assert shapes["large-v3-turbo-q5_0"] == (1280, 32, 4)
    assert shapes["large-v3"] == (1280, 32, 32)
    assert size_of(entry("my-ears", "whispercpp"), 1000) is None


def test_voices_have_classes() -> None:
    ranks = {}
    for name in ("x_low", "low", "medium", "high"):
        found = size_of(entry("a-voice", "piper", file=f"en_US-someone-{name}.onnx"), None)
        assert isinstance(found, SpeechSize)
        assert found.speech_class == f"piper-{name}"
        ranks[name] = found.rank
    assert list(ranks.values()) == [1, 2, 3, 4]
    espeak = size_of(entry("espeak-en", "espeak"), None)
    assert isinstance(espeak, SpeechSize)
    assert espeak.rank == 0


def test_a_file_takes_its_size_in_memory_at_least() -> None:
    model = entry("a", ram=100)
    assert ram_bytes(model, None) == 100
    assert ram_bytes(model, 5_000) == 5_000
