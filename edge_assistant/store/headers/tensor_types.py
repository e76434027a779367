"""Element types of ggml: how many elements make a block, and how many bytes a block takes.

The numbers are those of `ggml_blck_size` and `ggml_type_size`; a test compares them with the
library. Types that ggml has retired (4, 5, 31-33, 36-38) are left out, and so refused.
"""

from __future__ import annotations

TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}
MAX_ELEMENTS = 1 << 40
"""Far above any model that fits a small machine, far below an overflow of 64 bits."""


def tensor_bytes(type_id: int, dims: tuple[int, ...]) -> int | None:
    """Return the size of a tensor's data; None if type and dimensions cannot go together."""
    if type_id not in TYPES or not 1 <= len(dims) <= 4:
        return None
    elements = 1
    for dim in dims:
        if dim < 1:
            return None
        elements *= dim
        if elements > MAX_ELEMENTS:
            return None
    _, block_elements, block_bytes = TYPES[type_id]
    return elements // block_elements * block_bytes if dims[0] % block_elements == 0 else None
