"""A small random voice with the graph of Piper's and the names that its exporter gives.

The graph is `tests.engines.piper_vits`. Weights of text encoder and embedding keep their names from
training; those of flow and vocoder, which are weight-normed in training, have a number as the
exporter leaves them (`onnx::Conv_81`), and only the node's name tells the module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from tests.engines.piper_vits import Architecture, write_vits_voice

SMALL = Architecture(
    hidden_channels=32, filter_channels=64, n_layers=2, upsample_initial_channel=64
)
"""1.3 MB, so that what is saved on weights is more than what int8 adds in nodes."""


def write_named_voice(folder: Path, size: Architecture = SMALL, seed: int = 0) -> Path:
    """Write `voice.onnx` and `voice.onnx.json`; voices of other seeds have other weights."""
    folder.mkdir(exist_ok=True)
    plain, config = write_vits_voice(folder, size)
    voice = folder / "voice.onnx"
    model = onnx.load(plain)
    _rename(model.graph, list(weight_names(size)))
    for tensor in _learned(model.graph):
        mixed = np.random.default_rng(seed).permutation(numpy_helper.to_array(tensor).reshape(-1))
        if seed:
            values = mixed.reshape(tuple(tensor.dims))
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.checker.check_model(model)
    onnx.save(model, voice)
    plain.unlink()
    config.rename(folder / "voice.onnx.json")
    return voice


def weights_of(voice: Path, size: Architecture = SMALL) -> dict[str, NDArray[np.float32]]:
    """All weights by their names in training, weight norm folded."""
    tensors = _learned(onnx.load(voice).graph)
    return {
        name: np.array(numpy_helper.to_array(tensor))
        for name, tensor in zip(weight_names(size), tensors, strict=True)
    }


def weight_names(size: Architecture) -> Iterator[str]:
    """Names in training, in the order in which `piper_vits` makes the weights."""
    if size.num_speakers > 1:
        yield "emb_g.weight"
    yield "enc_p.emb.weight"
    for layer in range(size.n_layers):
        for part in ("conv_q", "conv_k", "conv_v", "conv_o"):
            yield f"enc_p.encoder.attn_layers.{layer}.{part}.weight"
        for part in ("conv_1", "conv_2"):
            yield f"enc_p.encoder.ffn_layers.{layer}.{part}.weight"
    if size.num_speakers > 1:
        yield "enc_p.cond.weight"
    for flow in (6, 4, 2, 0):
        yield f"flow.flows.{flow}.pre.weight"
        for layer in range(4):
            yield f"flow.flows.{flow}.enc.in_layers.{layer}.weight"
            yield f"flow.flows.{flow}.enc.res_skip_layers.{layer}.weight"
        yield f"flow.flows.{flow}.post.weight"
    yield "dec.conv_pre.weight"
    if size.num_speakers > 1:
        yield "dec.cond.weight"
    blocks = len(size.resblock_kernel_sizes)
    for stage in range(len(size.upsample_rates)):
        yield f"dec.ups.{stage}.weight"
        for block, dilations in enumerate(size.resblock_dilation_sizes):
            for conv in range(len(dilations)):
                yield f"dec.resblocks.{stage * blocks + block}.convs.{conv}.weight"
    yield "dec.conv_post.weight"


def is_normed(name: str) -> bool:
    """Whether training keeps this weight as direction and length."""
    return bool(re.search(r"\.(in_layers|res_skip_layers|ups|convs)\.", name))


def _learned(graph: onnx.GraphProto) -> list[TensorProto]:
    return [
        tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1
    ]


def _rename(graph: onnx.GraphProto, names: list[str]) -> None:
    modules: dict[str, str] = {}
    new: dict[str, str] = {}
    for number, (tensor, name) in enumerate(zip(_learned(graph), names, strict=True)):
        new[tensor.name] = f"onnx::Conv_{number}" if is_normed(name) else name
        modules[tensor.name] = name.removesuffix(".weight")
        tensor.name = new[tensor.name]
    for number, node in enumerate(graph.node):
        node.name = f"/{node.op_type}_{number}"
        for index, taken in enumerate(node.input):
            if taken in new:
                path = re.sub(r"\.(?!\d)", "/", modules[taken])
                node.name = f"/{path}/{node.op_type}"
                node.input[index] = new[taken]
