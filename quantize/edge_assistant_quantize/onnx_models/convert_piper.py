"""A Piper checkpoint to ONNX: its weights, put into the graph of a published voice.

Piper's own export traces the network with PyTorch. A voice that was fine-tuned from another one has
the same network, so the graph is there already: only the weights are new. They find their places by
name. PyTorch's exporter keeps names of weights, and where it works one out beforehand (weight norm
in the flow and the vocoder) the node that takes it is called after the module:
`/flow/flows.0/enc/in_layers.0/Conv` takes `flow.flows.0.enc.in_layers.0.weight`.

Every tensor has to find a place and every place a tensor, of the same shape; else nothing is made.
Held against checkpoints and exports of Piper's own code (tests/workshop/make_piper_reference.py).
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge_assistant.tts.piper_config import read_piper_config
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made, Progress
from edge_assistant_quantize.onnx_models.agreement import agreement, is_piper
from edge_assistant_quantize.onnx_models.graphs import let_in, read_model, require_suffix, types_of
from edge_assistant_quantize.onnx_models.torch_files import Checkpoint, open_checkpoint
from edge_assistant_quantize.outputs import new_file
from edge_assistant_quantize.steps import step

Weights = NDArray[np.float32]

_GENERATOR: Final = "model_g."
_TRAINING_ONLY: Final = ("enc_q.", "dp.post_", "dp.flows.1.")
"""Posterior encoder, and the parts of the duration predictor that only learn."""
_LEARNED: Final = re.compile(r"^(enc_p|dp|flow|dec|emb_g)\.")
_G_OF_V: Final = {
    ".weight_v": ".weight_g",
    ".parametrizations.weight.original1": ".parametrizations.weight.original0",
}
"""Direction and length of a weight-normed weight, by the names of old and new PyTorch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    initializer: str
    change: Callable[[Weights], Weights] = lambda weights: weights
    """From the tensor of the checkpoint to what the graph holds."""


def convert_piper(
    checkpoint: Path,
    output: Path,
    *,
    like: Path,
    config: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Made:
    """Write a voice of a checkpoint's weights and another voice's graph.

    Args:
        checkpoint: `.ckpt` of Piper's training.
        output: the voice to make, `.onnx`; its JSON goes beside it.
        like: an ONNX voice of the same architecture: the one it was fine-tuned from.
        config: its JSON; None takes the one beside `like`.
        overwrite: replace what is there.
        progress: told what is being done.

    Raises:
        ModelCorrupt: a faulty checkpoint or voice.
        ModelIncompatible: onnxruntime cannot load `like`, or `config` is none of a voice.
        ModelNotFound: a file is missing.
        WorkshopError: `not-a-voice`, `piper-mismatch`, `wrong-suffix`, `config-missing`,
            `not-runnable`, or one of `new_file`.
    """
    require_suffix(output, ".onnx")
    began_s = time.perf_counter()
    config = config or like.with_name(f"{like.name}.json")
    if not config.is_file():
        raise WorkshopError("config-missing", f"there is no {config}", "--voice-config FILE")
    read_piper_config(config)
    with (
        new_file(output, checkpoint, like, overwrite=overwrite) as part,
        new_file(
            output.with_name(f"{output.name}.json"), config, overwrite=overwrite
        ) as config_part,
        TemporaryDirectory(prefix="edge-assistant-") as folder,
    ):
        with step(progress, "checking the voice"):
            model = _voice(like)
        with step(progress, "placing the weights"), open_checkpoint(checkpoint) as opened:
            placed = place(dict(generator_weights(opened)), model, like.name)
        draft = Path(folder) / output.name
        onnx.save(model, draft)
        with step(progress, "running both"):
            found = agreement(like, draft)
        shutil.copyfile(draft, part)
        shutil.copyfile(config, config_part)
    return Made(
        path=output,
        size_bytes=output.stat().st_size,
        source_bytes=checkpoint.stat().st_size,
        took_s=time.perf_counter() - began_s,
        types=types_of(read_model(output)),
        notes=(
            f"{placed} tensors in the graph of {like.name}",
            f"beside {like.name}, another voice: {found}",
        ),
    )


def _voice(path: Path) -> onnx.ModelProto:
    let_in(path)
    model = read_model(path)
    if not is_piper({each.name for each in model.graph.input}):
        raise WorkshopError("not-a-voice", f"{path.name} is no Piper voice", "name a voice")
    return model


def generator_weights(checkpoint: Checkpoint) -> Iterator[tuple[str, Weights]]:
    """Names and numbers of all weights that speak; weight norm is folded.

    Raises:
        WorkshopError: `piper-mismatch`, there are none.
    """
    starts = any(name.startswith(_GENERATOR) for name in checkpoint.names)
    prefix = _GENERATOR if starts else ""
    names = {
        name.removeprefix(prefix): name
        for name in checkpoint.names
        if name.startswith(prefix) and not name.removeprefix(prefix).startswith(_TRAINING_ONLY)
    }
    if not any(_LEARNED.match(name) for name in names):
        raise _mismatch("it holds no voice of Piper")
    for name, stored in names.items():
        ending = next((each for each in _G_OF_V if name.endswith(each)), "")
        if ending:
            module = name.removesuffix(ending)
            length = names.get(module + _G_OF_V[ending])
            if length is None:
                raise _mismatch(f"{name} has no length ({_G_OF_V[ending]})")
            weights = normed(checkpoint.array(length), checkpoint.array(stored))
            yield f"{module}.weight", weights
        elif not name.endswith(tuple(_G_OF_V.values())):
            yield name, checkpoint.array(stored)


def normed(length: Weights, direction: Weights) -> Weights:
    """`g * v / |v|`, each first-dimension slice for itself (torch's weight_norm with dim 0)."""
    if length.shape != (len(direction), *(1,) * (direction.ndim - 1)):
        raise _mismatch(f"lengths {length.shape} for directions {direction.shape}")
    flat = direction.astype(np.float64).reshape(len(direction), -1)
    norms = np.linalg.norm(flat, axis=1).reshape(length.shape)
    return np.asarray(length * (direction / np.maximum(norms, 1e-12)), dtype=np.float32)


def place(weights: dict[str, Weights], model: onnx.ModelProto, like: str) -> int:
    """Put all weights into the initialisers of `model`; how many.

    Raises:
        WorkshopError: `piper-mismatch`, a tensor without a place, a place without a tensor, or of
            another shape.
    """
    floats = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }
    places = dict(_places(model.graph, floats))
    lost = [name for name in weights if name not in places]
    if lost:
        raise _mismatch(f"{len(lost)} of its tensors have no place in {like}: {_some(lost)}")
    left = {each.initializer for each in places.values()}
    left -= {places[name].initializer for name in weights}
    if left:
        raise _mismatch(f"{len(left)} weights of {like} would stay as they are: {_some(left)}")
    for name, numbers in weights.items():
        tensor = floats[places[name].initializer]
        if numbers.shape != tuple(tensor.dims):
            raise _mismatch(f"{name} is {numbers.shape}, in {like} {tuple(tensor.dims)}")
        changed = np.ascontiguousarray(places[name].change(numbers), dtype=np.float32)
        tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    return len(weights)


def _places(graph: onnx.GraphProto, floats: dict[str, TensorProto]) -> Iterator[tuple[str, _Place]]:
    """Name in the checkpoint, and place, of everything that a voice learns."""
    for name in floats:
        if _LEARNED.match(name):
            yield name, _Place(initializer=name)
        if name.endswith("/Exp_output_0"):  # worked out beforehand: exp(-logs)
            module = _module(name.removesuffix("_output_0"))
            yield f"{module}.logs", _Place(initializer=name, change=lambda logs: np.exp(-logs))
    for node in graph.node:
        module = _module(node.name)
        taken = dict(enumerate(node.input))
        if node.op_type in ("Conv", "ConvTranspose"):
            roles = {1: "weight", 2: "bias"}
        elif node.op_type == "Gather":
            roles = {0: "weight"}
        else:
            roles = {}
        for index, role in roles.items():
            name = taken.get(index, "")
            if name in floats and not _LEARNED.match(name):
                yield f"{module}.{role}", _Place(initializer=name)
        if node.op_type == "Exp" and taken.get(0) in floats:  # worked out beforehand: -logs
            yield f"{module}.logs", _Place(initializer=taken[0], change=lambda logs: -logs)


def _module(node: str) -> str:
    """`/flow/flows.0/enc/in_layers.0/Conv` is a node of `flow.flows.0.enc.in_layers.0`."""
    return node.strip("/").rpartition("/")[0].replace("/", ".")


def _some(names: list[str] | set[str]) -> str:
    return ", ".join(sorted(names)[:3])


def _mismatch(what: str) -> WorkshopError:
    return WorkshopError(
        "piper-mismatch",
        f"the checkpoint does not fit: {what}",
        "--like FILE: the voice that it was fine-tuned from; else export it with Piper itself",
    )
