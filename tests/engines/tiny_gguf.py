"""Small language models with random weights, written here: what they say means nothing.

`llama` has attention only; `mamba` is recurrent, so it cannot be rolled back to a token. Every byte
is one token, so each character beyond ASCII comes in halves.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

WIDTH = 64
CONTROL = ("<|im_start|>", "<|im_end|>")
PADDING = ("<pad0>", "<pad1>", "<pad2>", "<pad3>")
_STRING, _ARRAY, _UINT32, _FLOAT32, _INT32 = 8, 9, 4, 6, 5
_CONTROL_KIND, _USER_DEFINED_KIND = 3, 4
_ALIGNMENT = 32


def write_tiny_gguf(
    path: Path,
    *,
    architecture: Literal["llama", "mamba"] = "llama",
    markers_are_control: bool = True,
) -> Path:
    """Write a model of one or two layers that llama.cpp loads, below 0.5 MB; returns `path`.

    Args:
        path: the file.
        architecture: what llama.cpp is to take it for.
        markers_are_control: False declares the role tokens as "user defined", which some files do.
    """
    tokens = [*_byte_letters(), "th", *CONTROL, *PADDING]
    marker_kind = _CONTROL_KIND if markers_are_control else _USER_DEFINED_KIND
    kinds = [1] * 257 + [marker_kind] * len(CONTROL) + [_CONTROL_KIND] * len(PADDING)
    fields: dict[str, tuple[int, Any]] = {
        "general.architecture": (_STRING, architecture),
        "tokenizer.ggml.model": (_STRING, "gpt2"),
        "tokenizer.ggml.pre": (_STRING, "gpt-2"),
        "tokenizer.ggml.tokens": (_ARRAY, (_STRING, tokens)),
        "tokenizer.ggml.token_type": (_ARRAY, (_INT32, kinds)),
        "tokenizer.ggml.merges": (_ARRAY, (_STRING, ["t h"])),
        "tokenizer.ggml.bos_token_id": (_UINT32, tokens.index("<|im_start|>")),
        "tokenizer.ggml.eos_token_id": (_UINT32, tokens.index("<|im_end|>")),
        f"{architecture}.context_length": (_UINT32, 1024),
        f"{architecture}.embedding_length": (_UINT32, WIDTH),
        f"{architecture}.attention.layer_norm_rms_epsilon": (_FLOAT32, 1e-5),
    }
    rng = np.random.default_rng(1)
    tensors = {
        "token_embd.weight": _random(rng, len(tokens), WIDTH),
        "output.weight": _random(rng, len(tokens), WIDTH),
        "output_norm.weight": np.ones(WIDTH, np.float32),
    }
    add = _add_llama if architecture == "llama" else _add_mamba
    add(fields, tensors, rng)
    path.write_bytes(_gguf(fields, tensors))
    return path


def _add_llama(
    fields: dict[str, tuple[int, Any]],
    tensors: dict[str, NDArray[np.float32]],
    rng: np.random.Generator,
) -> None:
    fields |= {
        "llama.block_count": (_UINT32, 2),
        "llama.feed_forward_length": (_UINT32, 2 * WIDTH),
        "llama.attention.head_count": (_UINT32, 4),
        "llama.rope.dimension_count": (_UINT32, WIDTH // 4),
    }
    for layer in ("blk.0.", "blk.1."):
        tensors |= {
            f"{layer}attn_norm.weight": np.ones(WIDTH, np.float32),
            f"{layer}ffn_norm.weight": np.ones(WIDTH, np.float32),
            f"{layer}ffn_gate.weight": _random(rng, 2 * WIDTH, WIDTH),
            f"{layer}ffn_up.weight": _random(rng, 2 * WIDTH, WIDTH),
            f"{layer}ffn_down.weight": _random(rng, WIDTH, 2 * WIDTH),
        }
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{layer}{name}.weight"] = _random(rng, WIDTH, WIDTH)


def _add_mamba(
    fields: dict[str, tuple[int, Any]],
    tensors: dict[str, NDArray[np.float32]],
    rng: np.random.Generator,
) -> None:
    inner, states, rank, kernel = 2 * WIDTH, 16, 4, 4
    fields |= {
        "mamba.block_count": (_UINT32, 1),
        "mamba.ssm.conv_kernel": (_UINT32, kernel),
        "mamba.ssm.inner_size": (_UINT32, inner),
        "mamba.ssm.state_size": (_UINT32, states),
        "mamba.ssm.time_step_rank": (_UINT32, rank),
    }
    # Slow, or what was said at the beginning would not matter at the end.
    decay = np.tile(np.linspace(-0.3, -0.01, states, dtype=np.float32), (inner, 1))
    tensors |= {
        "blk.0.attn_norm.weight": np.ones(WIDTH, np.float32),
        "blk.0.ssm_in.weight": _random(rng, 2 * inner, WIDTH),
        "blk.0.ssm_conv1d.weight": _random(rng, inner, kernel),
        "blk.0.ssm_conv1d.bias": np.zeros(inner, np.float32),
        "blk.0.ssm_x.weight": _random(rng, rank + 2 * states, inner),
        "blk.0.ssm_dt.weight": _random(rng, inner, rank),
        "blk.0.ssm_dt.bias": np.zeros(inner, np.float32),
        "blk.0.ssm_a": decay,
        "blk.0.ssm_d": np.ones(inner, np.float32),
        "blk.0.ssm_out.weight": _random(rng, WIDTH, inner),
    }


def _random(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    tensor: NDArray[np.float32] = rng.standard_normal((rows, columns), np.float32)
    return tensor / np.float32(np.sqrt(columns))


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a GPT-2 vocabulary, in byte order."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(spare)) for byte in range(256)]


def _gguf(fields: dict[str, tuple[int, Any]], tensors: dict[str, NDArray[np.float32]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    for key, (kind, value) in fields.items():
        head += _string(key) + struct.pack("<I", kind) + _value(kind, value)
    offset = 0
    data = b""
    for name, tensor in tensors.items():
        sizes = tensor.shape[::-1]
        head += _string(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, 0, offset)
        data += _padded(tensor.tobytes())
        offset = len(data)
    return _padded(head) + data


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _string(value)
    if kind == _ARRAY:
        inner, items = value
        body = b"".join(_value(inner, item) for item in items)
        return struct.pack("<IQ", inner, len(items)) + body
    return struct.pack({_UINT32: "<I", _INT32: "<i", _FLOAT32: "<f"}[kind], value)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
