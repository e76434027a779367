"""Checkpoints to GGUF: llama.cpp computes from the file what numpy computes from the checkpoint."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from edge_assistant_quantize.llama.config import read_shape
from edge_assistant_quantize.llama.convert import TypeName, convert_llama
from edge_assistant_quantize.llama.gguf_logits import GgufLogits
from edge_assistant_quantize.llama.tensors import paired, rope_factors, rope_frequencies
from edge_assistant_quantize.llama.verify import Agreement, verify_llama
from edge_assistant_quantize.safetensors_files import open_tensors

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.headers import inspect
from tests.workshop.tiny_llama import (
    HEADS,
    HIDDEN,
    KV_HEADS,
    SPECIAL,
    TEMPLATE,
    Variant,
    weights,
    write_tiny_llama,
)

VARIANTS = {
    "smollm2": Variant(),
    "llama-3": Variant(
        dtype="F16",
        shards=3,
        is_tied=False,
        is_scaled=True,
        pre="llama-bpe",
        adds_bos=True,
    ),
    "llama-biases": Variant(dtype="F32", is_tied=False, has_biases=True, pre="gpt-2"),
    "qwen2": Variant(architecture="qwen2", pre="qwen2"),
    "qwen3": Variant(architecture="qwen3", pre="qwen2", head_dim=128, is_tied=False),
}
PLAIN = Variant(is_tied=False)


@pytest.mark.parametrize("type_name", ["f32", "f16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_file_computes_what_the_checkpoint_does(
    name: str, type_name: TypeName, tmp_path: Path
) -> None:
    folder = write_tiny_llama(tmp_path / "checkpoint", VARIANTS[name])
    made = convert_llama(folder, tmp_path / "model.gguf", type_name)
    found = verify_llama(folder, made.path)
    assert found.faults(type_name) == ()
    assert (found.texts_same, found.greedy_same) == (found.texts, found.greedy_tokens)
    assert found.positions > 200
    assert found.same_argmax == found.positions


WRONG: dict[str, Callable[[Any], dict[str, Any]]] = {
    "not permuted": lambda tensors: {
        name: _unpaired(values, HEADS if "q_proj" in name else KV_HEADS)
        for name, values in tensors.items()
        if "q_proj" in name or "k_proj" in name
    },
    "k and v swapped": lambda tensors: (
        {
            name.replace("k_proj", "v_proj"): values
            for name, values in tensors.items()
            if "k_proj" in name
        }
        | {
            name.replace("v_proj", "k_proj"): values
            for name, values in tensors.items()
            if "v_proj" in name
        }
    ),
    "gate and up swapped": lambda tensors: {
        "model.layers.1.mlp.gate_proj.weight": tensors["model.layers.1.mlp.up_proj.weight"],
        "model.layers.1.mlp.up_proj.weight": tensors["model.layers.1.mlp.gate_proj.weight"],
    },
    "a norm left at one": lambda tensors: {
        "model.norm.weight": np.ones_like(tensors["model.norm.weight"])
    },
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("type_name", ["f32", "f16"])
def test_a_wrong_conversion_is_caught(what: str, type_name: TypeName, tmp_path: Path) -> None:
    """The converter gets a checkpoint from which it makes what a wrong one would have made."""
    folder = write_tiny_llama(tmp_path / "checkpoint", PLAIN)
    rows = read_shape(folder).vocab_size
    changed = WRONG[what](weights(PLAIN, rows))
    other = write_tiny_llama(tmp_path / "other", PLAIN, changed=changed)
    made = convert_llama(other, tmp_path / "model.gguf", type_name)
    found = verify_llama(folder, made.path)
    assert found.max_difference > 0.1 * found.spread
    assert len(found.faults(type_name)) >= 2


def _unpaired(rows: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """What `paired` makes the rows of."""
    undone = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return undone.swapaxes(1, 2).reshape(rows.shape)


def test_rotations_that_are_not_stretched_are_caught(tmp_path: Path) -> None:
    variant = VARIANTS["llama-3"]
    folder = write_tiny_llama(tmp_path / "checkpoint", variant)
    other = write_tiny_llama(tmp_path / "other", replace(variant, is_scaled=False))
    made = convert_llama(other, tmp_path / "model.gguf", "f32")
    assert verify_llama(folder, made.path).faults("f32")


def test_another_pre_tokeniser_is_caught(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "checkpoint", PLAIN)
    other = write_tiny_llama(tmp_path / "other", PLAIN)
    for each in (folder, other):  # two digits in one token, which only one of the two can use
        _edit(each / "tokenizer.json", _with_twelve)
    _edit(other / "tokenizer.json", lambda each: each.update(pre_tokenizer=_gpt2()))
    made = convert_llama(other, tmp_path / "model.gguf", "f32")
    (fault,) = verify_llama(folder, made.path).faults("f32")
    assert fault.startswith("other tokens for")


def _with_twelve(tokenizer: Any) -> None:
    model = tokenizer["model"]
    model["vocab"]["12"] = len(model["vocab"])
    model["merges"].append("1 2")


def test_paired_puts_the_halves_of_a_head_side_by_side() -> None:
    rows = np.arange(8)[:, None] * np.ones(3)
    assert paired(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    np.testing.assert_array_equal(_unpaired(paired(rows, 2), 2), rows)


def test_llama_3_2_stretches_rotations_as_published(tmp_path: Path) -> None:
    """The factors of Llama 3.2 1B: head_dim 64, theta 500000, factor 32, 8192 tokens before."""
    folder = write_tiny_llama(tmp_path / "checkpoint", VARIANTS["llama-3"])
    scaling = {"factor": 32.0, "original_max_position_embeddings": 8192}
    _edit(
        folder / "config.json",
        lambda config: (config["rope_scaling"].update(scaling), config.update(rope_theta=5e5)),
    )
    shape = read_shape(folder)
    assert shape.scaling is not None
    factors = rope_factors(rope_frequencies(shape), shape.scaling)
    wave = 2 * np.pi * 5e5 ** (np.arange(0, 64, 2) / 64)
    assert factors[wave < 2048].tolist() == [1.0] * int((wave < 2048).sum())
    assert factors[wave > 8192].tolist() == [32.0] * int((wave > 8192).sum())
    between = factors[(wave > 2048) & (wave < 8192)]
    assert len(between) == 3
    assert (np.diff(between) > 0).all()
    assert ((between > 1) & (between < 32)).all()


def test_numbers_come_through_bit_by_bit(tmp_path: Path) -> None:
    variant = replace(PLAIN, dtype="F32")
    folder = write_tiny_llama(tmp_path / "checkpoint", variant)
    made = convert_llama(folder, tmp_path / "model.gguf", "f32")
    tensors = open_tensors(folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    reader = gguf.GGUFReader(made.path)
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    assert len(found) == len(tensors)
    for name, tensor in tensors.items():
        short = names.get_name(name, try_suffixes=(".weight",))
        assert short is not None
        data = found[short]
        if "q_proj" in name or "k_proj" in name:
            data = _unpaired(data, HEADS if "q_proj" in name else KV_HEADS)
        np.testing.assert_array_equal(data, tensor.read())


def test_what_is_said_of_the_file(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "tiny", VARIANTS["llama-3"])
    shares: list[float] = []
    made = convert_llama(
        folder, tmp_path / "m.gguf", progress=lambda what, share: shares.append(share)
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert made.size_bytes == made.path.stat().st_size
    assert made.source_bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert [each.type_name for each in made.types] == ["F16", "F32"]
    assert made.types[1].tensors == 6  # five norms and the rotations
    assert inspect(made.path).template == "chatml"
    fields = _fields(made.path)
    assert fields["general.architecture"] == "llama"
    assert fields["general.name"] == "tiny"
    assert fields["general.license"] == "apache-2.0"
    assert fields["general.file_type"] == 1
    assert fields["tokenizer.ggml.model"] == "gpt2"
    assert fields["tokenizer.ggml.pre"] == "llama-bpe"
    assert fields["tokenizer.chat_template"] == TEMPLATE
    assert fields["llama.attention.head_count_kv"] == KV_HEADS
    assert fields["llama.embedding_length"] == HIDDEN


def test_special_tokens_are_those_that_the_gguf_package_finds(tmp_path: Path) -> None:
    for name, variant in VARIANTS.items():
        folder = write_tiny_llama(tmp_path / name, variant)
        made = convert_llama(folder, tmp_path / f"{name}.gguf")
        fields = _fields(made.path)
        theirs = gguf.SpecialVocab(folder, load_merges=True)
        for kind, index in theirs.special_token_ids.items():
            key = {"unk": "unknown", "pad": "padding"}.get(kind, kind)
            assert fields[f"tokenizer.ggml.{key}_token_id"] == index
        assert fields["tokenizer.ggml.merges"] == theirs.merges
        assert fields["tokenizer.ggml.add_bos_token"] == variant.adds_bos
        assert fields["tokenizer.ggml.add_bos_token"] == theirs.add_special_token.get("bos", False)
        kinds = fields["tokenizer.ggml.token_type"]
        assert kinds[:4] == [3, 3, 3, 1]
        assert kinds[-5:] == [5] * 5
        with GgufLogits(made.path) as model:
            assert [model.ends(index) for index in range(4)] == [True, False, True, False]


def test_an_unknown_end_of_a_turn_ends_a_reply(tmp_path: Path) -> None:
    """llama.cpp knows the common ones by their names; others only as eot or eom."""
    folder = write_tiny_llama(tmp_path / "a")
    _edit(folder / "generation_config.json", lambda each: each.update(eos_token_id=[2, 5]))
    with GgufLogits(convert_llama(folder, tmp_path / "m.gguf").path) as model:
        assert [model.ends(index) for index in (2, 4, 5)] == [True, False, True]


BOUNDS = {"Q8_0": (7, 0.03, 0.25), "Q6_K": (18, 0.17, 0.6), "Q4_K_M": (15, 2.4, 2.1)}
"""File type of llama.cpp, largest KL divergence in nats (mean), largest error of a logit as a share
of the logits' spread: one and a half times what was seen (0.0194 and 0.162, 0.112 and 0.397, 1.61
and 1.42). Q8_0's tell every wrong conversion above apart; those of Q4_K_M do not, so it is
the unquantised file that is checked."""


@pytest.mark.parametrize("quant", BOUNDS)
def test_quantised_it_stays_within_bounds(quant: str, tmp_path: Path) -> None:
    import llama_cpp

    folder = write_tiny_llama(tmp_path / "checkpoint", PLAIN)
    made = convert_llama(folder, tmp_path / "model.gguf", "f16")
    ftype, max_kl, max_share = BOUNDS[quant]
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = ftype, 2
    packed = tmp_path / "packed.gguf"
    status = llama_cpp.llama_model_quantize(bytes(made.path), bytes(packed), ctypes.byref(params))
    assert status == 0
    types = {tensor.tensor_type.name for tensor in gguf.GGUFReader(packed).tensors}
    assert quant.removesuffix("_M") in types  # K-quants need rows of 256, or they fall back
    whole = verify_llama(folder, made.path, greedy_tokens=0)
    found = verify_llama(folder, packed, greedy_tokens=0)
    assert found.kl_mean < max_kl
    assert found.max_difference < max_share * found.spread
    assert found.max_difference > 2 * whole.max_difference  # it is not the f16 file by accident


def _gpt2() -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def _fields(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


CONFIG, TOKENIZER = "config.json", "tokenizer.json"
REFUSED: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "another architecture": (
        CONFIG,
        lambda c: c.update(architectures=["GPT2LMHeadModel"]),
        "architecture-unknown",
    ),
    "no architecture": (CONFIG, lambda c: c.pop("architectures"), "config-unusable"),
    "sliding window": (CONFIG, lambda c: c.update(use_sliding_window=True), "config-unusable"),
    "gelu": (CONFIG, lambda c: c.update(hidden_act="gelu"), "config-unusable"),
    "quantised": (CONFIG, lambda c: c.update(quantization_config={}), "config-unusable"),
    "yarn": (
        CONFIG,
        lambda c: c.update(rope_scaling={"type": "yarn", "factor": 4.0}),
        "rope-scaling-unknown",
    ),
    "no layers": (CONFIG, lambda c: c.update(num_hidden_layers=0), "config-unusable"),
    "heads": (CONFIG, lambda c: c.update(num_key_value_heads=3), "config-unusable"),
    "a word for a number": (CONFIG, lambda c: c.update(rms_norm_eps="small"), "config-unusable"),
    "more layers": (CONFIG, lambda c: c.update(num_hidden_layers=3), "tensor-missing"),
    "fewer layers": (CONFIG, lambda c: c.update(num_hidden_layers=1), "tensor-unknown"),
    "wider": (CONFIG, lambda c: c.update(intermediate_size=511), "tensor-shape"),
    "fewer rows": (CONFIG, lambda c: c.update(vocab_size=100), "tensor-shape"),
    "not tied": (CONFIG, lambda c: c.update(tie_word_embeddings=False), "tensor-missing"),
    "another pre-tokeniser": (
        TOKENIZER,
        lambda t: t.update(pre_tokenizer={"type": "Whitespace"}),
        "pre-tokenizer-unknown",
    ),
    "a prefix": (
        TOKENIZER,
        lambda t: t.update(pre_tokenizer={**_gpt2(), "add_prefix_space": True}),
        "pre-tokenizer-unknown",
    ),
    "merges ignored": (
        TOKENIZER,
        lambda t: t["model"].update(ignore_merges=True),
        "pre-tokenizer-unknown",
    ),
    "sentencepiece": (
        TOKENIZER,
        lambda t: t["model"].update(byte_fallback=True),
        "tokenizer-unusable",
    ),
    "unigram": (
        TOKENIZER,
        lambda t: t.update(model={"type": "Unigram", "vocab": [["a", 0.0]]}),
        "tokenizer-unusable",
    ),
    "lower case": (
        TOKENIZER,
        lambda t: t.update(normalizer={"type": "Lowercase"}),
        "tokenizer-unusable",
    ),
    "other surroundings": (
        TOKENIZER,
        lambda t: t.update(post_processor={"type": "BertProcessing"}),
        "tokenizer-unusable",
    ),
    "an id twice": (TOKENIZER, lambda t: t["model"]["vocab"].update(zzz=7), "tokenizer-invalid"),
    "an id beyond": (
        TOKENIZER,
        lambda t: t["model"]["vocab"].update(zzz=9999),
        "tokenizer-invalid",
    ),
    "half a character": (
        TOKENIZER,
        lambda t: t["model"]["vocab"].update({"\ud800": 390}),
        "tokenizer-invalid",
    ),
    "a merge of nothing": (
        TOKENIZER,
        lambda t: t["model"]["merges"].append("zz zz"),
        "tokenizer-invalid",
    ),
    "merges of numbers": (
        TOKENIZER,
        lambda t: t["model"]["merges"].append(7),
        "tokenizer-invalid",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_converted_is_refused(case: str, tmp_path: Path) -> None:
    file, change, code = REFUSED[case]
    folder = write_tiny_llama(tmp_path / "checkpoint")
    _edit(folder / file, change)
    _refused(folder, code)


@pytest.mark.parametrize(
    ("values", "type_name", "code"),
    [
        ([70_000.0], "f16", "weights-too-large"),
        ([np.nan], "f16", "weights-not-finite"),
        ([np.inf], "f32", "weights-not-finite"),
    ],
)
def test_weights_that_are_no_numbers_there(
    values: list[float], type_name: TypeName, code: str, tmp_path: Path
) -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    spoiled = weights(PLAIN, 1)[name]
    spoiled[0, : len(values)] = values
    folder = write_tiny_llama(tmp_path / "checkpoint", PLAIN, changed={name: spoiled})
    _refused(folder, code, type_name)


def test_a_tensor_that_would_be_left_out(tmp_path: Path) -> None:
    more = {"model.layers.0.self_attn.q_proj.lora_A": np.ones((2, 2), np.float32)}
    _refused(write_tiny_llama(tmp_path / "a", changed=more), "tensor-unknown")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_not_there_or_not_whole(file: str, tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "checkpoint")
    raw = (folder / file).read_bytes()
    (folder / file).write_bytes(raw[: len(raw) // 2])
    _refused(folder, "header-invalid" if "model" in file else "json-invalid")
    (folder / file).unlink()
    _refused(folder, "no-safetensors" if "model" in file else "file-missing")


def _refused(folder: Path, code: str, type_name: TypeName = "f16") -> None:
    output = folder.parent / "model.gguf"
    with pytest.raises(EdgeAssistantError) as caught:
        convert_llama(folder, output, type_name)
    assert caught.value.code == code
    assert list(folder.parent.iterdir()) == [folder]  # neither a file nor a piece of one


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    folder = write_tiny_llama(tmp_path / "checkpoint")
    output = tmp_path / "model.gguf"
    output.write_bytes(b"mine")
    with pytest.raises(EdgeAssistantError) as caught:
        convert_llama(folder, output)
    assert caught.value.code == "output-exists"
    assert output.read_bytes() == b"mine"
    convert_llama(folder, output, overwrite=True)
    assert inspect(output).form == "gguf"
    with pytest.raises(EdgeAssistantError) as caught:
        convert_llama(folder, folder / "model.safetensors", overwrite=True)
    assert caught.value.code == "output-is-input"


def test_other_ways_to_write_the_same_checkpoint(tmp_path: Path) -> None:
    """transformers 5 keeps rotations in `rope_parameters`, templates in a file of their own."""
    variant = VARIANTS["llama-3"]
    folder = write_tiny_llama(tmp_path / "old", variant)
    other = write_tiny_llama(tmp_path / "new", variant)
    _edit(
        other / CONFIG,
        lambda c: c.update(
            rope_parameters={**c.pop("rope_scaling"), "rope_theta": 1e4}, rope_theta=0
        ),
    )
    (other / "chat_template.jinja").write_text(TEMPLATE + "!")
    _edit(other / "tokenizer_config.json", lambda t: t.update(bos_token={"content": SPECIAL[1]}))
    made = convert_llama(other, tmp_path / "m.gguf", "f32")
    assert verify_llama(folder, made.path).faults("f32") == ()
    assert _fields(made.path)["tokenizer.chat_template"] == TEMPLATE + "!"


def test_faults_name_what_differs() -> None:
    sound = Agreement(
        positions=10,
        max_difference=1e-4,
        mean_difference=1e-5,
        spread=1.0,
        same_argmax=9,
        near_ties=1,
        kl_mean=0.0,
        greedy_tokens=4,
        greedy_same=4,
        texts=2,
        texts_same=2,
        different_text="",
    )
    assert sound.faults("f32") == ()
    assert len(replace(sound, near_ties=0).faults("f32")) == 1
    assert len(replace(sound, max_difference=float("nan")).faults("f32")) == 1
    assert len(replace(sound, texts_same=1, different_text="x").faults("f32")) == 1
