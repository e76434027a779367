"""The ORT format of onnxruntime: a flatbuffer whose identifier is `ORTM`.

Offsets lead through tables, so a lie in one reads memory elsewhere. We follow the same path that
the loader takes to the weights: session, model, graph, initializers.
"""

from __future__ import annotations

import struct

from edge_assistant.store.headers.info import HeaderInfo, Tally
from edge_assistant.store.headers.onnx_types import type_name
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need

_U16 = struct.Struct("<H")
_SIZES = struct.Struct("<2H")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")
_ITEMS = 6500, 2000, 40_000
"""For `ByteSource.budget`, over all lists of tables or strings. 6,500 take less than 50 ms; the
largest model of the starter pack has 789, a Piper voice of 63 MB has 9,083 in its ONNX. Strings may
be shared, so a small file could ask for any amount of work: many tensors, one list of strings."""
_MAX_TABLE_BYTES = 4096

# Places of the fields in their tables, after onnxruntime's schema (ort.fbs).
_SESSION_VERSION, _SESSION_MODEL = 0, 1
_MODEL_GRAPH = 7
_GRAPH_INITIALIZERS, _GRAPH_NODES = 0, 2
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_RAW, _TENSOR_STRINGS, _TENSOR_EXTERNAL = 2, 3, 4, 5, 6


def parse(source: ByteSource) -> HeaderInfo:
    """Follow the buffer from its root to the data of every initializer."""
    need(source.size_bytes >= 32 and source.read(4, 4) == b"ORTM", "no ORTM identifier")
    session = _Table(_Buffer(source), source.unpack(_U32, 0)[0])
    version = session.text(_SESSION_VERSION)
    graph = session.table(_SESSION_MODEL).table(_MODEL_GRAPH)
    initializers = graph.tables(_GRAPH_INITIALIZERS)
    nodes = graph.tables(_GRAPH_NODES)
    need(len(nodes) > 0, "no nodes")
    tally = Tally()
    for tensor in initializers:
        tensor.vector(_TENSOR_DIMS, 8)
        _, raw_bytes = tensor.vector(_TENSOR_RAW, 1)
        tensor.check_strings(_TENSOR_STRINGS)
        need(tensor.int64(_TENSOR_EXTERNAL, -1) == -1, "a tensor whose data are in another file")
        tally.add(type_name(tensor.int32(_TENSOR_TYPE, 0)), raw_bytes)
    info = HeaderInfo(
        form="ort",
        summary=f"ORT {version}, {len(nodes)} nodes, {len(initializers)} tensors",
        types=tally.types(),
    )
    need(info.tensor_bytes <= source.size_bytes, "tensors that share their data")
    return info


class _Buffer:
    """The file, and how many items of lists may still be looked at."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self._items_left = source.budget(*_ITEMS)

    def spend(self, count: int) -> None:
        """Refuse a list that leads too far, before its first item."""
        need(count <= self._items_left, f"a list of {count}")
        self._items_left -= count

    def vector(self, target: int, item_bytes: int) -> tuple[int, int]:
        """Return where the items of a list begin, and their number; they are inside the file."""
        (count,) = self.source.unpack(_U32, target)
        need(
            target + 4 + count * item_bytes <= self.source.size_bytes,
            f"a list of {count} at {target} goes past the end of the file",
        )
        return target + 4, count


class _Table:
    """One table of the flatbuffer, with its own index of fields checked."""

    def __init__(self, buffer: _Buffer, position: int) -> None:
        source = buffer.source
        self._buffer = buffer
        self._source = source
        self._position = position
        (back,) = source.unpack(_I32, position)
        self._index = position - back
        self._index_bytes, self._table_bytes = source.unpack(_SIZES, self._index)
        # Not `need`, which would spell out a fault for every sound table.
        if not 4 <= self._index_bytes <= _MAX_TABLE_BYTES or self._index_bytes % 2:
            raise HeaderFault(f"a table at {position} with an index of {self._index_bytes} bytes")
        if self._table_bytes < 4 or position + self._table_bytes > source.size_bytes:
            raise HeaderFault(f"a table at {position} goes past the end of the file")

    def table(self, field: int) -> _Table:
        """Return a table that has to be there."""
        return _Table(self._buffer, self._target(field, required=True))

    def tables(self, field: int) -> list[_Table]:
        """Return a list of tables, each of them there once."""
        targets = self._targets(field)
        need(len(set(targets)) == len(targets), "a list that names a table twice")
        return [_Table(self._buffer, target) for target in targets]

    def check_strings(self, field: int) -> None:
        """Look at a list of strings: each lies inside the file."""
        for target in self._targets(field):
            self._buffer.vector(target, 1)

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Return start and length of a list of numbers; (0, 0) if there is none."""
        target = self._target(field, required=False)
        return self._buffer.vector(target, item_bytes) if target else (0, 0)

    def text(self, field: int) -> str:
        """Return a short string that has to be there."""
        start, count = self._buffer.vector(self._target(field, required=True), 1)
        need(count <= 64, f"a version of {count} bytes")
        text = self._source.read(start, count).decode("ascii", "replace")
        need(text.isprintable(), "a version that cannot be printed")
        return text

    def int32(self, field: int, default: int) -> int:
        """Return a number that is stored in the table itself."""
        place = self._place(field, 4)
        return self._source.unpack(_I32, place)[0] if place else default

    def int64(self, field: int, default: int) -> int:
        """Return a number that is stored in the table itself."""
        place = self._place(field, 8)
        return self._source.unpack(_I64, place)[0] if place else default

    def _targets(self, field: int) -> list[int]:
        start, count = self.vector(field, 4)
        self._buffer.spend(count)
        offsets = self._source.unpack(struct.Struct(f"<{count}I"), start)
        return [start + 4 * index + offset for index, offset in enumerate(offsets)]

    def _target(self, field: int, *, required: bool) -> int:
        place = self._place(field, 4)
        if place == 0:
            need(not required, f"the table at {self._position} lacks field {field}")
            return 0
        return place + self._source.unpack(_U32, place)[0]

    def _place(self, field: int, item_bytes: int) -> int:
        slot = 4 + 2 * field
        if slot + 2 > self._index_bytes:
            return 0
        (offset,) = self._source.unpack(_U16, self._index + slot)
        need(offset + item_bytes <= self._table_bytes, f"field {field} lies outside its table")
        return self._position + offset if offset else 0
