"""The arithmetic of Llama, Qwen 2 and Qwen 3, in numpy, from a checkpoint as it is published.

Written after the published description (and `modeling_llama.py` of transformers for the order of
operations), not after llama.cpp: it is what a conversion is compared with. Slow and plain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_assistant_quantize.llama.config import LlamaShape, read_shape
from edge_assistant_quantize.llama.tensors import (
    EMBEDDING,
    OUTPUT,
    OUTPUT_NORM,
    check_tensors,
    rope_factors,
    rope_frequencies,
)
from edge_assistant_quantize.safetensors_files import LazyTensor, open_tensors

_Array = NDArray[np.float32]
_BLOCK_ROWS = 8192


class LlamaReference:
    """One checkpoint; a layer's weights are in memory while it is computed. Any one thread."""

    def __init__(self, folder: Path) -> None:
        self.shape: LlamaShape = read_shape(folder)
        self._tensors: Mapping[str, LazyTensor] = open_tensors(folder)
        check_tensors(self._tensors, self.shape)

    def logits(self, texts: Sequence[Sequence[int]]) -> list[_Array]:
        """Logits after every token of each text, float32: (tokens, vocab_size) each.

        Each text begins at position 0 and sees only itself; all go through a layer together.
        """
        embedding = self.read(EMBEDDING)
        states = [embedding[list(text)] for text in texts]
        for layer in range(self.shape.layers):
            weights = _Layer(self, f"model.layers.{layer}.")
            states = [weights.apply(state) for state in states]
        output = embedding if self.shape.is_tied else self.read(OUTPUT)
        norm = self.read(OUTPUT_NORM)
        return [_times(self.normalised(state, norm), output) for state in states]

    def normalised(self, state: _Array, weight: _Array) -> _Array:
        """Divide each row by its root mean square, and weigh it."""
        mean_square = np.mean(state.astype(np.float64) ** 2, axis=-1, keepdims=True)
        scaled = state / np.sqrt(mean_square + self.shape.rms_eps)
        weighed: _Array = (scaled * weight).astype(np.float32)
        return weighed

    def read(self, name: str) -> _Array:
        """A tensor of the checkpoint."""
        return self._tensors[name].read(np.float32).astype(np.float32, copy=False)

    def read_optional(self, name: str) -> _Array | None:
        """A tensor that not every architecture has."""
        return self.read(name) if name in self._tensors else None


class _Layer:
    """One layer: attention, then a gated feed-forward, each beside a way around it."""

    def __init__(self, model: LlamaReference, place: str) -> None:
        self._model = model
        self._shape = model.shape
        self._place = place
        self._weights: dict[str, _Array] = {}

    def apply(self, state: _Array) -> _Array:
        """States (tokens, hidden) behind the layer."""
        state = state + self._attention(self._normalised(state, "input_layernorm"))
        normal = self._normalised(state, "post_attention_layernorm")
        gate = self._linear(normal, "mlp.gate_proj")
        opened = gate / (1 + np.exp(-gate.astype(np.float64)))
        inner = (opened * self._linear(normal, "mlp.up_proj")).astype(np.float32)
        return state + self._linear(inner, "mlp.down_proj")

    def _attention(self, state: _Array) -> _Array:
        shape, length = self._shape, len(state)
        queries = self._linear(state, "self_attn.q_proj").reshape(length, shape.heads, -1)
        keys = self._linear(state, "self_attn.k_proj").reshape(length, shape.kv_heads, -1)
        values = self._linear(state, "self_attn.v_proj").reshape(length, shape.kv_heads, -1)
        if shape.has_head_norms:
            queries = self._normalised(queries, "self_attn.q_norm")
            keys = self._normalised(keys, "self_attn.k_norm")
        queries, keys = self._rotated(queries), self._rotated(keys)
        share = shape.heads // shape.kv_heads
        keys, values = np.repeat(keys, share, axis=1), np.repeat(values, share, axis=1)
        scores = np.einsum("qhd,khd->hqk", queries, keys).astype(np.float64)
        scores /= np.sqrt(shape.head_dim)
        scores[:, np.triu_indices(length, 1)[0], np.triu_indices(length, 1)[1]] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        heard = np.einsum("hqk,khd->qhd", weights, values).reshape(length, -1)
        return self._linear(heard.astype(np.float32), "self_attn.o_proj")

    def _rotated(self, heads: _Array) -> _Array:
        """Rotate dimension i against i + head_dim / 2, by an angle that grows with the position."""
        frequencies = rope_frequencies(self._shape)
        if self._shape.scaling is not None:
            frequencies = frequencies / rope_factors(frequencies, self._shape.scaling)
        angles = np.arange(len(heads))[:, None] * frequencies
        cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
        first, second = np.split(heads, 2, axis=-1)
        turned = (first * cos - second * sin, second * cos + first * sin)
        return np.concatenate(turned, axis=-1).astype(np.float32)

    def _normalised(self, state: _Array, name: str) -> _Array:
        return self._model.normalised(state, self._weight(f"{name}.weight"))

    def _linear(self, state: _Array, name: str) -> _Array:
        product = _times(state, self._weight(f"{name}.weight"))
        bias = self._model.read_optional(f"{self._place}{name}.bias")
        return product if bias is None else product + bias

    def _weight(self, name: str) -> _Array:
        if name not in self._weights:
            self._weights[name] = self._model.read(f"{self._place}{name}")
        return self._weights[name]


def _times(state: _Array, matrix: _Array) -> _Array:
    """Multiply in float64, some rows of the matrix at a time: (..., rows of the matrix)."""
    precise = state.astype(np.float64)
    blocks = [
        precise @ matrix[start : start + _BLOCK_ROWS].astype(np.float64).T
        for start in range(0, len(matrix), _BLOCK_ROWS)
    ]
    return np.concatenate(blocks, axis=-1).astype(np.float32)
