"""A Piper voice in two: its ONNX graph, cut where the latent goes into the vocoder.

A voice is one VITS graph. Text encoder, durations and flow make a latent of one column for every
256 samples; a HiFi-GAN turns it into audio. The second half looks only a few columns around, so it
can work on slices, and the first sound need not wait for the last. The cut is an edit of the bytes
of the `ModelProto`: nodes and weights go to one half or the other as they are. Numbers of fields
are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH: Final = 7
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 2, 5, 11, 12, 15
_TENSOR_NAME: Final = 8
_UNKNOWN_DIM: Final = b"\x0a\x00"
"""An empty `dim` of a shape."""
_FLOAT: Final = b"\x08\x01"
"""`elem_type` float32."""
_OF_TEXT, OF_SPEAKER = "input", "sid"
"""Inputs of every Piper graph, and of one with several speakers."""


class GraphUnknown(Exception):
    """The graph cannot be cut; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """Two serialised models that do together what the whole does."""

    encoder: bytes
    """All inputs of the whole, to the latent: float32 (1, channels, columns)."""
    decoder: bytes
    """The latent, and `sid` where the voice has several speakers, to the audio."""
    latent: str
    """Its name in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    raw: memoryview
    op: str
    inputs: tuple[str, ...]
    """Its own first; then what graphs inside it (If, Loop) take from around them."""
    outputs: tuple[str, ...]


def cut(model: bytes) -> Halves:
    """Both halves of a Piper voice.

    The latent is what goes into the convolution before the first ConvTranspose, the one that
    depends on the text. What the second half needs besides may depend on the speaker only; it is
    in both halves then (an embedding of a few kilobytes for each speaker).

    Raises:
        GraphUnknown: it is no such graph.
    """
    graph = _Graph(model)
    latent = graph.latent()
    encoder = graph.behind([latent])
    decoder = graph.behind([graph.output], stop=latent)
    outside = graph.inputs_of(decoder)
    if not outside <= {OF_SPEAKER}:
        raise GraphUnknown(f"the vocoder takes more than the latent: {sorted(outside)}")
    edge = _value(latent)
    return Halves(
        encoder=graph.part(encoder, [*graph.inputs.values(), (_OUTPUT, edge)]),
        decoder=graph.part(
            decoder,
            [(_INPUT, edge), *(graph.inputs[name] for name in outside), graph.raw_output],
        ),
        latent=latent,
    )


_Field = tuple[int, bytes | memoryview]


class _Graph:
    """The one graph of a model: its nodes, and who makes what."""

    def __init__(self, model: bytes) -> None:
        self._around: list[memoryview] = []
        graphs: list[memoryview] = []
        for number, content, raw in _fields(memoryview(model)):
            if number == _MODEL_GRAPH:
                graphs.append(content)
            else:
                self._around.append(raw)
        if len(graphs) != 1:
            raise GraphUnknown("no model of one graph")
        self.nodes: list[_Node] = []
        self.inputs: dict[str, _Field] = {}
        self._weights: dict[str, _Field] = {}
        outputs: dict[str, _Field] = {}
        for number, content, _ in _fields(graphs[0]):
            if number == _NODE:
                self.nodes.append(_node(content))
            elif number == _INITIALIZER:
                self._weights[_text(content, _TENSOR_NAME)] = (number, content)
            elif number == _INPUT:
                self.inputs[_text(content, 1)] = (number, content)
            elif number == _OUTPUT:
                outputs[_text(content, 1)] = (number, content)
            elif number == _SPARSE:
                raise GraphUnknown("sparse weights")
        if not outputs:
            raise GraphUnknown("no output")
        self.output, self.raw_output = next(iter(outputs.items()))
        self._maker = {name: node for node in self.nodes for name in node.outputs if name}

    def latent(self) -> str:
        """Name of what goes into the vocoder."""
        upward = next((node for node in self.nodes if node.op == "ConvTranspose"), None)
        if upward is None:
            raise GraphUnknown("nothing that upsamples")
        entries: set[str] = set()
        seen: set[int] = set()
        waiting = [upward.inputs[0]]
        while waiting:
            node = self._maker.get(waiting.pop())
            # Ways of which there may be millions: past residuals whose Conv is of another kind.
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            if node.op != "Conv":
                waiting += node.inputs
            elif _OF_TEXT in self.inputs_of(self.behind(node.inputs[:1])):
                entries.add(node.inputs[0])
        if len(entries) != 1:
            raise GraphUnknown(f"{len(entries)} ways from the text into the vocoder")
        return entries.pop()

    def behind(self, names: Iterable[str], stop: str = "") -> set[int]:
        """Ids of all nodes that `names` depend on, as far as `stop`."""
        found: set[int] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            node = None if name == stop else self._maker.get(name)
            if node is not None and id(node) not in found:
                found.add(id(node))
                waiting += node.inputs
        return found

    def inputs_of(self, chosen: set[int]) -> set[str]:
        """Inputs of the graph that the chosen nodes take."""
        taken = {name for node in self.nodes if id(node) in chosen for name in node.inputs}
        return taken & (self.inputs.keys() - self._weights.keys())

    def part(self, chosen: set[int], ends: list[_Field]) -> bytes:
        """A model of the chosen nodes and their weights, with the inputs and outputs `ends`."""
        nodes = [node for node in self.nodes if id(node) in chosen]
        taken = {name for node in nodes for name in node.inputs}
        fields: list[_Field] = [(_NAME, b"part"), *((_NODE, node.raw) for node in nodes)]
        fields += [weight for name, weight in self._weights.items() if name in taken]
        pieces = [piece for field in (*fields, *ends) for piece in _written(field)]
        head = _head(_MODEL_GRAPH, sum(map(len, pieces)))
        return b"".join([*self._around, head, *pieces])


def _node(raw: memoryview) -> _Node:
    inputs: list[str] = []
    inner: list[str] = []
    outputs: list[str] = []
    op = ""
    for number, content, _ in _fields(raw):
        if number == 1:
            inputs.append(_string(content))
        elif number == 2:
            outputs.append(_string(content))
        elif number == 4:
            op = _string(content)
        elif number == 5:
            inner += _names_inside(content)
    return _Node(raw=raw, op=op, inputs=(*inputs, *inner), outputs=tuple(outputs))


def _names_inside(attribute: memoryview) -> Iterator[str]:
    """What the nodes of an attribute's graphs take; names of their own are harmless."""
    for number, graph, _ in _fields(attribute):
        if number in (6, 11):
            for field, content, _ in _fields(graph):
                if field == _NODE:
                    yield from _node(content).inputs


def _value(name: str) -> bytes:
    """A `ValueInfoProto`: a float32 tensor of three dimensions of any size."""
    tensor = b"".join([_FLOAT, *_written((2, 3 * _UNKNOWN_DIM))])
    kind = b"".join(_written((1, tensor)))
    return b"".join([*_written((1, name.encode())), *_written((2, kind))])


def _text(message: memoryview, wanted: int) -> str:
    return next(
        (_string(content) for number, content, _ in _fields(message) if number == wanted), ""
    )


def _string(content: memoryview) -> str:
    return str(content, "utf-8", "replace")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, content (of bytes; else empty) and whole of every field of a message."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _varint(message, at)
        content = message[:0]
        if key & 7 == _VARINT:
            _, at = _varint(message, at)
        elif key & 7 == _BYTES:
            length, at = _varint(message, at)
            content = message[at : at + length]
            at += length
        elif key & 7 in (_FIXED64, _FIXED32):
            at += 8 if key & 7 == _FIXED64 else 4
        else:
            raise GraphUnknown(f"wire type {key & 7}")
        if at > len(message):
            raise GraphUnknown("a field goes past its end")
        yield key >> 3, content, message[begin:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    raise GraphUnknown("a number without an end")


def _written(field: _Field) -> tuple[bytes, bytes | memoryview]:
    return _head(field[0], len(field[1])), field[1]


def _head(number: int, size: int) -> bytes:
    """Key and length of a field of bytes."""
    head = bytearray()
    for value in (number << 3 | _BYTES, size):
        while value > 0x7F:
            head.append(value & 0x7F | 0x80)
            value >>= 7
        head.append(value)
    return bytes(head)
