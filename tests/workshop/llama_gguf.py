"""Llama-shaped GGUF files with random weights, of any width: K-quants want multiples of 256."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

VOCABULARY = 260
"""A token a byte, and four role tokens."""


def write_llama(
    path: Path,
    *,
    width: int = 256,
    layers: int = 2,
    dtype: type[np.floating] = np.float32,
    tied: bool = False,
    seed: int = 1,
    **extra: int,
) -> Path:
    """Write a model that llama.cpp loads, and whose each byte of text is one token.

    Args:
        path: the file; returned.
        width: of the embeddings; the middle of the perceptron is twice as wide.
        layers: how many.
        dtype: of the matrices: np.float32 or np.float16.
        tied: without an output matrix of its own.
        seed: of the weights.
        extra: whole numbers of the metadata, `__` for a dot.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(4)
    writer.add_rope_dimension_count(width // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    tokens = [*_byte_letters(), "<|im_start|>", "<|im_end|>", "<pad0>", "<pad1>"]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3] * 4)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, value in extra.items():
        writer.add_uint32(name.replace("__", "."), value)
    for name, tensor in tensors(width, layers, tied, seed).items():
        writer.add_tensor(name, tensor.astype(dtype if tensor.ndim == 2 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(
    width: int, layers: int, tied: bool = False, seed: int = 1
) -> dict[str, NDArray[np.float32]]:
    """The weights, rows first."""
    rng = np.random.default_rng(seed)

    def random(rows: int, columns: int) -> NDArray[np.float32]:
        # Some columns much larger than others, as in a model that has learnt something.
        scale = np.exp(rng.standard_normal(columns)).astype(np.float32)
        return rng.standard_normal((rows, columns), np.float32) * scale / np.float32(columns**0.5)

    found = {
        "token_embd.weight": random(VOCABULARY, width),
        "output_norm.weight": np.ones(width, np.float32),
    }
    if not tied:
        found["output.weight"] = random(VOCABULARY, width)
    for layer in range(layers):
        block = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            found[f"{block}{name}.weight"] = 1 + rng.random(width, np.float32)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"{block}{name}.weight"] = random(width, width)
        found[f"{block}ffn_gate.weight"] = random(2 * width, width)
        found[f"{block}ffn_up.weight"] = random(2 * width, width)
        found[f"{block}ffn_down.weight"] = random(width, 2 * width)
    return found


def read_types(path: Path) -> dict[str, str]:
    """Type of each tensor by its name, as the gguf package reads it."""
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The numbers of each tensor, unpacked by the gguf package; rows first."""
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a GPT-2 vocabulary, in byte order."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(spare)) for byte in range(256)]
