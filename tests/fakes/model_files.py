"""Small valid model files of every format, and ways to spoil them. No weights, no downloads.

The ggml, GGUF, ONNX and ORT files load in the real libraries: they are models, only useless ones.
"""

from __future__ import annotations

import json
import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from edge_assistant.store.headers.tensor_types import TYPES, tensor_bytes

Dims = tuple[int, ...]

HTML = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not here</body></html>\n" * 40


def _noise(count: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(count)


# whisper.cpp


def whisper_tensors(
    state: int, layers: int, weight: int, n_vocab: int
) -> list[tuple[str, Dims, int]]:
    """Name, shape and type of every tensor, in an order of upstream's converter."""
    attention: list[tuple[str, Dims, int]] = [
        ("_ln.weight", (state,), 0),
        ("_ln.bias", (state,), 0),
        (".query.weight", (state, state), weight),
        (".query.bias", (state,), 0),
        (".key.weight", (state, state), weight),
        (".value.weight", (state, state), weight),
        (".value.bias", (state,), 0),
        (".out.weight", (state, state), weight),
        (".out.bias", (state,), 0),
    ]
    perceptron: list[tuple[str, Dims, int]] = [
        ("mlp_ln.weight", (state,), 0),
        ("mlp_ln.bias", (state,), 0),
        ("mlp.0.weight", (state, 4 * state), weight),
        ("mlp.0.bias", (4 * state,), 0),
        ("mlp.2.weight", (4 * state, state), weight),
        ("mlp.2.bias", (state,), 0),
    ]
    tensors: list[tuple[str, Dims, int]] = [
        ("encoder.positional_embedding", (state, 1500), 0),
        ("encoder.conv1.weight", (3, 80, state), min(weight, 1)),
        ("encoder.conv1.bias", (1, state), 0),
        ("encoder.conv2.weight", (3, state, state), min(weight, 1)),
        ("encoder.conv2.bias", (1, state), 0),
        ("encoder.ln_post.weight", (state,), 0),
        ("encoder.ln_post.bias", (state,), 0),
        ("decoder.positional_embedding", (state, 448), 0),
        ("decoder.token_embedding.weight", (state, n_vocab), weight),
        ("decoder.ln.weight", (state,), 0),
        ("decoder.ln.bias", (state,), 0),
    ]
    for side, kinds in (("encoder", ("attn",)), ("decoder", ("attn", "cross_attn"))):
        for layer in range(layers):
            block = f"{side}.blocks.{layer}"
            tensors += [(f"{block}.{name}", dims, kind) for name, dims, kind in perceptron]
            for kind_of in kinds:
                tensors += [(f"{block}.{kind_of}{n}", dims, kind) for n, dims, kind in attention]
    return tensors


@cache
def ggml_whisper(*, state: int = 32, layers: int = 1, ftype: int = 7, seed: int = 1) -> bytes:
    """Build an English Whisper of one narrow layer; `ftype` 0, 1, 2, 3, 7, 8 or 9."""
    weight = {0: 0, 1: 1, 2: 2, 3: 3, 7: 8, 8: 6, 9: 7}[ftype]
    n_vocab = 51864
    parts = [
        struct.pack(
            "<12i", 0x67676D6C, n_vocab, 1500, state, 1, layers, 448, state, 1, layers, 80, ftype
        ),
        struct.pack("<2i", 80, 201),
        bytes(80 * 201 * 4),
        struct.pack("<I", 50257),
        b"".join(struct.pack("<I", len(token)) + token for token in _whisper_tokens()),
    ]
    for name, dims, kind in whisper_tensors(state, layers, weight, n_vocab):
        parts.append(struct.pack("<3i", len(dims), len(name), kind))
        parts.append(struct.pack(f"<{len(dims)}i", *dims) + name.encode())
        parts.append(tensor_data(kind, dims, seed))
    return b"".join(parts)


def _whisper_tokens() -> list[bytes]:
    # whisper.cpp looks these three up by name and throws where they are missing.
    special = [b" ", b" -", b" '"]
    return [*special, *(b"%04x" % (i & 0xFFFF) for i in range(50257 - len(special)))]


def tensor_data(kind: int, dims: Dims, seed: int) -> bytes:
    """Small finite numbers in the layout of a type: noise that is read as floats would be NaN."""
    size = tensor_bytes(kind, dims)
    assert size is not None
    name, _, block_bytes = TYPES[kind]
    if name == "F32":
        return struct.pack("<f", 0.01) * (size // 4)
    if name == "F16":
        return struct.pack("<e", 0.01) * (size // 2)
    block = struct.pack("<e", 0.001)
    return (block + _noise(block_bytes - len(block), seed)[: block_bytes - len(block)]) * (
        size // block_bytes
    )


# GGUF


def gguf_string(text: str) -> bytes:
    """A length and the bytes."""
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(value: object) -> bytes:
    """A type and a value: str, bool, int (u32), float, or a list of one of them."""
    match value:
        case str():
            return struct.pack("<I", 8) + gguf_string(value)
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case list() if isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(gguf_string, value))
        case list() if isinstance(value[0], int):
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
        case list():
            return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
    raise TypeError(value)


def gguf(
    keys: dict[str, object],
    tensors: list[tuple[str, Dims, int]],
    *,
    version: int = 3,
    align: int = 32,
) -> bytes:
    """Assemble a file; offsets are laid out as llama.cpp wants them."""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(keys))
    head += b"".join(gguf_string(key) + gguf_value(value) for key, value in keys.items())
    data = b""
    for name, dims, kind in tensors:
        head += gguf_string(name) + struct.pack(
            f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data)
        )
        data += tensor_data(kind, dims, 1)
        data += bytes(-len(data) % align)
    return head + bytes(-len(head) % align) + data


def llama_keys(*, n_tokens_extra: int = 0, template: str = "") -> dict[str, object]:
    """Metadata of a llama with one layer of 32 and a byte vocabulary."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", "▁a"]
    kinds = [2, 3, 3, *([6] * 256), 1, 1]
    keys: dict[str, object] = {
        "general.architecture": "llama",
        "general.name": "nothing",
        "llama.block_count": 1,
        "llama.context_length": 128,
        "llama.embedding_length": 32,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": 16,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(tokens) + n_tokens_extra)],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }
    return keys | ({"tokenizer.chat_template": template} if template else {})


def llama_tensors(kind: int = 0) -> list[tuple[str, Dims, int]]:
    """Tensors of that llama."""
    block: list[tuple[str, Dims]] = [
        ("attn_q", (32, 32)),
        ("attn_k", (32, 32)),
        ("attn_v", (32, 32)),
        ("attn_output", (32, 32)),
        ("ffn_gate", (32, 64)),
        ("ffn_up", (32, 64)),
        ("ffn_down", (64, 32)),
    ]
    return [
        ("token_embd.weight", (32, 261), kind),
        ("output_norm.weight", (32,), 0),
        ("output.weight", (32, 261), kind),
        ("blk.0.attn_norm.weight", (32,), 0),
        ("blk.0.ffn_norm.weight", (32,), 0),
        *((f"blk.0.{name}.weight", dims, kind) for name, dims in block),
    ]


@cache
def gguf_llama(*, kind: int = 8, version: int = 3, template: str = "") -> bytes:
    """Build a llama that llama.cpp loads and runs."""
    return gguf(llama_keys(template=template), llama_tensors(kind), version=version)


# ONNX and ORT


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def onnx_tensor(name: str, dims: Dims, *, extra: bytes = b"", raw: bytes | None = None) -> bytes:
    """A TensorProto of float32."""
    count = 1
    for dim in dims:
        count *= dim
    data = struct.pack("<f", 0.5) * count if raw is None else raw
    head = b"".join(field(1, dim) for dim in dims) + field(2, 1) + field(8, name)
    return head + extra + field(9, data)


def _onnx_value(name: str, width: int) -> bytes:
    shape = field(1, field(1, 1)) + field(1, field(1, width))
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def onnx_model(*, width: int = 512, tensor: bytes | None = None, node_extra: bytes = b"") -> bytes:
    """Build y = x + weights."""
    node = field(1, "x") + field(1, "w") + field(2, "y") + field(4, "Add") + node_extra
    tensor = tensor if tensor is not None else onnx_tensor("w", (1, width))
    graph = field(1, node) + field(2, "g") + field(5, tensor)
    graph += field(11, _onnx_value("x", width)) + field(12, _onnx_value("y", width))
    return field(1, 8) + field(2, "test") + field(7, graph) + field(8, field(1, "") + field(2, 15))


@cache
def ort_model() -> bytes:
    """Let onnxruntime convert the model above."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.ort"
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(target)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.add_session_config_entry("session.save_model_format", "ORT")
        onnxruntime.InferenceSession(onnx_model(), options, providers=["CPUExecutionProvider"])
        return target.read_bytes()


def piper_config(**changes: object) -> bytes:
    """The JSON beside a voice."""
    config = {
        "audio": {"sample_rate": 22050, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_speakers": 1,
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a": [3]},
    }
    return json.dumps(config | changes).encode()


GOOD: dict[str, Callable[[], bytes]] = {
    "model.bin": ggml_whisper,
    "model.gguf": gguf_llama,
    "model.onnx": onnx_model,
    "model.ort": ort_model,
}
"""A name and its builder for every format that native code loads."""


def corruptions(name: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Spoil a good file in `count` ways; each comes with what was done to it."""
    good = GOOD[name]()
    rng = random.Random(seed)
    others = [build() for other, build in GOOD.items() if other != name]
    fixed = [
        ("empty", b""),
        ("one byte", good[:1]),
        ("HTML", HTML),
        ("noise", _noise(4096, seed)),
        ("zeros", bytes(len(good))),
        *(("wrong type", other) for other in others),
        ("last byte missing", good[:-1]),
        ("tail added", good + b"\0"),
    ]
    yield from fixed[:count]
    for index in range(count - len(fixed)):
        if index % 2:
            cut = rng.randrange(1, len(good))
            yield f"truncated at {cut}", good[:cut]
        else:
            bit = rng.randrange(len(good) * 8)
            spoiled = bytearray(good)
            spoiled[bit // 8] ^= 1 << bit % 8
            yield f"bit {bit} flipped", bytes(spoiled)
