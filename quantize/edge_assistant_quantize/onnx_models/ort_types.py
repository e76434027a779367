"""Types of the weights in a file of the ORT format, read from its flatbuffer.

For files that onnxruntime has just written, or that `store.headers` has let in. Places of fields in
their tables are those of onnxruntime's schema (ort.fbs).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path

from onnx import helper

from edge_assistant_quantize.made import TypeShare
from edge_assistant_quantize.onnx_models.graphs import shares

_SESSION_MODEL, _MODEL_GRAPH = 1, 7
_GRAPH_INITIALIZERS, _GRAPH_NODES = 0, 2
_NODE_ATTRIBUTES = 10
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 6, 7, 11, 12
_TENSOR_DIMS, _TENSOR_TYPE = 2, 3


def ort_types(path: Path) -> tuple[TypeShare, ...]:
    """Types of all weights and constants, most bytes first."""
    data = path.read_bytes()
    (root,) = struct.unpack_from("<I", data, 0)
    session = _Table(data, root)
    found = []
    for model in session.one(_SESSION_MODEL):
        for graph in model.one(_MODEL_GRAPH):
            found += [_described(tensor) for tensor in _tensors(graph)]
    return shares(found)


def _tensors(graph: _Table) -> Iterator[_Table]:
    yield from graph.many(_GRAPH_INITIALIZERS)
    for node in graph.many(_GRAPH_NODES):
        for attribute in node.many(_NODE_ATTRIBUTES):
            yield from attribute.one(_ATTRIBUTE_TENSOR)
            yield from attribute.many(_ATTRIBUTE_TENSORS)
            for inner in (*attribute.one(_ATTRIBUTE_GRAPH), *attribute.many(_ATTRIBUTE_GRAPHS)):
                yield from _tensors(inner)


def _described(tensor: _Table) -> tuple[str, int]:
    kind = helper.tensor_dtype_to_np_dtype(tensor.number(_TENSOR_TYPE))
    return str(kind), prod(tensor.numbers(_TENSOR_DIMS)) * int(kind.itemsize)


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        (back,) = struct.unpack_from("<i", data, position)
        self._index = position - back
        (self._index_bytes,) = struct.unpack_from("<H", data, self._index)

    def one(self, field: int) -> Iterator[_Table]:
        """The table in a field, if there is one."""
        place = self._place(field)
        if place:
            yield _Table(self._data, self._follow(place))

    def many(self, field: int) -> Iterator[_Table]:
        """The tables of a list, if there is one."""
        place = self._place(field)
        if place:
            start = self._follow(place)
            (count,) = struct.unpack_from("<I", self._data, start)
            for number in range(count):
                yield _Table(self._data, self._follow(start + 4 + 4 * number))

    def number(self, field: int) -> int:
        """An int32, 0 if it is not there."""
        place = self._place(field)
        return int(struct.unpack_from("<i", self._data, place)[0]) if place else 0

    def numbers(self, field: int) -> tuple[int, ...]:
        """A list of int64."""
        place = self._place(field)
        if not place:
            return ()
        start = self._follow(place)
        (count,) = struct.unpack_from("<I", self._data, start)
        return struct.unpack_from(f"<{count}q", self._data, start + 4)

    def _place(self, field: int) -> int:
        slot = 4 + 2 * field
        if slot + 2 > self._index_bytes:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._index + slot)
        return self._position + int(offset) if offset else 0

    def _follow(self, place: int) -> int:
        return place + int(struct.unpack_from("<I", self._data, place)[0])
