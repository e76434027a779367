"""Element types of ONNX and ORT by number (onnx.proto and ort.fbs agree), with their sizes."""

from __future__ import annotations

TYPES: dict[int, tuple[str, int]] = {
    1: ("float32", 8),
    2: ("uint8", 2),
    3: ("int8", 2),
    4: ("uint16", 4),
    5: ("int16", 4),
    6: ("int32", 8),
    7: ("int64", 16),
    8: ("string", 0),
    9: ("bool", 2),
    10: ("float16", 4),
    11: ("float64", 16),
    12: ("uint32", 8),
    13: ("uint64", 16),
    14: ("complex64", 16),
    15: ("complex128", 32),
    16: ("bfloat16", 4),
    17: ("float8e4m3fn", 2),
    18: ("float8e4m3fnuz", 2),
    19: ("float8e5m2", 2),
    20: ("float8e5m2fnuz", 2),
    21: ("uint4", 1),
    22: ("int4", 1),
    23: ("float4e2m1", 1),
    24: ("float8e8m0", 2),
}
"""Name and size of an element in half bytes, because there are types of four bits; 0: it varies."""


def type_name(data_type: int) -> str:
    """Return the name of a type."""
    return TYPES[data_type][0] if data_type in TYPES else "unknown"
