"""How a recipe is carried out on an ONNX model: three ways to make its weights smaller."""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16
from onnxruntime.quantization import QuantType, quantize_dynamic

from edge_assistant.borders import failing_as
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.onnx_models.graphs import graphs_of, name_nodes, parts_of
from edge_assistant_quantize.onnx_models.recipes import Kept, Recipe

OTHER_RECIPE: Final = "try another recipe; fp16-weights computes as the original does"
_SMALLEST: Final = float(np.finfo(np.float16).smallest_subnormal)
_LARGEST: Final = float(np.finfo(np.float16).max)

_LARGE_NUMBERS: Final = 1024
_INTEGER_OPS: Final = ("Conv", "ConvTranspose", "MatMul", "Gather", "LSTM", "Attention")
"""What int8 is about; a note counts only these."""
_WITH_WEIGHT: Final = {"Conv": (1,), "LSTM": (1, 2)}
"""Inputs that quantize_dynamic takes for weights without looking."""


def carry_out(recipe: Recipe, model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Write `model`, changed by the recipe, to `path`.

    Args:
        recipe: what to do.
        model: of float32; it is changed.
        path: where the made model goes.

    Returns:
        What stayed as it was and why, and what was cut to the range of a type.

    Raises:
        WorkshopError: `conversion-failed`.
    """

    def failed(error: Exception) -> WorkshopError:
        return WorkshopError(
            "conversion-failed",
            f"the recipe {recipe.name} does not take it: {type(error).__name__}: {error}",
            OTHER_RECIPE,
        )

    _lift_constants(model)
    name_nodes(model)
    kept = kept_nodes(recipe, model)
    with failing_as(failed):
        if recipe.method == "float16":
            notes = _to_float16(model, kept, path)
        elif recipe.method == "stored-float16":
            notes = _store_float16(model, recipe.least_numbers, path)
        else:
            notes = _to_int8(model, recipe, kept, path)
    return (*_told(recipe, model, kept), *notes)


def kept_nodes(recipe: Recipe, model: onnx.ModelProto) -> dict[str, Kept]:
    """Names of the nodes that stay, and the first entry of the recipe that says so."""
    parts = parts_of(model)
    kept: dict[str, Kept] = {}
    for graph in graphs_of(model.graph):
        for node in graph.node:
            for each in recipe.kept:
                in_part = each.part is not None and node.name in parts.get(each.part, ())
                named = any(fnmatchcase(node.name, pattern) for pattern in each.names)
                if in_part or named or node.op_type in each.ops:
                    kept.setdefault(node.name, each)
    return kept


def _lift_constants(model: onnx.ModelProto) -> None:
    """Make weights of large constants (Silero has no others): only those can be made smaller."""
    for graph in graphs_of(model.graph):
        for node in list(graph.node):
            values = [each.t for each in node.attribute if each.name == "value"]
            if node.op_type != "Constant" or not values:
                continue
            if values[0].data_type == TensorProto.FLOAT and prod(values[0].dims) >= _LARGE_NUMBERS:
                weight = graph.initializer.add()
                weight.CopyFrom(values[0])
                weight.name = node.output[0]
                graph.node.remove(node)


def _told(recipe: Recipe, model: onnx.ModelProto, kept: Mapping[str, Kept]) -> Iterator[str]:
    """One line for each reason that kept something."""
    counts: Counter[str] = Counter()
    for graph in graphs_of(model.graph):
        for node in graph.node:
            counted = recipe.method == "float16" or node.op_type in _INTEGER_OPS
            if node.name in kept and counted:
                counts[kept[node.name].reason] += 1
    for each in recipe.kept:
        if counts[each.reason]:
            what = each.part or ", ".join(each.ops or each.names)
            yield f"{counts[each.reason]} nodes stay in float32 ({what}): {each.reason}"


def _to_float16(model: onnx.ModelProto, kept: Mapping[str, Kept], path: Path) -> list[str]:
    _part_shared_weights(model, kept)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = float16.convert_float_to_float16(
            model,
            min_positive_val=_SMALLEST,
            max_finite_val=_LARGEST,
            keep_io_types=True,
            op_block_list=[],
            node_block_list=sorted(kept),
        )
    onnx.save(made, path)
    cut = sum("truncated" in str(each.message) for each in caught)
    return [f"{cut} tensors held numbers outside float16's range; they are at its ends"] * bool(cut)


def _part_shared_weights(model: onnx.ModelProto, kept: Mapping[str, Kept]) -> None:
    """Give nodes that stay a copy of the weights that they share with nodes that do not.

    The converter leaves a shared weight in float32, which the node that changes cannot take.
    """
    takers: defaultdict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
    for graph in graphs_of(model.graph):
        for node in graph.node:
            for index, name in enumerate(node.input):
                takers[name].append((node, index))
    for graph in graphs_of(model.graph):
        for tensor in list(graph.initializer):
            staying = [(node, at) for node, at in takers[tensor.name] if node.name in kept]
            if tensor.data_type != TensorProto.FLOAT or not staying:
                continue
            if len(staying) < len(takers[tensor.name]):
                copy = graph.initializer.add()
                copy.CopyFrom(tensor)
                copy.name = f"{tensor.name}_float32"
                for node, index in staying:
                    node.input[index] = copy.name


def _store_float16(model: onnx.ModelProto, least_numbers: int, path: Path) -> list[str]:
    cut = small = 0
    for graph in graphs_of(model.graph):
        casts = []
        for tensor in graph.initializer:
            if tensor.data_type != TensorProto.FLOAT:
                continue
            if prod(tensor.dims) < least_numbers:
                small += 1
                continue
            values = numpy_helper.to_array(tensor)
            cut += bool((np.abs(values[np.isfinite(values)]) > _LARGEST).any())
            with np.errstate(invalid="ignore"):
                half = np.clip(values, -_LARGEST, _LARGEST).astype(np.float16)
            name = tensor.name
            casts.append(
                helper.make_node(
                    "Cast",
                    [f"{name}_float16"],
                    [name],
                    f"{name}_float16/Cast",
                    to=TensorProto.FLOAT,
                )
            )
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_float16"))
        nodes = [*casts, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
    onnx.save(model, path)
    notes = (
        [f"{small} tensors of fewer than {least_numbers} numbers stay in float32"] if small else []
    )
    if cut:
        notes.append(f"{cut} tensors held numbers outside float16's range; they are at its ends")
    return notes


def _to_int8(
    model: onnx.ModelProto, recipe: Recipe, kept: Mapping[str, Kept], path: Path
) -> list[str]:
    unweighted = _without_weights(model, recipe.ops)
    with _quiet():
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=list(recipe.ops),
            weight_type=QuantType.QUInt8,
            nodes_to_exclude=sorted({*kept, *unweighted}),
            extra_options={"EnableSubgraph": True, "DefaultTensorType": TensorProto.FLOAT},
        )
    if not unweighted:
        return []
    return [f"{len(unweighted)} nodes stay in float32: their weights are small, or not constant"]


def _without_weights(model: onnx.ModelProto, ops: tuple[str, ...]) -> list[str]:
    """Names of nodes whose weights are no constants of the graph."""
    names = []
    for graph in graphs_of(model.graph):
        weights = {tensor.name for tensor in graph.initializer}
        for node in graph.node:
            needed = _WITH_WEIGHT.get(node.op_type, ()) if node.op_type in ops else ()
            if not all(
                index < len(node.input) and node.input[index] in weights for index in needed
            ):
                names.append(node.name)
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that quantize_dynamic gives on the root logger to whoever calls it."""

    def is_ours(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_ours)
    try:
        yield
    finally:
        root.removeFilter(is_ours)
