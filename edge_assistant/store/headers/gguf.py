"""GGUF, versions 2 and 3: metadata, tensor table, aligned data.

Bounds follow what llama.cpp itself accepts (arrays do not nest, names under 64 bytes, at most four
dimensions, offsets without gaps or overlap), plus ceilings so that a lie costs no time or memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NoReturn

from edge_assistant.store.headers.info import DEFAULT_CONTEXT, HeaderInfo, Tally, shown, tags
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need
from edge_assistant.store.headers.tensor_types import TYPES, tensor_bytes

_HEAD = struct.Struct("<4sIQQ")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_ARRAY = struct.Struct("<IQ")
_TENSOR_TAIL = struct.Struct("<IQ")
_DIMS = [struct.Struct(f"<{n_dims}Q") for n_dims in (1, 2, 3, 4)]

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
_MAX_TENSORS = 8192
_MAX_KEY_BYTES = 256
_MAX_STRING_BYTES = 1 << 20
_STRINGS = 120_000, 100, 1_000_000
"""For `ByteSource.budget`, over all arrays. 120,000 take 20 ms, and a vocabulary of 49,152 tokens
with its merges needs fewer. In a file of 70 MB, 262,144 tokens with twice as many merges fit."""
_MAX_LAYERS = 512
_MARKS = (
    ("<|im_start|>", "chatml"),
    ("<|start_header_id|>", "llama3"),
    ("<start_of_turn>", "gemma"),
    ("<|start_of_role|>", "granite"),
)
_KEPT = ("general.languages", ".attention.head_count_kv")
"""How the keys of the arrays end that are read, if they are short; all others are skipped."""
_MAX_KEPT = 512
_MAX_KEPT_BYTES = 64
_LISTS = {4: "I", 5: "i"}

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
        self._strings_left = source.budget(*_STRINGS)
        self.values: dict[str, _Value] = {}
        self.lists: dict[str, tuple[object, ...]] = {}

    def read(self, position: int, n_keys: int) -> int:
        """Read all pairs from `position` on; returns where they end."""
        for _ in range(n_keys):
            key, position = self._string(position, _MAX_KEY_BYTES)
            (type_id,) = self._source.unpack(_U32, position)
            need(key != "" and key not in self.values, f"key {key[:64]!r} is empty or there twice")
            start = position + 4
            self.values[key], position = self._value(type_id, start)
            if type_id == _ARRAY_TYPE and key.endswith(_KEPT):
                self.lists[key] = self._short_list(start)
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

    def number(self, key: str) -> int:
        """Return a whole number that only describes the model; 0 where it is odd or missing."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int):
            return 0
        return value if 0 < value < 1 << 20 else 0

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
            fits = count * _U64.size <= self._source.size_bytes - position
            need(count <= self._strings_left and fits, f"an array of {count} strings")
            self._strings_left -= count
            return self._skip_strings(count, position)
        layout = _SCALARS.get(element)
        if layout is None:
            _refuse(f"an array of type {element}")
        end = position + count * layout.size
        need(end <= self._source.size_bytes, f"an array of {count} goes past the end of the file")
        return end

    def _short_list(self, position: int) -> tuple[object, ...]:
        """Read an array that was skipped before, so lies in the file; empty if it is long."""
        element, count = self._source.unpack(_ARRAY, position)
        position += _ARRAY.size
        if count > _MAX_KEPT:
            return ()
        if element in _LISTS:
            return self._source.unpack(struct.Struct(f"<{count}{_LISTS[element]}"), position)
        words: list[object] = []
        while element == _STRING and len(words) < count:
            (length,) = self._source.unpack(_U64, position)
            if length > _MAX_KEPT_BYTES:
                return ()
            word, position = self._string(position, _MAX_KEPT_BYTES)
            words.append(word)
        return tuple(words)

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
    # Not `need`, which would spell out a fault for every sound tensor.
    for _ in range(count):
        (name_bytes,) = source.unpack(_U64, position)
        if not 1 <= name_bytes < 64:
            _refuse(f"a tensor name of {name_bytes} bytes")
        name = source.read(position + 8, name_bytes)
        if name in names:
            _refuse(f"tensor {name!r} is there twice")
        names.add(name)
        position += 8 + name_bytes
        (n_dims,) = source.unpack(_U32, position)
        if not 1 <= n_dims <= 4:
            _refuse(f"a tensor of {n_dims} dimensions")
        dims = source.unpack(_DIMS[n_dims - 1], position + 4)
        position += 4 + 8 * n_dims
        type_id, offset = source.unpack(_TENSOR_TAIL, position)
        position += _TENSOR_TAIL.size
        data_bytes = tensor_bytes(type_id, dims)
        if data_bytes is None:
            _refuse(f"tensor {name!r} has type {type_id} and shape {dims}")
        if offset != expected_offset:
            _refuse(f"tensor {name!r} overlaps another or leaves a gap")
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
    tally = Tally()
    for tensor in contents.tensors:
        tally.add(tensor.type_name, tensor.size_bytes)
    architecture = walk.text("general.architecture")
    is_sound = 0 < len(architecture) <= 64 and architecture.isascii() and architecture.isprintable()
    need(is_sound, "no general.architecture")
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
    types = tally.types()
    context_length = walk.whole(f"{architecture}.context_length")
    token_bytes = _token_bytes(walk, architecture, layers)
    return HeaderInfo(
        form="gguf",
        summary=f"{architecture}, {layers} layers, {tokens} tokens, mostly {next(iter(types))}",
        types=types,
        licence=_licence(walk),
        languages=tags(walk.lists.get("general.languages", ())),
        template=_template(architecture, chat),
        has_template=chat != "",
        context_length=context_length,
        cache_bytes=min(context_length, DEFAULT_CONTEXT) * token_bytes,
    )


def _licence(walk: Metadata) -> str:
    """Join the two keys of it: `other (lfm1.0)` is how the hub tells a licence of its own."""
    licence = shown(walk.values.get("general.license"))
    name = shown(walk.values.get("general.license.name"))
    return f"{licence} ({name})" if licence and name else licence or name


def _template(architecture: str, chat: str) -> str:
    """Judge from its marks which of our pinned templates the file's own is like."""
    template = next((name for mark, name in _MARKS if mark in chat), "")
    if template != "chatml":
        return template
    if architecture == "lfm2":
        return "lfm2"
    # Models that think aloud unless they are told not to; those that cannot do not have the switch.
    return "qwen3" if "enable_thinking" in chat else template


def _token_bytes(walk: Metadata, architecture: str, layers: int) -> int:
    """Bytes of keys and values of one token over all layers, in F16; 0 where it cannot be told.

    Layers that look back over a window only, as those of Gemma, are counted in full.
    """
    prefix = f"{architecture}.attention"
    heads = walk.number(f"{prefix}.head_count")
    each = walk.lists.get(f"{prefix}.head_count_kv")
    if each is not None:
        counts = [count for count in each if isinstance(count, int) and 0 <= count < 1 << 16]
        kv_heads = sum(counts) if len(counts) == len(each) else 0
    else:
        kv_heads = layers * (walk.number(f"{prefix}.head_count_kv") or heads)
    width = walk.number(f"{architecture}.embedding_length") // heads if heads else 0
    key = walk.number(f"{prefix}.key_length") or width
    value = walk.number(f"{prefix}.value_length") or width
    token_bytes = 2 * kv_heads * (key + value)
    return token_bytes if key and value and token_bytes < 1 << 32 else 0


def _aligned(offset: int, alignment: int) -> int:
    return (offset + alignment - 1) // alignment * alignment


def _refuse(fault: str) -> NoReturn:
    raise HeaderFault(fault)
