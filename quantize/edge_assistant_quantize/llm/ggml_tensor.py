"""ggml's tensors, read where they lie: for what its functions do not tell.

llama-cpp-python binds llama.h only. The structure below is ggml.h's, which may change with any
version; `open_ggml` compares it with tensors that the library itself has made, so that a changed
one is an error and not a number.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant_quantize.errors import WorkshopError

_F32: Final = 0
_MAX_SOURCES: Final = 10


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * _MAX_SOURCES),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
    )


class _InitParams(ctypes.Structure):
    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


_FUNCTIONS: Final = {
    "ggml_init": (ctypes.c_void_p, [_InitParams]),
    "ggml_free": (None, [ctypes.c_void_p]),
    "ggml_new_tensor_2d": (
        ctypes.c_void_p,
        [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64],
    ),
    "ggml_mul_mat": (ctypes.c_void_p, [ctypes.c_void_p] * 3),
    "ggml_set_name": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
    "ggml_get_data": (ctypes.c_void_p, [ctypes.c_void_p]),
    "ggml_op_name": (ctypes.c_char_p, [ctypes.c_int]),
    "ggml_nbytes": (ctypes.c_size_t, [ctypes.c_void_p]),
    "ggml_backend_tensor_get": (
        None,
        [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t],
    ),
}


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product: a weight, and what it is multiplied with."""

    weight: str
    """Its name in the file."""
    is_flat: bool
    """The weight is one matrix, not a stack of them."""
    row_length: int
    _right: int

    def rows(self, ggml: Ggml) -> NDArray[np.float32]:
        """A copy of what the weight is multiplied with: (num_rows, row_length)."""
        return ggml.rows(self._right)


class Ggml:
    """The library's own functions, and its tensors by their addresses."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def product(self, address: int) -> Product | None:
        """The matrix product that a tensor is the result of, of float32 rows; None if of another.

        Callable before it is computed.
        """
        tensor = _Tensor.from_address(address)
        if self._library.ggml_op_name(tensor.op) != b"MUL_MAT":
            return None
        left, right = (_Tensor.from_address(source) for source in tensor.src[:2])
        if right.type != _F32:
            return None
        # A copy on another device is called `CUDA0#blk.0.attn_k.weight#0`.
        name = left.name.decode("utf-8", "replace")
        weight = name.split("#")[1] if "#" in name else name
        return Product(weight, left.ne[2] * left.ne[3] == 1, right.ne[0], tensor.src[1])

    def rows(self, address: int) -> NDArray[np.float32]:
        """A copy of a float32 tensor's numbers, wherever they are: (num_rows, row_length)."""
        tensor = _Tensor.from_address(address)
        size = self._library.ggml_nbytes(address)
        data = np.empty(size, np.uint8)
        self._library.ggml_backend_tensor_get(address, data.ctypes.data, 0, size)
        shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
        numbers: NDArray[np.float32] = np.ndarray(shape, np.float32, data.data, 0, strides)
        return numbers.reshape(-1, shape[-1])


def open_ggml() -> Ggml:
    """The ggml that llama.cpp uses in this process, once its tensors look as we expect.

    Raises:
        WorkshopError: `imatrix-unsupported`.
    """
    from llama_cpp import llama_cpp

    try:
        # llama.cpp's own handle also finds what ggml exports, as the very same library.
        library = ctypes.CDLL(llama_cpp._lib._name)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (AttributeError, OSError) as error:
        raise _unsupported(str(error)) from error
    fault = layout_fault(library)
    if fault:
        raise _unsupported(fault)
    return Ggml(library)


def layout_fault(library: Any) -> str:
    """What of two small tensors and their product is not where we look for it; empty if nothing."""
    context = library.ggml_init(_InitParams(1 << 16, None, False))
    if not context:
        return "ggml makes no context"
    try:
        left = library.ggml_new_tensor_2d(context, _F32, 3, 5)
        right = library.ggml_new_tensor_2d(context, _F32, 3, 7)
        product = library.ggml_mul_mat(context, left, right)
        library.ggml_set_name(left, b"left")
        seen, result = _Tensor.from_address(left), _Tensor.from_address(product)
        found = {
            "ne": (tuple(seen.ne), tuple(result.ne)) == ((3, 5, 1, 1), (5, 7, 1, 1)),
            "nb": tuple(seen.nb) == (4, 12, 60, 60),
            "op": library.ggml_op_name(result.op) == b"MUL_MAT",
            "src": tuple(result.src) == (left, right, *[None] * (_MAX_SOURCES - 2)),
            "data": seen.data == library.ggml_get_data(left) is not None,
            "name": seen.name == b"left",
            "type": (seen.type, seen.view_src) == (_F32, None),
        }
    finally:
        library.ggml_free(context)
    odd = [name for name, holds in found.items() if not holds]
    return f"ggml_tensor has changed ({', '.join(odd)})" if odd else ""


def _unsupported(fault: str) -> WorkshopError:
    return WorkshopError(
        "imatrix-unsupported",
        f"this version of llama-cpp-python does not let us measure importance: {fault}",
        "pip install llama-cpp-python==0.3.36",
    )
