"""Files of an importance matrix, as llama.cpp's `llama-imatrix` writes and reads them (GGUF).

For each weight NAME there are `NAME.in_sum2`, sums of squares, and `NAME.counts`, of how many. So
files that others publish next to their models can be used, and ours by others.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from edge_assistant_quantize import gguf_file
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm.activations import Activations

_SUMS, _COUNTS = ".in_sum2", ".counts"
_MAX_BYTES = 1 << 30
"""Far above that of any model up to 70B, which is 25 MB."""


def looks_like_one(path: Path) -> bool:
    """Whether a file is GGUF, and so no text."""
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def save(path: Path, found: Activations, text_name: str) -> None:
    """Write what was measured."""
    writer = gguf.GGUFWriter(path, arch="imatrix")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [text_name])
    writer.add_uint32("imatrix.chunk_count", found.chunks)
    writer.add_uint32("imatrix.chunk_size", found.chunk_tokens)
    for name in sorted(found.sums):
        writer.add_tensor(name + _SUMS, found.sums[name].astype(np.float32)[np.newaxis])
        writer.add_tensor(name + _COUNTS, np.array([[found.rows[name]]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(path: Path) -> dict[str, NDArray[np.float32]]:
    """Means of squares by the name of the weight, flat, as `llama_model_quantize` takes them.

    A part of a weight that the text never reached (an expert) gets ones.

    Raises:
        ModelCorrupt: `header-invalid`.
        WorkshopError: `imatrix-invalid`.
    """
    tensors = {tensor.name: tensor for tensor in gguf_file.read(path).tensors}
    if path.stat().st_size > _MAX_BYTES:
        raise _invalid(path, "it is larger than any importance matrix")
    found: dict[str, NDArray[np.float32]] = {}
    with path.open("rb") as file:

        def numbers(name: str) -> NDArray[np.float32]:
            tensor = tensors.get(name)
            if tensor is None or tensor.type_name != "F32":
                raise _invalid(path, f"{name} is missing, or not of floats")
            file.seek(tensor.position)
            data = np.frombuffer(file.read(tensor.size_bytes), "<f4")
            if not np.isfinite(data).all() or (data < 0).any():
                raise _invalid(path, f"{name} has numbers that no sum of squares has")
            return data

        for name in tensors:
            if not name.endswith(_SUMS):
                continue
            weight = name.removesuffix(_SUMS)
            sums, counts = numbers(name), numbers(weight + _COUNTS)
            if sums.size % counts.size:
                raise _invalid(path, f"{name} does not go with its counts")
            table = sums.reshape(counts.size, -1)
            means = np.divide(
                table, counts[:, None], out=np.ones_like(table), where=counts[:, None] > 0
            )
            found[weight] = means.reshape(-1)
    if not found:
        raise _invalid(path, "there are no sums of squares in it")
    return found


def _invalid(path: Path, fault: str) -> WorkshopError:
    return WorkshopError(
        "imatrix-invalid",
        f"{path.name} is no importance matrix: {fault}",
        "name a text, or a file that llama-imatrix wrote in its GGUF format",
    )
