"""Tensors of a Hugging Face folder, read in numpy after checks of our own.

A .safetensors file is 8 bytes of length, that much JSON (name: dtype, shape, data_offsets), and the
data without gaps. Every number is held against the file before anything is read by it. The folder
has `model.safetensors`, or several files and `model.safetensors.index.json`.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"

_LENGTH: Final = struct.Struct("<Q")
_MAX_HEADER_BYTES: Final = 3 << 17
"""393 KB. Whisper large, of 1,259 tensors, needs some 170; the format would allow 100 MB, and these
take seconds to parse."""
_MAX_TENSORS: Final = 4096
_MAX_INDEX_BYTES: Final = 1 << 20
_MAX_DIMS: Final = 8
_MAX_ELEMENTS: Final = 1 << 40
_BYTES: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
FLOATS: Final = ("F32", "F16", "BF16")
"""Element types that can be read as weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor is, and what it is."""

    path: Path
    dtype: str
    """As the format calls it: `BF16`."""
    shape: tuple[int, ...]
    offset: int
    """Of its first byte in the file."""

    def values(self) -> NDArray[np.float32]:
        """Read it as float32.

        Raises:
            ModelCorrupt: the file became shorter.
            ValueError: its dtype is none of `FLOATS`.
        """
        if self.dtype not in FLOATS:
            raise ValueError(f"{self.dtype} is no weight type")
        raw = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[self.dtype]
        count = math.prod(self.shape)
        data = np.fromfile(self.path, dtype=raw, count=count, offset=self.offset)
        if data.size < count:
            raise _corrupt(self.path, "it became shorter while it was read")
        if self.dtype == "BF16":
            # The upper half of a float32.
            data = (data.astype(np.uint32) << 16).view(np.float32)
        return data.astype(np.float32, copy=False).reshape(self.shape)


def read_folder(folder: Path) -> dict[str, StoredTensor]:
    """Tensors by name, of the one file or of all that the index names.

    Raises:
        ModelCorrupt: `header-invalid`.
        ModelNotFound: `weights-missing`: there is neither, or a file of the index is not there.
    """
    if (folder / SINGLE).is_file():
        return read_file(folder / SINGLE)
    if not (folder / INDEX).is_file():
        raise ModelNotFound(
            "weights-missing",
            f"{folder} has neither {SINGLE} nor {INDEX}",
            "a checkpoint in PyTorch's own format: model.save_pretrained(FOLDER) writes this one",
        )
    where = read_json(folder / INDEX, _MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise _corrupt(folder / INDEX, "no weight_map")
    files = {name: _shard(folder, name) for name in set(map(str, where.values()))}
    tensors: dict[str, StoredTensor] = {}
    for name, file in where.items():
        tensor = files[str(file)].get(name)
        if tensor is None:
            raise _corrupt(folder / INDEX, f"{name!r} is not in {file}")
        tensors[name] = tensor
    return tensors


def read_file(path: Path) -> dict[str, StoredTensor]:
    """Tensors of one file.

    Raises:
        ModelCorrupt: `header-invalid`.
        ModelNotFound: `file-missing`.
    """
    if not path.is_file():
        raise ModelNotFound("file-missing", f"cannot find {path}", "check the path with: ls")
    source = ByteSource(path)
    try:
        (length,) = source.unpack(_LENGTH, 0)
        need(2 <= length <= _MAX_HEADER_BYTES, f"a header of {length} bytes")
        header = parse_json(source.read(_LENGTH.size, length))
        start = _LENGTH.size + length
        return _tensors(header, path, start, source.size_bytes - start)
    except (HeaderFault, ValueError) as error:
        raise _corrupt(path, str(error)) from error
    finally:
        source.close()


def read_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """Read a JSON object of bounded size.

    Raises:
        ModelCorrupt: `header-invalid`: it is no JSON object, or too large for what it should be.
        ModelNotFound: `file-missing`.
    """
    if not path.is_file():
        raise ModelNotFound("file-missing", f"cannot find {path}", "check the path with: ls")
    with path.open("rb") as file:
        text = file.read(max_bytes + 1)
    if len(text) > max_bytes:
        raise _corrupt(path, f"more than {max_bytes} bytes")
    try:
        return parse_json(text)
    except ValueError as error:
        raise _corrupt(path, str(error)) from error


def parse_json(text: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: it is none, names something twice, or is nested too deeply.
    """
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is there twice")
    return value


def _shard(folder: Path, name: str) -> dict[str, StoredTensor]:
    # The index may come from anywhere; it must not lead out of the folder.
    if Path(name).name != name or not name.endswith(".safetensors"):
        raise _corrupt(folder / INDEX, f"odd file name {name[:64]!r}")
    return read_file(folder / name)


def _tensors(
    header: dict[str, Any], path: Path, start: int, data_bytes: int
) -> dict[str, StoredTensor]:
    header.pop("__metadata__", None)
    tensors: dict[str, StoredTensor] = {}
    spans: list[tuple[int, int]] = []
    need(len(header) <= _MAX_TENSORS, f"{len(header)} tensors")
    for name, entry in header.items():
        need(isinstance(entry, dict), f"{name[:64]!r} is no tensor")
        dtype, shape, span = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
        need(isinstance(dtype, str) and dtype in _BYTES, f"{name[:64]!r} has an unknown dtype")
        need(_are_counts(shape) and len(shape) <= _MAX_DIMS, f"{name[:64]!r} has an odd shape")
        need(_are_counts(span) and len(span) == 2, f"{name[:64]!r} has odd offsets")
        size = math.prod(shape) * _BYTES[dtype]
        need(math.prod(shape) <= _MAX_ELEMENTS, f"{name[:64]!r} has an odd shape")
        need(span[1] - span[0] == size, f"{name[:64]!r}: shape and offsets do not agree")
        spans.append((span[0], span[1]))
        tensors[name] = StoredTensor(
            path=path, dtype=dtype, shape=tuple(shape), offset=start + span[0]
        )
    end = 0
    for first, last in sorted(spans):
        need(first == end, "the data overlap, or have a gap")
        end = last
    need(end == data_bytes, f"{data_bytes} bytes of data where the header has {end}")
    return tensors


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(
        type(each) is int and 0 <= each <= _MAX_ELEMENTS for each in values
    )


def _corrupt(path: Path, fault: str) -> ModelCorrupt:
    return ModelCorrupt("header-invalid", f"{path.name}: {fault}", "get the checkpoint again")
