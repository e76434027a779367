"""Whisper in plain numpy, straight from Hugging Face's tensors: what a conversion is held against.

It knows nothing of whisper.cpp's names and layout, so a mistake of the converter cannot be in both.
float32 throughout, with the exact GELU of the training (whisper.cpp takes the tanh approximation in
float16, and keeps keys and values in float16). Architecture: Radford et al. 2022, section 2.2, and
`modeling_whisper.py` of transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_EPSILON: Final = np.float32(1e-5)


class WhisperReference:
    """Encoder and greedy decoder.

    Args:
        tensors: the weights by Hugging Face's names without `model.`, read when they are used.
        config: config.json.
    """

    def __init__(
        self, tensors: Mapping[str, Callable[[], Floats]], config: Mapping[str, Any]
    ) -> None:
        self._tensors = tensors
        self._read: dict[str, Floats] = {}
        self._config = config

    def encode(self, mel: Floats) -> Floats:
        """States (positions, width) for a log-mel picture (bands, twice as many columns)."""
        states = _gelu(self._convolution("encoder.conv1", mel.T, stride=1))
        states = _gelu(self._convolution("encoder.conv2", states, stride=2))
        states = states + self._weight("encoder.embed_positions.weight")[: len(states)]
        for layer in range(self._config["encoder_layers"]):
            name = f"encoder.layers.{layer}"
            inner = self._norm(f"{name}.self_attn_layer_norm", states)
            states = states + self._attention(f"{name}.self_attn", inner, inner, is_causal=False)
            states = states + self._perceptron(name, states)
        return self._norm("encoder.layer_norm", states)

    def logits(self, tokens: list[int], encoded: Floats) -> Floats:
        """Scores (len(tokens), vocabulary) of what follows each of the tokens."""
        embedding = self._weight("decoder.embed_tokens.weight")
        positions = self._weight("decoder.embed_positions.weight")
        states = embedding[tokens] + positions[: len(tokens)]
        for layer in range(self._config["decoder_layers"]):
            name = f"decoder.layers.{layer}"
            inner = self._norm(f"{name}.self_attn_layer_norm", states)
            states = states + self._attention(f"{name}.self_attn", inner, inner, is_causal=True)
            inner = self._norm(f"{name}.encoder_attn_layer_norm", states)
            states = states + self._attention(
                f"{name}.encoder_attn", inner, encoded, is_causal=False
            )
            states = states + self._perceptron(name, states)
        return self._norm("decoder.layer_norm", states) @ embedding.T

    def greedy(self, prompt: list[int], encoded: Floats, *, steps: int, end: int) -> list[int]:
        """The prompt and the best token of every step, at most `steps`, or up to `end`."""
        tokens = list(prompt)
        for _ in range(steps):
            tokens.append(int(self.logits(tokens, encoded)[-1].argmax()))
            if tokens[-1] == end:
                break
        return tokens

    def _attention(self, name: str, states: Floats, others: Floats, *, is_causal: bool) -> Floats:
        side = name.partition(".")[0]
        heads = int(self._config[f"{side}_attention_heads"])
        width = states.shape[1] // heads
        queries = self._linear(f"{name}.q_proj", states) * np.float32(width**-0.5)
        keys = self._linear(f"{name}.k_proj", others)
        values = self._linear(f"{name}.v_proj", others)
        mixed = np.empty_like(queries)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = queries[:, part] @ keys[:, part].T
            if is_causal:
                scores = np.where(
                    np.tri(*scores.shape, dtype=np.bool_), scores, np.float32(-np.inf)
                )
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            mixed[:, part] = scores @ values[:, part] / scores.sum(axis=1, keepdims=True)
        return self._linear(f"{name}.out_proj", mixed)

    def _perceptron(self, name: str, states: Floats) -> Floats:
        inner = self._norm(f"{name}.final_layer_norm", states)
        return self._linear(f"{name}.fc2", _gelu(self._linear(f"{name}.fc1", inner)))

    def _convolution(self, name: str, states: Floats, *, stride: int) -> Floats:
        kernel = self._weight(f"{name}.weight")
        padded = np.pad(states, ((1, 1), (0, 0)))
        count = len(states)
        taps = (padded[tap : tap + count : stride] @ kernel[:, :, tap].T for tap in range(3))
        return np.asarray(sum(taps) + self._weight(f"{name}.bias"), dtype=np.float32)

    def _linear(self, name: str, states: Floats) -> Floats:
        product = states @ self._weight(f"{name}.weight").T
        # The keys have none.
        has_bias = f"{name}.bias" in self._tensors
        return product + self._weight(f"{name}.bias") if has_bias else product

    def _norm(self, name: str, states: Floats) -> Floats:
        centred = states - states.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        normal = centred / np.sqrt(variance + _EPSILON)
        scaled = normal * self._weight(f"{name}.weight") + self._weight(f"{name}.bias")
        return np.asarray(scaled, dtype=np.float32)

    def _weight(self, name: str) -> Floats:
        if name not in self._read:
            self._read[name] = self._tensors[name]()
        return self._read[name]


def _gelu(x: Floats) -> Floats:
    """x times the normal distribution up to x; erf by Abramowitz and Stegun 7.1.26 (to 1.5e-7)."""
    z = np.abs(x) * np.float32(2**-0.5)
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * t
    erf = np.sign(x) * (1.0 - series * np.exp(-z * z))
    return np.asarray(0.5 * x * (1.0 + erf), dtype=np.float32)
