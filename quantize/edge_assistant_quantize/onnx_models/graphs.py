"""ONNX models as the workshop handles them: let in, walked, told by their parts and types."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import onnx
from onnx import AttributeProto, helper

from edge_assistant.borders import failing_as
from edge_assistant.errors import ModelCorrupt, ModelError
from edge_assistant.store.headers import Form, inspect
from edge_assistant.store.trial import run_once
from edge_assistant.tts.piper_graph import GraphUnknown, cut
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import TypeShare
from edge_assistant_quantize.onnx_models.recipes import Part

_ANEW = "get the file anew, or name another"


def let_in(path: Path, form: Form = "onnx") -> None:
    """Look at a file before any library of this process does.

    First its header, then one load in a child process: a file whose header holds can still bring
    onnxruntime down.

    Raises:
        ModelCorrupt: the header is faulty, or of another format.
        ModelIncompatible: `preflight-failed`, onnxruntime does not take it.
        ModelNotFound: there is no such file.
    """
    try:
        inspect(path, form)
        run_once(path, form)
    except ModelError as error:
        raise type(error)(error.code, error.message, _ANEW) from error


def read_model(path: Path) -> onnx.ModelProto:
    """The model of a file that was let in.

    Raises:
        ModelCorrupt: `model-unreadable`.
    """

    def unreadable(error: Exception) -> ModelCorrupt:
        return ModelCorrupt("model-unreadable", f"onnx cannot read {path.name}: {error}", _ANEW)

    with failing_as(unreadable):
        return onnx.load(path, load_external_data=False)


def require_suffix(path: Path, suffix: str) -> None:
    """Refuse an output whose name does not say what it is; formats are told by it.

    Raises:
        WorkshopError: `wrong-suffix`.
    """
    if path.suffix.lower() != suffix:
        raise WorkshopError(
            "wrong-suffix", f"{path.name} does not end in {suffix}", f"name it {path.stem}{suffix}"
        )


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all graphs inside it (If, Loop)."""
    yield graph
    for node in graph.node:
        yield from graphs_in(node)


def graphs_in(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """All graphs inside a node."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from graphs_of(attribute.g)
        for inner in attribute.graphs:
            yield from graphs_of(inner)


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own: the tools leave nodes alone by name."""
    taken: defaultdict[str, int] = defaultdict(int)
    for graph in graphs_of(model.graph):
        for node in graph.node:
            wanted = node.name or node.op_type
            taken[wanted] += 1
            again = taken[wanted] > 1 or not node.name
            node.name = f"{wanted}_workshop_{taken[wanted]}" if again else wanted


def types_of(model: onnx.ModelProto) -> tuple[TypeShare, ...]:
    """Types of all weights and constants, most bytes first."""
    return shares(
        (str(helper.tensor_dtype_to_np_dtype(tensor.data_type)), _size_bytes(tensor))
        for tensor in tensors_of(model)
    )


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All weights, and all constants that nodes hold."""
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.TENSOR:
                    yield attribute.t


def shares(tensors: Iterable[tuple[str, int]]) -> tuple[TypeShare, ...]:
    """Sum up (type, bytes) of tensors by type, most bytes first."""
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for type_name, size_bytes in tensors:
        sizes[type_name].append(size_bytes)
    found = [
        TypeShare(type_name=name, tensors=len(each), size_bytes=sum(each))
        for name, each in sizes.items()
    ]
    return tuple(sorted(found, key=lambda share: (-share.size_bytes, share.type_name)))


def _size_bytes(tensor: onnx.TensorProto) -> int:
    if tensor.raw_data:
        return len(tensor.raw_data)
    item_bytes = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    return int(prod(tensor.dims)) * item_bytes


def streams(model: onnx.ModelProto) -> bool:
    """Whether the runtime can cut it in two and speak it in slices.

    The cut's edge is declared as float32, so onnxruntime has to take both halves.
    """
    import onnxruntime

    from edge_assistant.onnx import session_options

    try:
        halves = cut(model.SerializeToString())
        with failing_as(lambda error: GraphUnknown(str(error))):
            for half in (halves.encoder, halves.decoder):
                onnxruntime.InferenceSession(
                    half, session_options(1), providers=["CPUExecutionProvider"]
                )
    except GraphUnknown:
        return False
    return True


def parts_of(model: onnx.ModelProto) -> dict[Part, frozenset[str]]:
    """Names of the nodes of each part of a Piper voice; nothing where it is none.

    Told by what depends on what, so a graph whose exporter gave no names has them too. Nodes have
    to have names of their own (`name_nodes`).
    """
    try:
        latent = cut(model.SerializeToString()).latent
    except GraphUnknown:
        return {}
    walk = _Walk(model.graph)
    encoder = walk.behind([latent])
    decoder = walk.behind((each.name for each in model.graph.output), {latent}) - encoder
    rounded = {
        name
        for node in model.graph.node
        if node.op_type == "Ceil" and node.name in encoder
        for name in node.output
    }
    return {
        "decoder": frozenset(decoder),
        "durations": frozenset(walk.behind(rounded) - walk.behind([latent], rounded)),
        "entrance": frozenset(
            node.name
            for node in model.graph.node
            if node.name in decoder and node.op_type == "Conv" and latent in node.input
        ),
    }


class _Walk:
    """Who makes what in the outer graph; what graphs inside a node take is the node's."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._maker = {name: node for node in graph.node for name in node.output if name}

    def behind(self, names: Iterable[str], stop: Iterable[str] = ()) -> set[str]:
        """Names of all nodes that values depend on, as far as the values `stop`."""
        found: set[str] = set()
        ends = set(stop)
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            node = None if name in ends else self._maker.get(name)
            if node is not None and node.name not in found:
                found.add(node.name)
                waiting += node.input
                waiting += [
                    taken
                    for inner in graphs_in(node)
                    for inner_node in inner.node
                    for taken in inner_node.input
                ]
        return found
