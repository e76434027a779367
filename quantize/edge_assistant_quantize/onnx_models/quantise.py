"""Smaller ONNX models by recipe: Piper voices, Silero, Smart Turn, and others."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import onnx
from onnx import TensorProto

from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.onnx_models.agreement import InputsUnknown, agreement, is_piper
from edge_assistant_quantize.onnx_models.graphs import (
    graphs_of,
    let_in,
    read_model,
    require_suffix,
    streams,
    tensors_of,
    types_of,
)
from edge_assistant_quantize.onnx_models.methods import OTHER_RECIPE, carry_out
from edge_assistant_quantize.onnx_models.recipes import recipe_of
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.steps import step

FAR_SHARE: Final = 0.1
"""Of the reference's peak; a difference above it is named as one."""
_INTEGER_NODES: Final = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger"),
    *("MatMulInteger", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLSTM", "MatMulNBits"),
}


def quantise_onnx(
    source: Path,
    output: Path,
    recipe_name: str,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Make a smaller model by a recipe, run both, and say how far apart they are.

    The JSON of a voice goes along. Whatever fails, there is no output.

    Args:
        source: an ONNX file of float32.
        output: the file to make, `.onnx`.
        recipe_name: of `recipes.RECIPES`.
        overwrite: replace what is there.
        progress: told what is being done.

    Raises:
        ModelCorrupt: the source's header is faulty.
        ModelIncompatible: onnxruntime cannot load the source.
        ModelNotFound: there is no source.
        WorkshopError: `recipe-unknown`, `wrong-suffix`, `already-quantised`, `conversion-failed`,
            `not-smaller`, `not-runnable`, or one of `new_file`.
    """
    recipe = recipe_of(recipe_name)
    require_suffix(output, ".onnx")
    began_s = time.perf_counter()
    with (
        new_file(output, source, overwrite=overwrite) as part,
        TemporaryDirectory(prefix="edge-assistant-") as folder,
    ):
        with step(progress, "checking the source"):
            let_in(source)
            model = read_model(source)
            _require_float(model, source)
        draft = Path(folder) / output.name
        with step(progress, f"making {recipe.name}"):
            notes = carry_out(recipe, model, draft)
            _require_smaller(source, draft, recipe.name)
        with step(progress, "running both"):
            found = _compared(source, draft)
        shutil.copyfile(draft, part)
    made = read_model(output)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=source.stat().st_size,
        took_s=time.perf_counter() - began_s,
        types=types_of(made),
        notes=(*notes, *found, *_of_a_voice(source, output, made, overwrite)),
    )


def _require_float(model: onnx.ModelProto, source: Path) -> None:
    """Refuse what was made smaller before: its errors would add up, and nothing would be saved."""
    kinds = {node.op_type for graph in graphs_of(model.graph) for node in graph.node}
    types = {tensor.data_type for tensor in tensors_of(model)}
    integer = sorted(kinds & _INTEGER_NODES)
    if integer or TensorProto.FLOAT16 in types or TensorProto.BFLOAT16 in types:
        share = types_of(model)[0]
        what = ", ".join(integer) or "weights of 16 bits"
        raise WorkshopError(
            "already-quantised",
            f"{source.name} was made smaller before ({share.type_name} above all): it has {what}",
            "begin with the float32 original",
        )
    if TensorProto.FLOAT not in types:
        raise WorkshopError(
            "nothing-to-quantise", f"{source.name} has no weights of float32", "leave it as it is"
        )


def _require_smaller(source: Path, draft: Path, recipe_name: str) -> None:
    before, after = source.stat().st_size, draft.stat().st_size
    if after >= before:
        raise WorkshopError(
            "not-smaller",
            f"{recipe_name} would bring {source.name} to {after} bytes in place of {before}",
            "keep the original, or try another recipe",
        )


def _compared(source: Path, draft: Path) -> tuple[str, ...]:
    try:
        found = agreement(source, draft)
    except InputsUnknown as error:
        return (f"not compared with the original: {error.message}",)
    except WorkshopError as error:
        raise WorkshopError(error.code, error.message, OTHER_RECIPE) from error
    if found.max_abs <= FAR_SHARE * found.peak:
        return (str(found),)
    return (str(found), "that is far off: judge it by its task before you use it")


def _of_a_voice(
    source: Path, output: Path, made: onnx.ModelProto, overwrite: bool
) -> tuple[str, ...]:
    """Bring the JSON of a voice along, and say whether it still speaks in slices."""
    if not is_piper({each.name for each in made.graph.input}):
        return ()
    slices = "speaks in slices" if streams(made) else "cannot be cut in two: each sentence is whole"
    return (slices, *with_config(source, output, overwrite))


def with_config(source: Path, output: Path, overwrite: bool) -> tuple[str, ...]:
    """Copy the JSON beside a voice to beside what was made of it.

    Raises:
        WorkshopError: one of `new_file`, except that a JSON that is there may stay.
    """
    config, copy = (path.with_name(f"{path.name}.json") for path in (source, output))
    if not config.is_file():
        return ("no JSON beside the source: a voice needs one to speak",)
    if copy.exists() and not overwrite:
        return (f"{copy.name} was there and stays",)
    with new_file(copy, config, overwrite=overwrite) as part:
        shutil.copyfile(config, part)
    return (f"{copy.name} goes with it",)
