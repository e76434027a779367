"""Safetensors files, single or in shards, read with numpy alone.

The header is parsed and bounded by our own code, and by the rules of the format: the data of the
tensors lie one behind the other and fill the file, without gap or overlap. Nothing is mapped into
memory: a file that shrinks meanwhile would end the process with SIGBUS.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.store.hashing import identify
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.json_files import parse_object, read_object

Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float16]

_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES: Final = 1 << 20
"""Whisper large-v3 has 0.14 MB. The format allows 100 MB, which would take seconds to parse."""
_MAX_TENSORS: Final = 16_384
_MAX_NAME_BYTES: Final = 512
_MAX_DIMS: Final = 8
_MAX_ELEMENTS: Final = 1 << 40
_MAX_SHARDS: Final = 256
_BLOCK_ELEMENTS: Final = 1 << 22
_TYPE_BYTES: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
_READABLE: Final = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyTensor:
    """Where a tensor is; its numbers are read when they are asked for."""

    name: str
    dtype: str
    """As the format calls it: `F32`, `F16`, `BF16`, `I64`."""
    shape: tuple[int, ...]
    path: Path
    offset: int
    """Of the first byte, from the beginning of the file."""
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return self.size_bytes // _TYPE_BYTES[self.dtype]

    def read(self, dtype: type[np.float32] | type[np.float16] = np.float32) -> Floats:
        """Read all numbers, rounded to nearest where `dtype` is coarser than the file's type.

        A number beyond the range of `dtype` becomes infinite. Any thread; besides what it returns
        it takes about 50 MB.

        Raises:
            WorkshopError: `tensor-type`: the numbers are not floating-point.
            ModelCorrupt: `file-changed`: the file is not what it was when it was opened.
        """
        if self.dtype not in _READABLE:
            raise WorkshopError(
                "tensor-type",
                f"{self.name} in {self.path.name} has type {self.dtype}",
                "take the checkpoint in float32, float16 or bfloat16",
            )
        out: NDArray[Any] = np.empty(self.elements, dtype)
        stored = np.dtype(_READABLE[self.dtype])
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.offset)
                for start in range(0, len(out), _BLOCK_ELEMENTS):
                    part = out[start : start + _BLOCK_ELEMENTS]
                    raw = np.empty(len(part), stored)
                    if file.readinto(raw.view(np.uint8).data) != raw.nbytes:
                        raise _changed(self.path)
                    with np.errstate(over="ignore"):
                        part[:] = _widened(raw) if self.dtype == "BF16" else raw
        except OSError as error:
            raise ModelNotFound(
                "file-unreadable", f"cannot read {self.path}: {error.strerror}", ""
            ) from error
        return out.reshape(self.shape)


def open_tensors(source: Path) -> Mapping[str, LazyTensor]:
    """Find the tensors of a file, or of a folder with `model.safetensors` or an index of shards.

    Returns:
        Every tensor by its name, in the order of the data in the file.

    Raises:
        ModelNotFound: `file-missing`, `not-a-file`, `no-safetensors`, `file-unreadable`.
        ModelCorrupt: `header-invalid`, `json-invalid`: header, index and files do not add up.
    """
    if not source.is_dir():
        return MappingProxyType(_tensors_of(source))
    if (source / SINGLE).exists():
        return MappingProxyType(_tensors_of(source / SINGLE))
    if (source / INDEX).exists():
        return MappingProxyType(_tensors_of_shards(source))
    raise ModelNotFound(
        "no-safetensors",
        f"{source} has neither {SINGLE} nor {INDEX}",
        "take the checkpoint that has its weights in safetensors",
    )


def _tensors_of_shards(folder: Path) -> dict[str, LazyTensor]:
    index = read_object(folder / INDEX, 4 * _MAX_HEADER_BYTES)
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or len(places) > _MAX_TENSORS:
        raise _invalid(folder / INDEX, "no weight_map, or one too large")
    names = {place for place in places.values() if isinstance(place, str)}
    if len(names) > _MAX_SHARDS or not all(map(_is_plain, places.values())):
        raise _invalid(folder / INDEX, "a shard that is no file of this folder, or too many")
    tensors: dict[str, LazyTensor] = {}
    for name in sorted(names):
        found = _tensors_of(folder / name)
        for tensor in found:
            if places.get(tensor) != name:
                raise _invalid(folder / INDEX, f"{tensor[:80]!r} is in {name}, not where it says")
        tensors |= found
    missing = places.keys() - tensors.keys()
    if missing:
        raise _invalid(folder / INDEX, f"{min(missing)[:80]!r} is in no shard")
    return tensors


def _is_plain(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name.endswith(".safetensors")
        and len(name) <= 255
        and name.isprintable()
        and not set(name) & set('/\\:"')
    )


def _tensors_of(path: Path) -> dict[str, LazyTensor]:
    size_bytes = identify(path).size_bytes
    try:
        with path.open("rb") as file:
            lead = file.read(_LENGTH.size)
            if len(lead) < _LENGTH.size:
                raise _invalid(path, f"{size_bytes} bytes")
            (header_bytes,) = _LENGTH.unpack(lead)
            if not 2 <= header_bytes <= min(_MAX_HEADER_BYTES, size_bytes - _LENGTH.size):
                raise _invalid(path, f"a header of {header_bytes} bytes in {size_bytes}")
            raw = file.read(header_bytes)
    except OSError as error:
        raise ModelNotFound("file-unreadable", f"cannot read {path}: {error}", "") from error
    if len(raw) != header_bytes:
        raise _changed(path)
    if raw[:1] != b"{":
        raise _invalid(path, "the header is no object")
    header = parse_object(raw, path.name)
    notes = header.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(each, str) for each in notes.values()):
        raise _invalid(path, "__metadata__ is no table of texts")
    if not 1 <= len(header) <= _MAX_TENSORS:
        raise _invalid(path, f"{len(header)} tensors")
    data_start = _LENGTH.size + header_bytes
    tensors = [_tensor(path, name, entry, data_start) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.size_bytes))
    end = data_start
    for tensor in tensors:
        if tensor.offset != end:
            raise _invalid(path, f"{tensor.name!r} overlaps another tensor or leaves a gap")
        end += tensor.size_bytes
    if end != size_bytes:
        raise _invalid(path, f"the tensors end at {end}, the file has {size_bytes} bytes")
    return {tensor.name: tensor for tensor in tensors}


def _tensor(path: Path, name: str, entry: Any, data_start: int) -> LazyTensor:
    shown = repr(name[:80])
    # A lone surrogate (from an escape in the header) has no UTF-8 form, so no length either.
    if not name or len(name) > _MAX_NAME_BYTES or not name.isprintable():
        raise _invalid(path, f"tensor name {shown}")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _invalid(path, f"{shown} has not just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TYPE_BYTES:
        raise _invalid(path, f"{shown} has type {str(dtype)[:20]!r}")
    if not _are_counts(shape, _MAX_DIMS) or not _are_counts(offsets, 2) or len(offsets) != 2:
        raise _invalid(path, f"{shown} has an odd shape or odd offsets")
    elements = 1
    for dim in shape:
        elements *= dim
        if elements > _MAX_ELEMENTS:
            raise _invalid(path, f"{shown} is too large")
    begin, end = offsets
    if end - begin != elements * _TYPE_BYTES[dtype]:
        raise _invalid(path, f"{shown} has {end - begin} bytes, unlike its shape {shape}")
    return LazyTensor(
        name=name,
        dtype=dtype,
        shape=tuple(shape),
        path=path,
        offset=data_start + begin,
        size_bytes=end - begin,
    )


def _are_counts(values: Any, max_length: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= max_length
        and all(type(value) is int and 0 <= value < 1 << 48 for value in values)
    )


def _widened(raw: NDArray[Any]) -> NDArray[np.float32]:
    """Turn the bits of bfloat16 into float32: it is its upper half."""
    return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _invalid(path: Path, fault: str) -> ModelCorrupt:
    return ModelCorrupt("header-invalid", f"{path.name}: {fault}", "fetch the file anew")


def _changed(path: Path) -> ModelCorrupt:
    return ModelCorrupt("file-changed", f"{path.name} became shorter while it was read", "")
