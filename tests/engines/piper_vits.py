"""A voice of random weights with the graph of a real one: VITS, as `piper_train` exports it.

Text encoder, durations (the same for every phoneme), flow, `z * y_mask`, HiFi-GAN. It speaks noise,
but what depends on what, and what it costs, is as in a trained voice. Left out: the duration
predictor and relative positions (both work on phonemes, which are few), and biases, so that a
masked latent is silence.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.engines.piper_file import piper_config


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes by the names of `piper_train`."""

    hidden_channels: int
    filter_channels: int
    n_layers: int
    upsample_initial_channel: int
    upsample_rates: tuple[int, ...] = (8, 8, 4)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 8)
    resblock_kernel_sizes: tuple[int, ...] = (3, 5, 7)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 2), (2, 6), (3, 12))
    columns_per_id: int = 3
    """Latent columns for one phoneme id at a length scale of 1: 15 characters in a second."""
    silent_columns: tuple[int, int] = (0, 0)
    """From the first to before the second, masked, so that they are silence."""
    num_speakers: int = 1
    is_far_sighted: bool = False
    """The vocoder also looks at the mean of its whole output, as none of Piper's does."""


TINY = Architecture(hidden_channels=8, filter_channels=16, n_layers=1, upsample_initial_channel=16)
TINY_HIGH = replace(
    TINY,
    upsample_initial_channel=32,
    upsample_rates=(8, 8, 2, 2),
    upsample_kernel_sizes=(16, 16, 4, 4),
    resblock_kernel_sizes=(3, 7, 11),
    resblock_dilation_sizes=((1, 1, 3, 1, 5, 1),) * 3,
)
"""Few channels, but it looks as far as a voice of high quality."""
MEDIUM = Architecture(
    hidden_channels=192, filter_channels=768, n_layers=6, upsample_initial_channel=256
)
_GIN = 4
"""Channels of a speaker's embedding."""


def write_vits_voice(
    folder: Path, size: Architecture = TINY, config: dict[str, Any] | None = None
) -> tuple[Path, Path]:
    """Write `vits.onnx` and `vits.onnx.json`; returns their paths.

    Args:
        folder: an existing folder.
        size: of the network.
        config: top-level keys of the JSON to put in place of the sound ones.
    """
    model, config_path = folder / "vits.onnx", folder / "vits.onnx.json"
    onnx.save(_Vits(size).model(), str(model))
    config_path.write_text(json.dumps(piper_config(size.num_speakers) | (config or {})))
    return model, config_path


class _Vits:
    def __init__(self, size: Architecture) -> None:
        self._size = size
        self._random = np.random.default_rng(1)
        self._numbers = itertools.count()
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        size = self._size
        inputs = [
            helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
            helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
        ]
        speaker = None
        if size.num_speakers > 1:
            inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
            table = self.normal((size.num_speakers, _GIN), 1)
            speaker = self.add("Unsqueeze", self.add("Gather", table, "sid"), self.numbers(-1))
        latent = self.latent(self.text(), speaker)
        audio = self.vocoder(latent, speaker)
        self._nodes.append(helper.make_node("Unsqueeze", [audio, self.numbers(1)], ["output"]))
        graph = helper.make_graph(
            self._nodes,
            "vits",
            inputs,
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model

    def text(self) -> str:
        """(1, hidden, phonemes)."""
        hidden, filters = self._size.hidden_channels, self._size.filter_channels
        x = self.add("Gather", self.normal((256, hidden), 1), "input")
        x = self.add("Transpose", x, perm=[0, 2, 1])
        for _ in range(self._size.n_layers):
            query, key, value = (self.conv(x, hidden, hidden, 1) for _ in range(3))
            scores = self.add("MatMul", self.add("Transpose", query, perm=[0, 2, 1]), key)
            weights = self.add("Softmax", scores, axis=-1)
            heard = self.add("MatMul", value, self.add("Transpose", weights, perm=[0, 2, 1]))
            x = self.add("Add", x, self.conv(heard, hidden, hidden, 1))
            inner = self.add("Relu", self.conv(x, hidden, filters, 3))
            x = self.half(self.add("Add", x, self.conv(inner, filters, hidden, 3)))
        return x

    def latent(self, x: str, speaker: str | None) -> str:
        """`z * y_mask`: (1, hidden, columns)."""
        size = self._size
        hidden = size.hidden_channels
        scale = self.add("Gather", "scales", self.numbers(1))
        wanted = self.add("Mul", scale, self.floats(size.columns_per_id))
        each = self.add("Cast", self.add("Ceil", wanted), to=TensorProto.INT64)
        shape = self.add("Concat", self.numbers(1, hidden, 1), each, axis=0)
        wide = self.add("Expand", self.add("Unsqueeze", x, self.numbers(3)), shape)
        means = self.add("Reshape", wide, self.numbers(1, hidden, -1))
        noise_scale = self.add("Gather", "scales", self.numbers(0))
        noise = self.add("Mul", self.add("RandomNormalLike", means), noise_scale)
        z = self.add("Add", means, noise)
        if speaker is not None:
            z = self.add("Add", z, self.conv(speaker, _GIN, hidden, 1))
        columns = self.add("Mul", self.add("Squeeze", each), self.add("Size", "input"))
        places = self.add("Range", self.scalar(0), columns, self.scalar(1))
        begin, end = (self.scalar(column) for column in size.silent_columns)
        is_before, is_after = (
            self.add("Less", places, begin),
            self.add("GreaterOrEqual", places, end),
        )
        is_on = self.add("Or", is_before, is_after)
        mask = self.add("Cast", is_on, to=TensorProto.FLOAT)
        masked = self.add("Mul", self.flow(z), mask)
        whole = (self.numbers(0), self.numbers(2**63 - 1), self.numbers(2))
        return self.add("Slice", masked, *whole)  # `[:, :, :max_len]` without a `max_len`

    def flow(self, z: str) -> str:
        """Four couplings, each with a WaveNet of four layers."""
        hidden = self._size.hidden_channels
        for _ in range(4):
            kept, changed = self.split(z)
            x = self.conv(kept, hidden // 2, hidden, 1)
            for _ in range(4):
                gate, filtered = self.split(self.conv(x, hidden, 2 * hidden, 5))
                both = self.add("Mul", self.add("Tanh", filtered), self.add("Sigmoid", gate))
                x = self.add("Add", x, self.conv(both, hidden, hidden, 1))
            shift = self.conv(x, hidden, hidden // 2, 1)
            z = self.add("Concat", self.add("Sub", changed, shift), kept, axis=1)
        return z

    def vocoder(self, latent: str, speaker: str | None) -> str:
        """(1, 1, samples)."""
        size = self._size
        channels = size.upsample_initial_channel
        x = self.conv(latent, size.hidden_channels, channels, 7)
        if speaker is not None:
            x = self.add("Add", x, self.conv(speaker, _GIN, channels, 1))
        for rate, kernel in zip(size.upsample_rates, size.upsample_kernel_sizes, strict=True):
            x = self.add("LeakyRelu", x, alpha=0.1)
            up = self.normal((channels, channels // 2, kernel), (channels * kernel / rate) ** -0.5)
            pads = [(kernel - rate) // 2] * 2
            x = self.add("ConvTranspose", x, up, strides=[rate], pads=pads, kernel_shape=[kernel])
            channels //= 2
            blocks = [
                self.block(x, channels, kernel, dilations)
                for kernel, dilations in zip(
                    size.resblock_kernel_sizes, size.resblock_dilation_sizes, strict=True
                )
            ]
            x = self.add("Sum", *blocks)
            x = self.add("Div", x, self.floats(len(blocks)))
        if size.is_far_sighted:
            x = self.add("Sub", x, self.add("ReduceMean", x, axes=[1, 2]))
        x = self.add("LeakyRelu", x, alpha=0.01)
        return self.add("Tanh", self.conv(x, channels, 1, 7, gain=0.3))

    def block(self, x: str, channels: int, kernel: int, dilations: tuple[int, ...]) -> str:
        for dilation in dilations:
            bent = self.add("LeakyRelu", x, alpha=0.1)
            x = self.add("Add", x, self.conv(bent, channels, channels, kernel, dilation))
        return x

    def conv(
        self, x: str, taken: int, given: int, kernel: int, dilation: int = 1, gain: float = 1.0
    ) -> str:
        reach = (kernel - 1) * dilation // 2
        weight = self.normal((given, taken, kernel), gain * (taken * kernel) ** -0.5)
        options = {"kernel_shape": [kernel], "dilations": [dilation], "pads": [reach, reach]}
        return self.add("Conv", x, weight, **options)

    def split(self, x: str) -> tuple[str, str]:
        halves = (self.name(), self.name())
        self._nodes.append(helper.make_node("Split", [x], list(halves), axis=1))
        return halves

    def half(self, x: str) -> str:
        return self.add("Mul", x, self.floats(0.5))

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = self.name()
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def name(self) -> str:
        return f"value_{next(self._numbers)}"

    def normal(self, shape: tuple[int, ...], deviation: float) -> str:
        return self.weight(self._random.normal(0, deviation, shape).astype(np.float32))

    def numbers(self, *values: int) -> str:
        return self.weight(np.array(values, dtype=np.int64))

    def scalar(self, value: int) -> str:
        return self.weight(np.array(value, dtype=np.int64))

    def floats(self, value: float) -> str:
        return self.weight(np.array([value], dtype=np.float32))

    def weight(self, value: NDArray[Any]) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(value, name))
        return name
