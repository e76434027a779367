"""ONNX: a walk over the wire format of its protobuf, tensor by tensor.

What matters here: every length stays inside its parent, a tensor has as many bytes as its shape
says, and no tensor points to another file (`external_data`), which could be any file of the owner.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_assistant.store.headers.info import HeaderInfo, Tally, shown, tags
from edge_assistant.store.headers.onnx_types import TYPES, type_name
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need

_FIELDS = 50_000, 1000, 200_000
"""For `ByteSource.budget`: 50,000 take less than 50 ms. A Piper voice of 63 MB has 59,679; the
graph of one with weights of hardly any size, 0.7 MB in all, 43,576."""
_MAX_DEPTH = 24
_STEP_BYTES = 512
_MAX_HEAD_BYTES = 20
"""Two numbers of at most ten bytes: a key, and a length or a value."""
_MAX_DIMS = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Numbers of the fields that hold further messages, after onnx.proto.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
}
_IR_VERSION, _GRAPH, _OPSET, _PROPERTY = 1, 7, 8, 14
_MAX_PROPERTIES = 64
_MAX_PROPERTY_BYTES = 1024
_DIMS, _DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 9, 13, 14
_TYPED_DATA = (4, 5, 6, 7, 10, 11)
"""Fields that hold the elements where they are not raw bytes."""


def parse(source: ByteSource) -> HeaderInfo:
    """Walk the whole model, skipping weights."""
    walk = _Walk(source)
    ir_version = graphs = opsets = 0
    for number, wire, value, end in walk.fields(0, source.size_bytes):
        if number == _IR_VERSION:
            need(wire == _VARINT and ir_version == 0, "the format's version is there twice")
            ir_version = value
        elif number == _GRAPH:
            graphs += 1
        elif number == _OPSET:
            opsets += 1
        elif number == _PROPERTY and wire == _BYTES:
            walk.note_property(value, end)
        child = _CHILDREN["model"].get(number)
        if child is not None:
            walk.message(child, wire, value, end, 1)
    need(3 <= ir_version <= 64, f"format version {ir_version}")
    need(graphs == 1 and opsets >= 1 and walk.nodes >= 1, "no graph, no operator set or no node")
    return HeaderInfo(
        form="onnx",
        summary=f"format version {ir_version}, {walk.nodes} nodes, {walk.tensors} tensors",
        types=walk.tally.types(),
        licence=shown(walk.properties.get("license") or walk.properties.get("licence")),
        languages=tags(walk.properties.get("language", "").split(",")),
    )


class _Walk:
    """A bounded walk over nested messages."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._max_fields = self._fields_left = source.budget(*_FIELDS)
        self._window = b"", 0
        self.nodes = 0
        self.tensors = 0
        self.tally = Tally()
        self.properties: dict[str, str] = {}

    def message(self, kind: str, wire: int, start: int, end: int, depth: int) -> None:
        """Walk one message of a known kind that lies between `start` and `end`."""
        if wire != _BYTES or depth > _MAX_DEPTH:
            raise HeaderFault(f"a {kind} that is no message, or nested too deeply")
        if kind == "tensor":
            self._tensor(start, end)
            return
        self.nodes += kind == "node"
        children = _CHILDREN[kind]
        for number, child_wire, value, child_end in self.fields(start, end):
            child = children.get(number)
            if child is not None:
                self.message(child, child_wire, value, child_end, depth + 1)

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Walk the fields between two offsets.

        Yields:
            For each its number, wire type, value and end: for bytes, value and end are the offsets
            of its content; for a varint the value is the number itself.
        """
        # A message lies inside its parent, which has mostly read it already.
        block, base = self._window
        stop = base + len(block) if base <= start else start
        position = start
        while position < end:
            if stop - position < _MAX_HEAD_BYTES and stop < end:
                left = self._source.size_bytes - position
                block = self._source.read(position, min(_STEP_BYTES, left))
                base, stop = position, position + len(block)
                self._window = block, base
            # Most numbers take a byte; a call for each would double the time of the walk.
            at, last = position - base, len(block) - 1
            key = block[at] if at <= last else 0x80
            key, at = (key, at + 1) if key < 0x80 else _varint(block, at)
            number, wire = key >> 3, key & 7
            value = base + at
            if wire == _VARINT:
                value, at = _varint(block, at)
                position = base + at
            elif wire == _BYTES:
                length = block[at] if at <= last else 0x80
                length, at = (length, at + 1) if length < 0x80 else _varint(block, at)
                value = base + at
                position = value + length
            elif wire in (_FIXED64, _FIXED32):
                position = value + (8 if wire == _FIXED64 else 4)
            else:
                raise HeaderFault(f"wire type {wire}")
            if position > end or not 1 <= number < 1 << 29:
                raise HeaderFault(f"field {number} at {value} goes past the end of its message")
            self._fields_left -= 1
            if self._fields_left < 0:
                raise HeaderFault(f"more than {self._max_fields} fields")
            yield number, wire, value, position

    def note_property(self, start: int, end: int) -> None:
        """Keep a key and a value that the maker of the model added, if they are short."""
        if end - start > _MAX_PROPERTY_BYTES or len(self.properties) >= _MAX_PROPERTIES:
            return
        found = {1: "", 2: ""}
        for number, wire, value, stop in self.fields(start, end):
            if wire == _BYTES:
                found[number] = self._source.read(value, stop - value).decode("utf-8", "replace")
        self.properties[found[1]] = found[2]

    def _tensor(self, start: int, end: int) -> None:
        self.tensors += 1
        dims: list[int] = []
        data_type, raw_bytes, typed_bytes = 0, -1, 0
        for number, wire, value, stop in self.fields(start, end):
            if number == _DIMS:
                dims += self._packed(value, stop) if wire == _BYTES else [value]
            elif number == _DATA_TYPE:
                data_type = value
            elif number == _RAW_DATA:
                need(wire == _BYTES, "raw data that is no data")
                raw_bytes = stop - value
            elif number in _TYPED_DATA and wire == _BYTES:
                typed_bytes += stop - value
            elif number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                need(False, "a tensor whose data are in another file")
        need(len(dims) <= _MAX_DIMS, f"a tensor of {len(dims)} dimensions")
        elements = 1
        for dim in dims:
            need(dim < 1 << 40, f"a dimension of {dim}")
            elements *= dim
            need(elements < 1 << 40, "a tensor of too many elements")
        if raw_bytes >= 0:
            half_bytes = TYPES[data_type][1] if data_type in TYPES else 0
            need(half_bytes > 0, f"data type {data_type}")
            need(raw_bytes == (elements * half_bytes + 1) // 2, "a tensor unlike its shape")
        self.tally.add(type_name(data_type), max(raw_bytes, typed_bytes))

    def _packed(self, start: int, end: int) -> list[int]:
        need(end - start <= 10 * _MAX_DIMS, "a tensor of many dimensions")
        block = self._source.read(start, end - start)
        values, at = [], 0
        while at < len(block):
            value, at = _varint(block, at)
            values.append(value)
        return values


def _varint(block: bytes, at: int) -> tuple[int, int]:
    """Decode a number; returns it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(block):
            break
        byte = block[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise HeaderFault("a number without an end")
