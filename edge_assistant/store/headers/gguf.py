"""GGUF, versions 2 and 3: metadata, tensor table, aligned data.

Bounds follow what llama.cpp itself accepts (arrays do not nest, names under 64 bytes, at most four
dimensions, offsets without gaps or overlap), plus ceilings so that a lie costs no time or memory.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import NoReturn

from edge_assistant.store.headers.info import HeaderInfo
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need
from edge_assistant.store.headers.tensor_types import TYPES, tensor_bytes

_HEAD = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_ARRAY = struct.Struct("<IQ")
_TENSOR_TAIL = struct.Struct("<IQ")

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_FLOAT, _STRING, _ARRAY_TYPE = 6, 8, 9

_MAX_KEYS = 4096
_MAX_TENSORS = 16_384
_MAX_KEY_BYTES = 256
_MAX_STRING_BYTES = 1 << 20
_MAX_STRINGS = 1_000_000
"""Over all arrays; 262,144 tokens with twice as many merges fit."""
_MAX_LAYERS = 512
_MARKS = (
    ("<|im_start|>", "chatml"),
    ("<|start_header_id|>", "llama3"),
    ("<start_of_turn>", "gemma"),
)

_Value = int | float | str | tuple[int, int]
"""An array is kept as its element type and length only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """One tensor of the table, which lies within the file."""

    name: str
    type_name: str
    dims: tuple[int, ...]
    """Length of a row first."""
    position: int
    """Bytes from the beginning of the file."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufContents:
    """What a GGUF file says of itself, whatever it is for."""

    metadata: Metadata
    tensors: tuple[GgufTensor, ...]


def parse(source: ByteSource) -> HeaderInfo:
    """Walk a file as `walk` does, and check that it is a language model."""
    return _checked(walk(source))


def walk(source: ByteSource) -> GgufContents:
    """Walk metadata and tensor table, and check every tensor against the size of the file.

    Raises:
        HeaderFault: something is beyond its bounds.
    """
    magic, version, n_tensors, n_keys = source.unpack(_HEAD, 0)
    need(magic == b"GGUF", "no GGUF magic")  # type: ignore[comparison-overlap]
    need(version in (2, 3), f"version {version} (a big-endian file looks like this too)")
    rest = source.size_bytes - _HEAD.size
    need(n_keys <= _MAX_KEYS and n_keys * 13 <= rest, f"{n_keys} keys")
    need(1 <= n_tensors <= _MAX_TENSORS and n_tensors * 33 <= rest, f"{n_tensors} tensors")
    metadata = Metadata(source)
    position = metadata.read(_HEAD.size, n_keys)
    alignment = metadata.whole("general.alignment", 32)
    need(8 <= alignment <= 4096 and alignment & (alignment - 1) == 0, f"alignment {alignment}")
    tensors = _walk_tensors(source, position, n_tensors, alignment)
    return GgufContents(metadata=metadata, tensors=tensors)


class Metadata:
    """Key and value pairs of one file."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._strings_left = _MAX_STRINGS
        self.values: dict[str, _Value] = {}

    def read(self, position: int, n_keys: int) -> int:
        """Read all pairs from `position` on; returns where they end."""
        for _ in range(n_keys):
            key, position = self._string(position, _MAX_KEY_BYTES)
            (type_id,) = self._source.unpack(_U32, position)
            need(key != "" and key not in self.values, f"key {key[:64]!r} is empty or there twice")
            self.values[key], position = self._value(type_id, position + 4)
        return position

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            _refuse(f"{key} is missing or no whole number")
        return value

    def text(self, key: str, default: str = "") -> str:
        """Return a string."""
        value = self.values.get(key, default)
        return value if isinstance(value, str) else _refuse(f"{key} is no text")

    def length(self, key: str, element: int) -> int | None:
        """Return the length of an array of `element`s; None if there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, tuple) or value[0] != element:
            _refuse(f"{key} is not the array that it should be")
        return value[1]

    def _value(self, type_id: int, position: int) -> tuple[_Value, int]:
        if type_id == _STRING:
            return self._string(position, _MAX_STRING_BYTES)
        if type_id == _ARRAY_TYPE:
            element, count = self._source.unpack(_ARRAY, position)
            return (element, count), self._skip_array(element, count, position + _ARRAY.size)
        layout = _SCALARS.get(type_id)
        if layout is None:
            _refuse(f"value type {type_id}")
        return self._source.unpack(layout, position)[0], position + layout.size

    def _skip_array(self, element: int, count: int, position: int) -> int:
        if element == _STRING:
            need(count <= self._strings_left, f"an array of {count} strings")
            self._strings_left -= count
            return self._skip_strings(count, position)
        layout = _SCALARS.get(element)
        if layout is None:
            _refuse(f"an array of type {element}")
        end = position + count * layout.size
        need(end <= self._source.size_bytes, f"an array of {count} goes past the end of the file")
        return end

    def _skip_strings(self, count: int, position: int) -> int:
        unpack = _U64.unpack_from
        while count:
            block = self._source.peek(position)
            at, last = 0, len(block) - 8
            need(last >= 0, "an array of strings goes past the end of the file")
            while count and at <= last:
                (length,) = unpack(block, at)
                if length > _MAX_STRING_BYTES:
                    _refuse(f"a string of {length} bytes")
                at += 8 + length
                count -= 1
            position += at
        need(position <= self._source.size_bytes, "a string goes past the end of the file")
        return position

    def _string(self, position: int, max_bytes: int) -> tuple[str, int]:
        (length,) = self._source.unpack(_U64, position)
        need(length <= max_bytes, f"a string of {length} bytes")
        raw = self._source.read(position + 8, length)
        return raw.decode("utf-8", "replace"), position + 8 + length


def _walk_tensors(
    source: ByteSource, position: int, count: int, alignment: int
) -> tuple[GgufTensor, ...]:
    names: set[bytes] = set()
    found: list[tuple[str, str, tuple[int, ...], int, int]] = []
    expected_offset = end_offset = 0
    for _ in range(count):
        (name_bytes,) = source.unpack(_U64, position)
        need(1 <= name_bytes < 64, f"a tensor name of {name_bytes} bytes")
        name = source.read(position + 8, name_bytes)
        need(name not in names, f"tensor {name!r} is there twice")
        names.add(name)
        position += 8 + name_bytes
        (n_dims,) = source.unpack(_U32, position)
        need(1 <= n_dims <= 4, f"a tensor of {n_dims} dimensions")
        dims = source.unpack(struct.Struct(f"<{n_dims}Q"), position + 4)
        position += 4 + 8 * n_dims
        type_id, offset = source.unpack(_TENSOR_TAIL, position)
        position += _TENSOR_TAIL.size
        data_bytes = tensor_bytes(type_id, dims)
        if data_bytes is None:
            _refuse(f"tensor {name!r} has type {type_id} and shape {dims}")
        need(offset == expected_offset, f"tensor {name!r} overlaps another or leaves a gap")
        end_offset = offset + data_bytes
        expected_offset = _aligned(end_offset, alignment)
        found.append((name.decode("utf-8", "replace"), TYPES[type_id][0], dims, offset, data_bytes))
    # Writers may leave out the padding after the last tensor, never a byte of the tensor itself.
    data = _aligned(position, alignment)
    need(
        data + end_offset <= source.size_bytes,
        f"cut off: the tensors need {data + end_offset} bytes, the file has {source.size_bytes}",
    )
    return tuple(
        GgufTensor(name=name, type_name=kind, dims=dims, position=data + offset, size_bytes=size)
        for name, kind, dims, offset, size in found
    )


def _checked(contents: GgufContents) -> HeaderInfo:
    walk = contents.metadata
    architecture = walk.text("general.architecture")
    need(0 < len(architecture) <= 64 and architecture.isascii(), "no general.architecture")
    layers = walk.whole(f"{architecture}.block_count")
    need(1 <= layers <= _MAX_LAYERS, f"{layers} layers")
    for key in ("embedding_length", "context_length"):
        need(1 <= walk.whole(f"{architecture}.{key}") < 1 << 31, f"odd {key}")
    tokens = walk.length("tokenizer.ggml.tokens", _STRING)
    if not tokens:
        _refuse("no vocabulary")
    for key, element in (("scores", _FLOAT), ("token_type", 5)):
        length = walk.length(f"tokenizer.ggml.{key}", element)
        need(length in (None, tokens), f"{length} {key} for {tokens} tokens")
    chat = walk.text("tokenizer.chat_template")
    template = next((name for mark, name in _MARKS if mark in chat), "")
    types: Counter[str] = Counter()
    for tensor in contents.tensors:
        types[tensor.type_name] += tensor.size_bytes
    main_type = types.most_common(1)[0][0]
    return HeaderInfo(
        form="gguf",
        summary=f"{architecture}, {layers} layers, {tokens} tokens, mostly {main_type}",
        template="lfm2" if architecture == "lfm2" and template == "chatml" else template,
    )


def _aligned(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment


def _refuse(fault: str) -> NoReturn:
    raise HeaderFault(fault)
