"""whisper.cpp's ggml files, read and written without whisper.cpp.

Little-endian: the magic and 11 numbers (`HyperParameters`), the mel filters (bands, bins, float32),
the vocabulary (count, then length and bytes of each token), and tensors up to the end of the file:
number of dimensions, length of the name, type, the dimensions with the row first, name, data.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from gguf import quants
from gguf.constants import GGMLQuantizationType
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt
from edge_assistant.store.headers import inspect
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need
from edge_assistant.store.headers.tensor_types import TYPES, tensor_bytes
from edge_assistant_quantize.made import Progress, TypeShare

F32: Final = 0
F16: Final = 1

EMBEDDING: Final = "decoder.token_embedding.weight"
"""The largest tensor, which is the output projection too; its type is the type of the file."""

STAYS_F32: Final = frozenset(
    {
        "encoder.positional_embedding",
        "decoder.positional_embedding",
        "encoder.conv1.bias",
        "encoder.conv2.bias",
    }
)
"""Two-dimensional, but never packed: the rule of upstream's converter and quantiser."""

N_FFT_BINS: Final = 201
"""Of 400 samples at 16 kHz, which whisper.cpp has built in."""

_MAGIC: Final = 0x67676D6C
_START: Final = struct.Struct("<12i")
_PAIR: Final = struct.Struct("<2i")
_TRIPLE: Final = struct.Struct("<3i")
_COUNT: Final = struct.Struct("<I")
_MAX_TOKENS: Final = 51866
_MAX_TOKEN_BYTES: Final = 1024
_MAX_TENSORS: Final = 4096
"""64 layers on either side have 2,571."""
_LARGEST_F16: Final = 65504.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperParameters:
    """The 11 numbers, in the order of the file."""

    n_vocab: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    n_mels: int
    ftype: int
    """Type of the 2-D weights in ggml's numbers for files, plus 1000 times the version of its
    quantised blocks (2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One named tensor; its data come when they are asked for."""

    name: str
    shape: tuple[int, ...]
    """As numpy has it, the row last; the file has it the other way round."""
    type_id: int
    """ggml's number of the element type."""
    load: Callable[[], NDArray[Any]]
    """The data as they are in the file: float32, float16, or blocks as (..., bytes of a row)."""

    @property
    def type_name(self) -> str:
        """As ggml calls it: `Q5_1`."""
        return TYPES[self.type_id][0]

    @property
    def size_bytes(self) -> int:
        """Bytes of the data."""
        return tensor_bytes(self.type_id, self.shape[::-1]) or 0

    def values(self) -> NDArray[np.float32]:
        """The weights as float32 in their shape, unpacked where they are packed."""
        data = self.load()
        if self.type_id not in (F32, F16):
            data = quants.dequantize(data, GGMLQuantizationType(self.type_id))
        return data.astype(np.float32, copy=False).reshape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperFile:
    """Everything that such a file says."""

    hyper_parameters: HyperParameters
    filters: NDArray[np.float32]
    """Mel filters, (bands, 201)."""
    tokens: tuple[bytes, ...]
    """Bytes of the first tokens; whisper.cpp names the special ones after them itself."""
    tensors: tuple[Tensor, ...]

    @property
    def weight_type(self) -> int:
        """Type of the 2-D weights."""
        return next(each.type_id for each in self.tensors if each.name == EMBEDDING)


def read(path: Path, *, with_f32: bool = False) -> WhisperFile:
    """Read all but the weights; these are read tensor by tensor, when they are used.

    Args:
        path: a ggml file of whisper.cpp.
        with_f32: let a file of F32 weights through, which the header checks refuse because
            whisper.cpp ends the process at its convolutions. Only for callers that write another
            file of it and have that one checked: here no native code sees it.

    Raises:
        ModelCorrupt: `header-invalid`, `wrong-format`.
        ModelNotFound: no such regular file.
    """
    if not (with_f32 and _is_f32(path)):
        inspect(path, "ggml")
    source = ByteSource(path)
    try:
        return _parse(source, path)
    except HeaderFault as error:
        raise ModelCorrupt("header-invalid", f"{path.name} (ggml): {error}", "") from error
    finally:
        source.close()


def write(path: Path, model: WhisperFile, progress: Progress | None = None) -> None:
    """Write a file, one tensor in memory at a time; `progress` hears of every tensor."""
    total = sum(each.size_bytes for each in model.tensors)
    done = 0
    with path.open("wb") as file:
        file.write(_START.pack(_MAGIC, *astuple(model.hyper_parameters)))
        file.write(_PAIR.pack(*model.filters.shape))
        file.write(model.filters.astype("<f4").tobytes())
        file.write(_COUNT.pack(len(model.tokens)))
        file.write(b"".join(_COUNT.pack(len(token)) + token for token in model.tokens))
        for tensor in model.tensors:
            name = tensor.name.encode("ascii")
            file.write(_TRIPLE.pack(len(tensor.shape), len(name), tensor.type_id))
            file.write(struct.pack(f"<{len(tensor.shape)}i", *tensor.shape[::-1]) + name)
            data = np.ascontiguousarray(tensor.load())
            if data.nbytes != tensor.size_bytes:
                raise ValueError(f"{tensor.name}: {data.nbytes} bytes, not {tensor.size_bytes}")
            file.write(data.data)
            done += tensor.size_bytes
            if progress is not None:
                progress(tensor.name, done / total)


def types(model: WhisperFile) -> tuple[TypeShare, ...]:
    """Count tensors and bytes of every type, most bytes first."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for tensor in model.tensors:
        counts[tensor.type_name] += 1
        sizes[tensor.type_name] += tensor.size_bytes
    return tuple(
        TypeShare(type_name=name, tensors=counts[name], size_bytes=size)
        for name, size in sizes.most_common()
    )


def pack(values: NDArray[np.float32], type_id: int) -> NDArray[Any]:
    """Bring weights into the layout of a type; rows must be whole blocks of it.

    Raises:
        ValueError: weights that are not finite, or too large for the float16 in every type but
            F32: whisper.cpp would compute with infinities.
    """
    limit = np.finfo(np.float32).max if type_id == F32 else _LARGEST_F16
    # Not `> limit`: NaN is not larger than anything.
    if not bool(np.all(np.abs(values) <= limit)):
        raise ValueError("weights that are infinite, not a number, or beyond float16")
    # Blocks of tiny weights divide by a scale that underflows; it is stored as 0, and so are they.
    with np.errstate(all="ignore"):
        return np.asarray(quants.quantize(values, GGMLQuantizationType(type_id)))


def _is_f32(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_START.size)
    except OSError:
        return False
    if len(start) < _START.size:
        return False
    magic, *_, ftype = _START.unpack(start)
    return bool(magic == _MAGIC and ftype == 0)


def _parse(source: ByteSource, path: Path) -> WhisperFile:
    magic, *numbers = source.unpack(_START, 0)
    need(magic == _MAGIC, "no ggml magic")
    names = [each.name for each in fields(HyperParameters)]
    hyper = HyperParameters(**dict(zip(names, numbers, strict=True)))
    bands, bins = source.unpack(_PAIR, _START.size)
    need(bands == hyper.n_mels and bands in (80, 128) and bins == N_FFT_BINS, "odd mel filters")
    position = _START.size + _PAIR.size
    filters = np.frombuffer(source.read(position, bands * bins * 4), "<f4").reshape(bands, bins)
    position += filters.nbytes
    (count,) = source.unpack(_COUNT, position)
    need(1 <= count <= _MAX_TOKENS, f"{count} tokens")
    tokens, position = _read_tokens(source, position + _COUNT.size, count)
    tensors = _read_tensors(source, position, path)
    need(EMBEDDING in tensors, f"no tensor {EMBEDDING!r}")
    return WhisperFile(
        hyper_parameters=hyper, filters=filters, tokens=tokens, tensors=tuple(tensors.values())
    )


def _read_tokens(source: ByteSource, position: int, count: int) -> tuple[tuple[bytes, ...], int]:
    tokens: list[bytes] = []
    while len(tokens) < count:
        block, at = source.peek(position), 0
        while len(tokens) < count and at + _COUNT.size <= len(block):
            (length,) = _COUNT.unpack_from(block, at)
            need(length <= _MAX_TOKEN_BYTES, f"a token of {length} bytes")
            start = at + _COUNT.size
            if start + length > len(block):
                break
            tokens.append(block[start : start + length])
            at = start + length
        need(at > 0, "the vocabulary goes past the end of the file")
        position += at
    return tuple(tokens), position


def _read_tensors(source: ByteSource, position: int, path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    while position < source.size_bytes:
        n_dims, name_bytes, type_id = source.unpack(_TRIPLE, position)
        need(1 <= n_dims <= 4 and 1 <= name_bytes <= 128, "an odd tensor")
        position += _TRIPLE.size
        dims = source.unpack(struct.Struct(f"<{n_dims}i"), position)
        position += 4 * n_dims
        name = source.read(position, name_bytes).decode("ascii", "replace")
        position += name_bytes
        size = tensor_bytes(type_id, dims)
        need(size is not None, f"tensor {name!r}: type and shape cannot go together")
        need(name.isascii() and name not in tensors, f"tensor {name!r} is there twice")
        need(len(tensors) < _MAX_TENSORS, "too many tensors")
        need(position + (size or 0) <= source.size_bytes, f"cut off inside tensor {name!r}")
        shape = dims[::-1]
        load = partial(_load, path, position, shape, type_id)
        tensors[name] = Tensor(name=name, shape=shape, type_id=type_id, load=load)
        position += size or 0
    return tensors


def _load(path: Path, offset: int, shape: tuple[int, ...], type_id: int) -> NDArray[Any]:
    size = tensor_bytes(type_id, shape[::-1]) or 0
    data = np.fromfile(path, dtype=np.uint8, count=size, offset=offset)
    if data.size < size:
        raise ModelCorrupt(
            "header-invalid", f"{path.name} (ggml): it became shorter while it was read", ""
        )
    if type_id == F32:
        return data.view("<f4").reshape(shape)
    if type_id == F16:
        return data.view("<f2").reshape(shape)
    return data.reshape(*shape[:-1], -1)
