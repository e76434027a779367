"""Small Hugging Face Whisper folders with random weights, or with given ones.

The weights are wide enough that every tensor shows in the scores: attention that prefers some
positions, norms and biases that are not 1 and 0.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]

ENGLISH = 51864
MULTILINGUAL = 51865


def whisper_config(
    *, width: int = 64, layers: int = 1, heads: int = 2, n_vocab: int = ENGLISH, bands: int = 80
) -> dict[str, Any]:
    """What config.json says."""
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": width,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "vocab_size": n_vocab,
        "num_mel_bins": bands,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "activation_function": "gelu",
        "scale_embedding": False,
    }


def random_weights(config: Mapping[str, Any], seed: int = 3) -> Arrays:
    """Tensors by their full names, `proj_out.weight` among them as some checkpoints have it not."""
    rng = np.random.default_rng(seed)
    width, wide = config["d_model"], config["encoder_ffn_dim"]

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    weights: Arrays = {}

    def linear(name: str, rows: int, columns: int, gain: float = 1.0, bias: bool = True) -> None:
        weights[f"{name}.weight"] = normal(rows, columns, scale=gain / math.sqrt(columns))
        if bias:
            weights[f"{name}.bias"] = normal(rows, scale=0.1)

    def norm(name: str) -> None:
        weights[f"{name}.weight"] = 1 + normal(width, scale=0.1)
        weights[f"{name}.bias"] = normal(width, scale=0.1)

    def attention(name: str) -> None:
        for part in ("q", "k"):
            linear(f"{name}.{part}_proj", width, width, gain=2.0, bias=part == "q")
        for part in ("v", "out"):
            linear(f"{name}.{part}_proj", width, width)
        norm(f"{name}_layer_norm")

    for number, rows in ((1, config["num_mel_bins"]), (2, width)):
        scale = 1 / math.sqrt(3 * rows)
        weights[f"model.encoder.conv{number}.weight"] = normal(width, rows, 3, scale=2 * scale)
        weights[f"model.encoder.conv{number}.bias"] = normal(width, scale=0.1)
    for side, positions in (("encoder", 1500), ("decoder", 448)):
        weights[f"model.{side}.embed_positions.weight"] = normal(positions, width, scale=0.3)
        for layer in range(config[f"{side}_layers"]):
            name = f"model.{side}.layers.{layer}"
            attention(f"{name}.self_attn")
            if side == "decoder":
                attention(f"{name}.encoder_attn")
            linear(f"{name}.fc1", wide, width)
            linear(f"{name}.fc2", width, wide)
            norm(f"{name}.final_layer_norm")
        norm(f"model.{side}.layer_norm")
    weights["model.decoder.embed_tokens.weight"] = normal(config["vocab_size"], width, scale=0.3)
    return weights


def write_folder(
    folder: Path,
    config: Mapping[str, Any],
    weights: Arrays,
    *,
    dtype: str = "F32",
    vocabulary: Mapping[str, int] | None = None,
) -> Path:
    """Write a folder as `save_pretrained` would; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    hearing = {"feature_size": config["num_mel_bins"], "n_fft": 400, "hop_length": 160}
    (folder / "preprocessor_config.json").write_text(json.dumps(hearing))
    tokens = vocabulary if vocabulary is not None else whisper_vocabulary(config["vocab_size"])
    (folder / "vocab.json").write_text(json.dumps(tokens))
    (folder / "model.safetensors").write_bytes(safetensors(weights, dtype))
    return folder


def safetensors(weights: Arrays, dtype: str = "F32") -> bytes:
    """Assemble a file; BF16, which numpy lacks, is the upper half of a float32, rounded down."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data: list[bytes] = []
    at = 0
    for name, values in weights.items():
        if dtype == "BF16":
            raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        else:
            raw = values.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()
        offsets = [at, at + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": offsets}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def whisper_vocabulary(n_vocab: int) -> dict[str, int]:
    """Ordinary tokens in GPT-2's letters: all bytes, what whisper.cpp needs, numbers, the end."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    texts = [*letters, "\u0120-", "\u0120'"]
    count = 50256 if n_vocab == ENGLISH else 50257
    texts += [f"t{index}" for index in range(count - len(texts))]
    return {text: index for index, text in enumerate([*texts, "<|endoftext|>"])}
