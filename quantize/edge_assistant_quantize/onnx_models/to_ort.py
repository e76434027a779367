"""ONNX to the ORT format: the graph as onnxruntime has optimised it, in a flatbuffer.

Such a file is also read by small builds of onnxruntime that know no protobuf. Only optimisations
that hold on every CPU go in (`ORT_ENABLE_EXTENDED`): what comes after them lays weights out for the
machine at hand.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime

from edge_assistant.borders import failing_as
from edge_assistant.errors import ModelError
from edge_assistant.onnx import session_options
from edge_assistant.store.headers import inspect
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.onnx_models.agreement import InputsUnknown, agreement, require_same
from edge_assistant_quantize.onnx_models.graphs import let_in, require_suffix
from edge_assistant_quantize.onnx_models.ort_types import ort_types
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.steps import step


def to_ort(
    source: Path, output: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> Made:
    """Write an ONNX model in the ORT format; both have to give the same, or there is no output.

    Args:
        source: an ONNX file.
        output: the file to make, `.ort`.
        overwrite: replace what is there.
        progress: told what is being done.

    Raises:
        ModelCorrupt: the source's header is faulty.
        ModelIncompatible: onnxruntime cannot load the source.
        ModelNotFound: there is no source.
        WorkshopError: `wrong-suffix`, `conversion-failed`, `made-differs`, `not-runnable`, or one
            of `new_file`.
    """
    require_suffix(output, ".ort")
    began_s = time.perf_counter()
    with (
        new_file(output, source, overwrite=overwrite) as part,
        TemporaryDirectory(prefix="edge-assistant-") as folder,
    ):
        with step(progress, "checking the source"):
            let_in(source)
        draft = Path(folder) / output.name
        with step(progress, "converting"):
            _convert(source, draft)
        with step(progress, "running both"):
            note = check_same(source, draft)
        shutil.copyfile(draft, part)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=source.stat().st_size,
        took_s=time.perf_counter() - began_s,
        types=ort_types(output),
        notes=(f"made by onnxruntime {onnxruntime.__version__}", note),
    )


def check_same(source: Path, made: Path) -> str:
    """Run both on the same inputs; how far apart they are.

    Raises:
        WorkshopError: `made-differs`, `not-runnable`.
    """
    try:
        found = agreement(source, made)
    except InputsUnknown as error:
        return f"not compared with the original: {error.message}"
    require_same(found, made.name)
    return str(found)


def _convert(source: Path, draft: Path) -> None:
    def failed(error: Exception) -> WorkshopError:
        return WorkshopError(
            "conversion-failed", f"{source.name} cannot be written as ORT: {error}", "keep the ONNX"
        )

    options = session_options(1)
    options.optimized_model_filepath = str(draft)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.save_model_format", "ORT")
    with failing_as(failed):
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    try:
        inspect(draft, "ort")
    except ModelError as error:
        raise failed(error) from error
