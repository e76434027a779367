"""A Llama-architecture checkpoint with random weights, as Hugging Face lays one out.

    python -m tests.workshop.tiny_llama FOLDER

Two layers of width 256, so that K-quants are real (their blocks are 256 numbers of a row). The
weights are scaled so that attention looks at few tokens and logits are far apart: then a wrong
rotation or a swapped matrix shows, and rounding does not. The tokenizer has 256 bytes, and merges
learnt here from a few lines. All from a seed.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from edge_assistant_quantize.llama.bpe_reference import cut_text
from edge_assistant_quantize.llama.pre_tokenizers import KNOWN
from edge_assistant_quantize.llama.tokenizer import byte_letters
from numpy.typing import NDArray

from tests.workshop.safetensors_bytes import Stored, write_safetensors

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 256, 512, 2, 4, 2
UNUSED_ROWS = 5
"""Rows of the embedding without a token, as published models have them."""
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_MERGES = 128
_LINES = """The quick brown fox jumps over the lazy dog, and the dog does not mind it at all.
What is the weather like in the city today? It is warm and sunny, with a light wind.
Please set a timer for ten minutes, and remind me that the kettle is on the stove.
I don't think that we'll be there by 10:30, but they'll wait for us until 12:00.
def square(number):\n    return number * number  # the square of a number\n
Grüße aus Köln, señor; das Wetter in Zürich ist schön.
The kitchen light is on; turn it off and tell me what the time is in Tokyo, 東京.
"""
_WORDS = KNOWN[3].patterns[0]
_SPLITS: Final[dict[str, list[dict[str, Any]]]] = {
    "gpt-2": [],
    "smollm": [{"type": "Digits", "individual_digits": True}],
    "llama-bpe": [
        {
            "type": "Split",
            "pattern": {"Regex": KNOWN[2].patterns[0]},
            "behavior": "Isolated",
            "invert": False,
        }
    ],
    "qwen2": [
        {
            "type": "Split",
            "pattern": {"Regex": _WORDS},
            "behavior": "Isolated",
            "invert": False,
        }
    ],
}
_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What kinds of checkpoints there are."""

    architecture: Literal["llama", "qwen2", "qwen3"] = "llama"
    dtype: Stored = "BF16"
    shards: int = 1
    is_tied: bool = True
    is_scaled: bool = False
    """With the rotations of Llama 3, at lengths that texts of some tokens reach."""
    has_biases: bool = False
    """Of Llama; Qwen 2 has its own always."""
    pre: str = "smollm"
    adds_bos: bool = False
    head_dim: int = 64
    seed: int = 1


def write_tiny_llama(
    folder: Path,
    variant: Variant | None = None,
    *,
    changed: Mapping[str, NDArray[np.float32]] | None = None,
) -> Path:
    """Write a checkpoint into a new folder, and return that.

    Args:
        folder: to make.
        variant: of the checkpoint.
        changed: tensors to put in the place of those of the same name, or beside them.
    """
    variant = variant or Variant()
    folder.mkdir(parents=True)
    tokenizer = tokenizer_json(variant)
    rows = len(tokenizer["model"]["vocab"]) + UNUSED_ROWS
    _write(folder / "tokenizer.json", tokenizer)
    _write(folder / "tokenizer_config.json", _tokenizer_config(variant))
    _write(folder / "config.json", _config(variant, rows))
    _write(folder / "generation_config.json", {"eos_token_id": [2, 0]})
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\nRandom weights.\n")
    tensors = weights(variant, rows) | dict(changed or {})
    if variant.shards == 1:
        write_safetensors(folder / "model.safetensors", tensors, variant.dtype)
        return folder
    names = list(tensors)
    places: dict[str, str] = {}
    for index in range(variant.shards):
        shard = f"model-{index + 1:05}-of-{variant.shards:05}.safetensors"
        part = {name: tensors[name] for name in names[index :: variant.shards]}
        write_safetensors(folder / shard, part, variant.dtype)
        places |= dict.fromkeys(part, shard)
    _write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    return folder


def weights(variant: Variant, rows: int) -> dict[str, NDArray[np.float32]]:
    """All tensors of a checkpoint, by their names."""
    rng = np.random.default_rng(variant.seed)
    queries, keys = HEADS * variant.head_dim, KV_HEADS * variant.head_dim

    def random(*shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        drawn: NDArray[np.float32] = rng.standard_normal(shape, np.float32)
        return drawn * np.float32(scale)

    def norm(width: int) -> NDArray[np.float32]:
        return 1 + random(width, scale=0.1)

    tensors = {"model.embed_tokens.weight": random(rows, HIDDEN)}
    for layer in range(LAYERS):
        place = f"model.layers.{layer}."
        attention, mlp = f"{place}self_attn.", f"{place}mlp."
        tensors |= {
            f"{place}input_layernorm.weight": norm(HIDDEN),
            f"{attention}q_proj.weight": random(queries, HIDDEN, scale=1.5 / 16),
            f"{attention}k_proj.weight": random(keys, HIDDEN, scale=1.5 / 16),
            f"{attention}v_proj.weight": random(keys, HIDDEN, scale=1.5 / 16),
            f"{attention}o_proj.weight": random(HIDDEN, queries, scale=1 / np.sqrt(queries)),
            f"{place}post_attention_layernorm.weight": norm(HIDDEN),
            f"{mlp}gate_proj.weight": random(INTERMEDIATE, HIDDEN, scale=1 / 16),
            f"{mlp}up_proj.weight": random(INTERMEDIATE, HIDDEN, scale=1 / 16),
            f"{mlp}down_proj.weight": random(HIDDEN, INTERMEDIATE, scale=1 / 16),
        }
        if variant.architecture == "qwen2" or variant.has_biases:
            for name, width in (("q", queries), ("k", keys), ("v", keys)):
                tensors[f"{attention}{name}_proj.bias"] = random(width, scale=0.5)
        if variant.has_biases:
            tensors[f"{attention}o_proj.bias"] = random(HIDDEN, scale=0.5)
            for name, width in (("gate", INTERMEDIATE), ("up", INTERMEDIATE), ("down", HIDDEN)):
                tensors[f"{mlp}{name}_proj.bias"] = random(width, scale=0.2)
        if variant.architecture == "qwen3":
            tensors[f"{attention}q_norm.weight"] = norm(variant.head_dim)
            tensors[f"{attention}k_norm.weight"] = norm(variant.head_dim)
    tensors["model.norm.weight"] = norm(HIDDEN)
    if not variant.is_tied:
        tensors["lm_head.weight"] = random(rows, HIDDEN)
    return tensors


def tokenizer_json(variant: Variant) -> dict[str, Any]:
    """The tokenizer: control tokens first, then bytes, then what was merged."""
    patterns = next(known.patterns for known in KNOWN if known.name == variant.pre)
    merges = _learn(patterns)
    texts = [*SPECIAL, *byte_letters(), *(left + right for left, right in merges)]
    splits = _SPLITS[variant.pre]
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": variant.pre in ("gpt-2", "smollm"),
    }
    begins = {"SpecialToken": {"id": SPECIAL[1], "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    template = {
        "type": "TemplateProcessing",
        "single": [begins, text],
        "pair": [begins, text, begins, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {SPECIAL[1]: {"id": SPECIAL[1], "ids": [1], "tokens": [SPECIAL[1]]}},
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": index,
                "content": content,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for index, content in enumerate(SPECIAL)
        ],
        "normalizer": {"type": "NFC"} if variant.pre == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splits, level]}
        if splits
        else level,
        "post_processor": template if variant.adds_bos else None,
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": variant.pre == "llama-bpe",
            "vocab": {text: index for index, text in enumerate(texts)},
            "merges": [f"{left} {right}" for left, right in merges]
            if variant.pre == "smollm"
            else [list(pair) for pair in merges],
        },
    }


def _learn(patterns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Merge the most frequent pair, again and again; of equals the first by its letters."""
    letters = byte_letters()
    words = Counter(
        tuple(letters[byte] for byte in piece.encode()) for piece in cut_text(_LINES, patterns)
    )
    merges: list[tuple[str, str]] = []
    while len(merges) < _MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in words.items():
            merged[_merge(word, best)] += count
        words = merged
    return merges


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    parts: list[str] = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)


def _config(variant: Variant, rows: int) -> dict[str, Any]:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    return {
        "architectures": [_CLASSES[variant.architecture]],
        "model_type": variant.architecture,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": variant.head_dim,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": scaling if variant.is_scaled else None,
        "attention_bias": variant.has_biases,
        "mlp_bias": variant.has_biases,
        "tie_word_embeddings": variant.is_tied,
        "vocab_size": rows,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _tokenizer_config(variant: Variant) -> dict[str, Any]:
    config: dict[str, Any] = {
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "unk_token": SPECIAL[0],
        "pad_token": SPECIAL[2],
        "chat_template": TEMPLATE,
        "tokenizer_class": "GPT2Tokenizer",
    }
    return config if variant.adds_bos else config | {"add_bos_token": False}


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    write_tiny_llama(Path(sys.argv[1]))
