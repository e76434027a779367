"""The ggml file of whisper.cpp: hyperparameters, mel filters, vocabulary, then named tensors.

whisper.cpp trusts this file: a bias that is not F32 or a vocabulary that is too long is a crash
(and pywhispercpp hands out a context even where loading failed). So every tensor has to have the
name, shape and type that the hyperparameters ask for, and the last one has to end with the file.
"""

from __future__ import annotations

import struct

from edge_assistant.store.headers.info import HeaderInfo, Tally
from edge_assistant.store.headers.source import ByteSource, need
from edge_assistant.store.headers.tensor_types import TYPES, tensor_bytes

_START = struct.Struct("<12i")
_PAIR = struct.Struct("<2i")
_TRIPLE = struct.Struct("<3i")
_COUNT = struct.Struct("<I")
_N_FFT = 201
_MAX_TOKEN_BYTES = 1024
_VOCABULARIES = {51864: "English", 51865: "multilingual", 51866: "multilingual"}
_FTYPES = {1: 1, 2: 2, 3: 3, 7: 8, 8: 6, 9: 7, 10: 10, 11: 11, 12: 12, 13: 13, 14: 14}
"""`ftype` of the file (without its version, the thousands) to the type of its 2-D weights.

0, all in F32, is left out: its convolutions are F32 too, and whisper.cpp ends the process at the
first of them (an assertion that the kernel is F16)."""

_Tensor = tuple[tuple[int, ...], int]


def parse(source: ByteSource) -> HeaderInfo:
    """Walk the whole file, skipping the weights themselves."""
    magic, *values = source.unpack(_START, 0)
    need(magic == 0x67676D6C, "no ggml magic")
    n_vocab, audio_ctx, audio_state, audio_head, audio_layer = values[:5]
    text_ctx, text_state, text_head, text_layer, n_mels, ftype = values[5:]
    need(n_vocab in _VOCABULARIES, f"{n_vocab} tokens are no Whisper vocabulary")
    for width, heads in ((audio_state, audio_head), (text_state, text_head)):
        need(1 <= heads <= 64 and 1 <= width <= 4096 and width % heads == 0, "odd width or heads")
    need(audio_state == text_state, "encoder and decoder differ in width")
    need(1 <= audio_ctx <= 3000 and 1 <= text_ctx <= 4096, "odd context lengths")
    need(1 <= audio_layer <= 64 and 1 <= text_layer <= 64, "odd number of layers")
    need(n_mels in (80, 128), f"{n_mels} mel bands")
    need(ftype % 1000 in _FTYPES and 0 <= ftype // 1000 <= 2, f"unknown ftype {ftype}")
    weight_type = _FTYPES[ftype % 1000]
    position = _skip_filters(source, _START.size, n_mels)
    position = _skip_vocabulary(source, position, n_vocab)
    shapes = _encoder(weight_type, audio_state, audio_ctx, audio_layer, n_mels)
    shapes |= _decoder(weight_type, text_state, text_ctx, text_layer, n_vocab)
    tally = _walk_tensors(source, position, shapes)
    kind = f"{_VOCABULARIES[n_vocab]}, {audio_layer} layers of {audio_state}"
    return HeaderInfo(
        form="ggml",
        summary=f"Whisper, {kind}, {TYPES[weight_type][0]}",
        types=tally.types(),
        languages=("en",) if _VOCABULARIES[n_vocab] == "English" else ("mul",),
        cache_bytes=_cache_bytes(audio_state, audio_ctx, text_ctx, text_layer),
    )


def _cache_bytes(state: int, audio_ctx: int, text_ctx: int, layers: int) -> int:
    """Keys and values in F16, each length rounded up to 256 as whisper.cpp does."""
    heard, said = (-(-length // 256) * 256 for length in (audio_ctx, text_ctx))
    return 4 * state * (layers * (said + heard) + heard)


def _skip_filters(source: ByteSource, position: int, n_mels: int) -> int:
    rows, columns = source.unpack(_PAIR, position)
    need(rows == n_mels and columns == _N_FFT, f"mel filters of {rows} x {columns}")
    return position + _PAIR.size + rows * columns * 4


def _skip_vocabulary(source: ByteSource, position: int, n_vocab: int) -> int:
    (count,) = source.unpack(_COUNT, position)
    position += 4
    # whisper.cpp names the tokens that the file lacks; it has no room for more than it expects.
    need(1 <= count <= n_vocab, f"{count} tokens where at most {n_vocab} fit")
    while count:
        block = source.peek(position)
        at, last = 0, len(block) - 4
        need(last >= 0, "the vocabulary goes past the end of the file")
        while count and at <= last:
            (length,) = _COUNT.unpack_from(block, at)
            need(length <= _MAX_TOKEN_BYTES, f"a token of {length} bytes")
            at += 4 + length
            count -= 1
        position += at
    return position


def _walk_tensors(source: ByteSource, position: int, shapes: dict[str, _Tensor]) -> Tally:
    tally = Tally()
    while position < source.size_bytes:
        n_dims, name_bytes, type_id = source.unpack(_TRIPLE, position)
        need(1 <= n_dims <= 4, f"a tensor of {n_dims} dimensions")
        need(1 <= name_bytes <= 128, f"a tensor name of {name_bytes} bytes")
        position += _TRIPLE.size
        dims = source.unpack(struct.Struct(f"<{n_dims}i"), position)
        position += 4 * n_dims
        name = source.read(position, name_bytes).decode("ascii", "replace")
        position += name_bytes
        expected = shapes.pop(name, None)
        need(expected is not None, f"tensor {name[:64]!r} is unknown or there twice")
        need((dims, type_id) == expected, f"tensor {name!r} has another shape or type")
        data_bytes = tensor_bytes(type_id, dims) or 0
        need(data_bytes > 0, f"tensor {name!r}: type and shape cannot go together")
        tally.add(TYPES[type_id][0], data_bytes)
        position += data_bytes
        need(position <= source.size_bytes, f"cut off inside tensor {name!r}")
    need(not shapes, f"{len(shapes)} tensors are missing, {next(iter(shapes), '')!r} is one")
    return tally


def _encoder(weight: int, state: int, ctx: int, layers: int, n_mels: int) -> dict[str, _Tensor]:
    # Convolutions are 3-D, and upstream quantises 2-D weights only.
    convolution = 0 if weight == 0 else 1
    shapes: dict[str, _Tensor] = {
        "encoder.positional_embedding": ((state, ctx), 0),
        "encoder.conv1.weight": ((3, n_mels, state), convolution),
        "encoder.conv1.bias": ((1, state), 0),
        "encoder.conv2.weight": ((3, state, state), convolution),
        "encoder.conv2.bias": ((1, state), 0),
        "encoder.ln_post.weight": ((state,), 0),
        "encoder.ln_post.bias": ((state,), 0),
    }
    for layer in range(layers):
        name = f"encoder.blocks.{layer}"
        shapes |= _perceptron(name, weight, state) | _attention(f"{name}.attn", weight, state)
    return shapes


def _decoder(weight: int, state: int, ctx: int, layers: int, n_vocab: int) -> dict[str, _Tensor]:
    shapes: dict[str, _Tensor] = {
        "decoder.positional_embedding": ((state, ctx), 0),
        "decoder.token_embedding.weight": ((state, n_vocab), weight),
        "decoder.ln.weight": ((state,), 0),
        "decoder.ln.bias": ((state,), 0),
    }
    for layer in range(layers):
        name = f"decoder.blocks.{layer}"
        shapes |= _perceptron(name, weight, state) | _attention(f"{name}.attn", weight, state)
        shapes |= _attention(f"{name}.cross_attn", weight, state)
    return shapes


def _perceptron(name: str, weight: int, state: int) -> dict[str, _Tensor]:
    return {
        f"{name}.mlp_ln.weight": ((state,), 0),
        f"{name}.mlp_ln.bias": ((state,), 0),
        f"{name}.mlp.0.weight": ((state, 4 * state), weight),
        f"{name}.mlp.0.bias": ((4 * state,), 0),
        f"{name}.mlp.2.weight": ((4 * state, state), weight),
        f"{name}.mlp.2.bias": ((state,), 0),
    }


def _attention(name: str, weight: int, state: int) -> dict[str, _Tensor]:
    shapes: dict[str, _Tensor] = {
        f"{name}_ln.weight": ((state,), 0),
        f"{name}_ln.bias": ((state,), 0),
    }
    for part in ("query", "key", "value", "out"):
        shapes[f"{name}.{part}.weight"] = ((state, state), weight)
        if part != "key":
            shapes[f"{name}.{part}.bias"] = ((state,), 0)
    return shapes
