"""A tiny voice of the Piper shape: it hums while there are phonemes, and costs what is asked.

The graph has the real inputs and output: `input` int64 (1, n), `input_lengths` (1,), `scales` (3,),
with several speakers `sid` (1,); output float32 (1, 1, 1, frames). After a quarter of a second of
silence it repeats a short wave for every phoneme id, as long as `length_scale` says; the wave of
speaker 1 is the negative of speaker 0's. `work` adds that many products of 256 x 256 matrices.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

SAMPLE_RATE = 22_050
FRAMES_PER_ID = 512
"""At a length scale of 1; up to 2.5 times as many."""
SILENCE_FRAMES = SAMPLE_RATE // 4


def write_piper_voice(
    folder: Path,
    *,
    work: int = 0,
    num_speakers: int = 1,
    output: str = "hum",
    config: dict[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write `tiny.onnx` and `tiny.onnx.json`; returns their paths.

    Args:
        folder: an existing folder.
        work: 256 x 256 matrix products in one inference (about 0.3 ms each on one core).
        num_speakers: with more than one the graph has the input `sid`.
        output: "hum", "nan" (every tenth frame is NaN), "silence".
        config: top-level keys of the JSON to put in place of the sound ones.
    """
    model, config_path = folder / "tiny.onnx", folder / "tiny.onnx.json"
    onnx.save(_graph(work, num_speakers, output), str(model))
    config_path.write_text(json.dumps(piper_config(num_speakers) | (config or {})))
    return model, config_path


def piper_config(num_speakers: int = 1) -> dict[str, Any]:
    """A sound configuration, as published voices have it."""
    return {
        "audio": {"sample_rate": SAMPLE_RATE, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": dict(DEFAULT_PHONEME_ID_MAP),
        "num_symbols": 256,
        "num_speakers": num_speakers,
        "speaker_id_map": {},
        "piper_version": "1.0.0",
    }


def _constants(work: int, output: str) -> dict[str, NDArray[Any]]:
    time = np.arange(FRAMES_PER_ID * 5 // 2) / SAMPLE_RATE
    wave = (0.25 * np.sin(2 * np.pi * 430.664 * time)).astype(np.float32)
    if output == "nan":
        wave[::10] = np.nan
    if output == "silence":
        wave[:] = 0
    return {
        "wave": wave.reshape(1, -1),
        "silence": np.zeros(SILENCE_FRAMES, dtype=np.float32),
        "flat": np.array([-1], dtype=np.int64),
        "column": np.array([-1, 1], dtype=np.int64),
        "shape": np.array([1, 1, 1, -1], dtype=np.int64),
        "zero": np.array(0.0, dtype=np.float32),
        "one": np.array([1.0], dtype=np.float32),
        "matrix": np.eye(256, dtype=np.float32),
        "work": np.array(work, dtype=np.int64),
        "true": np.array(True),
        "minus_two": np.array([-2.0], dtype=np.float32),
        "frames_per_id": np.array([FRAMES_PER_ID], dtype=np.float32),
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
    }


def _graph(work: int, num_speakers: int, output: str) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["scales", "second"], ["length_scale"], axis=0),
        helper.make_node("Mul", ["length_scale", "frames_per_id"], ["long"]),
        helper.make_node("Cast", ["long"], ["end"], to=TensorProto.INT64),
        helper.make_node("Slice", ["wave", "first", "end", "second"], ["sound"]),
        helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["level_of_id"]),
        helper.make_node("Reshape", ["level_of_id", "column"], ["levels"]),
    ]
    nodes += [
        # It begins at an input and ends in the output, so nothing of it can be folded away.
        helper.make_node("Mul", ["length_scale", "matrix"], ["work_begun"]),
        helper.make_node("Loop", ["work", "true", "work_begun"], ["work_done"], body=_product()),
        helper.make_node("ReduceMax", ["work_done"], ["peak"], keepdims=0),
        helper.make_node("Mul", ["peak", "zero"], ["nothing"]),
        helper.make_node("Add", ["levels", "nothing"], ["worked"]),
    ]
    spoken = "worked"
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if num_speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
        nodes += [
            helper.make_node("Cast", ["sid"], ["speaker"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["speaker", "minus_two"], ["turned"]),
            helper.make_node("Add", ["turned", "one"], ["gain"]),
            helper.make_node("Mul", ["worked", "gain"], ["said"]),
        ]
        spoken = "said"
    nodes += [
        helper.make_node("Mul", [spoken, "sound"], ["grid"]),
        helper.make_node("Reshape", ["grid", "flat"], ["hum"]),
        helper.make_node("Concat", ["silence", "hum"], ["line"], axis=0),
        helper.make_node("Reshape", ["line", "shape"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny_piper",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "frames"])],
        [numpy_helper.from_array(value, name) for name, value in _constants(work, output).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _product() -> onnx.GraphProto:
    """One turn of the loop: the running matrix times `matrix` of the graph around it."""
    square = [256, 256]
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("MatMul", ["before", "matrix"], ["after"]),
        ],
        "product",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, square),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, square),
        ],
    )
