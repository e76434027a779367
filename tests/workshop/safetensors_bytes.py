"""Safetensors files written here, sound ones and others."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Stored = Literal["F32", "F16", "BF16"]


def stored_bytes(values: NDArray[np.float32], dtype: Stored) -> bytes:
    """Numbers as the file holds them, rounded to nearest."""
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    bits = values.astype("<f4").view("<u4")
    # To the nearest, and to even where two are as near.
    upper: NDArray[np.uint16] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return upper.tobytes()


def header_of(
    shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32", item_bytes: int = 4
) -> dict[str, Any]:
    """A sound header for tensors of one type, one behind the other."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, shape in shapes.items():
        end = begin + int(np.prod(shape)) * item_bytes
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    return header


def framed(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    """A file of this header (JSON, or raw bytes) and these data."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def write_safetensors(
    path: Path, tensors: Mapping[str, NDArray[np.float32]], dtype: Stored = "F32"
) -> Path:
    """Write tensors of one type; returns `path`."""
    shapes = {name: values.shape for name, values in tensors.items()}
    header = header_of(shapes, dtype, 4 if dtype == "F32" else 2)
    data = b"".join(stored_bytes(values, dtype) for values in tensors.values())
    path.write_bytes(framed(header, data))
    return path
