"""The tensors of a Llama-family checkpoint: which there must be, and how llama.cpp wants them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llama.config import Llama3Scaling, LlamaShape
from edge_assistant_quantize.safetensors_files import LazyTensor

EMBEDDING: Final = "model.embed_tokens.weight"
OUTPUT: Final = "lm_head.weight"
OUTPUT_NORM: Final = "model.norm.weight"
ROPE_FACTORS: Final = "rope_freqs.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One tensor that the shape of a model calls for."""

    name: str
    """In the checkpoint."""
    shape: tuple[int, ...]
    rotated_heads: int = 0
    """Its rows are dimensions of so many heads that llama.cpp rotates in neighbouring pairs."""


def expected_tensors(shape: LlamaShape) -> list[Expected]:
    """List every tensor of a checkpoint of this shape, in the order of the arithmetic."""
    found = [Expected(name=EMBEDDING, shape=(shape.vocab_size, shape.hidden))]
    for layer in range(shape.layers):
        found += _layer_tensors(shape, f"model.layers.{layer}.")
    found.append(Expected(name=OUTPUT_NORM, shape=(shape.hidden,)))
    if not shape.is_tied:
        found.append(Expected(name=OUTPUT, shape=(shape.vocab_size, shape.hidden)))
    return found


def _layer_tensors(shape: LlamaShape, layer: str) -> list[Expected]:
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    # Qwen's graphs rotate halves of a head against each other, as the checkpoints do.
    is_paired = shape.architecture == "llama"
    found = [Expected(name=f"{layer}input_layernorm.weight", shape=(shape.hidden,))]

    def add(name: str, rows: int, columns: int, *, bias: bool, heads: int = 0) -> None:
        rotated = heads if is_paired else 0
        place = f"{layer}{name}"
        found.append(Expected(name=f"{place}.weight", shape=(rows, columns), rotated_heads=rotated))
        if bias:
            found.append(Expected(name=f"{place}.bias", shape=(rows,), rotated_heads=rotated))

    add("self_attn.q_proj", queries, shape.hidden, bias=shape.qkv_bias, heads=shape.heads)
    add("self_attn.k_proj", keys, shape.hidden, bias=shape.qkv_bias, heads=shape.kv_heads)
    add("self_attn.v_proj", keys, shape.hidden, bias=shape.qkv_bias)
    add("self_attn.o_proj", shape.hidden, queries, bias=shape.out_bias)
    if shape.has_head_norms:
        for name in ("q_norm", "k_norm"):
            found.append(Expected(name=f"{layer}self_attn.{name}.weight", shape=(shape.head_dim,)))
    found.append(Expected(name=f"{layer}post_attention_layernorm.weight", shape=(shape.hidden,)))
    add("mlp.gate_proj", shape.intermediate, shape.hidden, bias=shape.mlp_bias)
    add("mlp.up_proj", shape.intermediate, shape.hidden, bias=shape.mlp_bias)
    add("mlp.down_proj", shape.hidden, shape.intermediate, bias=shape.mlp_bias)
    return found


def check_tensors(tensors: Mapping[str, LazyTensor], shape: LlamaShape) -> list[Expected]:
    """Compare a checkpoint with what its config calls for, and return what it has to have.

    Raises:
        ModelCorrupt: `tensor-missing`, `tensor-shape`.
        WorkshopError: `tensor-unknown`: it has one that would be left out.
    """
    expected = expected_tensors(shape)
    for each in expected:
        tensor = tensors.get(each.name)
        if tensor is None:
            raise ModelCorrupt("tensor-missing", f"there is no tensor {each.name}", "")
        if tensor.shape != each.shape:
            raise ModelCorrupt(
                "tensor-shape",
                f"{each.name} has shape {list(tensor.shape)}, config.json says {list(each.shape)}",
                "fetch weights and config.json of the same checkpoint",
            )
    known = {each.name for each in expected}
    for name in tensors:
        # A tied output matrix is saved by some and used by nobody; rotations are computed anew.
        is_harmless = name.endswith(".rotary_emb.inv_freq") or (name == OUTPUT and shape.is_tied)
        if name not in known and not is_harmless:
            raise WorkshopError(
                "tensor-unknown",
                f"{name[:80]} is no part of a {shape.architecture} model",
                "convert the plain checkpoint, without adapters and extra heads",
            )
    return expected


def paired(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Reorder rows so that the two dimensions that are rotated together are neighbours.

    Checkpoints rotate dimension i of a head against i + head_dim / 2, llama.cpp's `llama` graph
    rotates 2i against 2i + 1. Done to queries and keys alike it leaves their products as they are.

    Args:
        rows: (heads * head_dim, ...).
        heads: of queries, or of keys.
    """
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def rope_frequencies(shape: LlamaShape) -> NDArray[np.float64]:
    """Angles per position of each pair, before any scaling: (head_dim / 2,), radians."""
    exponents = np.arange(0, shape.head_dim, 2, dtype=np.float64) / shape.head_dim
    frequencies: NDArray[np.float64] = shape.rope_theta**-exponents
    return frequencies


def rope_factors(frequencies: NDArray[np.float64], scaling: Llama3Scaling) -> NDArray[np.float32]:
    """What llama.cpp divides each frequency by (`rope_freqs.weight`): (head_dim / 2,).

    Llama 3.1's rule, as `rope_type` llama3 of transformers computes it: long waves are stretched by
    `factor`, short ones are kept, those between take a mean weighted by their length.
    """
    long_wave = scaling.original_context / scaling.low_freq_factor
    short_wave = scaling.original_context / scaling.high_freq_factor
    wave = 2 * math.pi / frequencies
    kept = (scaling.original_context / wave - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    between = 1 / ((1 - kept) / scaling.factor + kept)
    factors = np.where(wave > long_wave, scaling.factor, np.where(wave < short_wave, 1.0, between))
    return factors.astype(np.float32)
