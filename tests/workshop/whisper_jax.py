"""Whisper in JAX, as whisper.cpp computes it, for the training of the tiny one.

Weights are a dictionary under Hugging Face's names (without `model.`), each in its shape there.

What differs from the paper is whisper.cpp's way with a shortened `audio_ctx`: its flash attention
works on keys in steps of 256 without a mask, so that the keys after the last position take part.
They are zeros, or what a longer call before left there; the encoder has one such place for all its
layers, so its last layer's keys stand there. Training shows both to the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from tests.workshop.tiny_whisper import (
    DECODER_LAYERS,
    ENCODER_LAYERS,
    HEADS,
    KEY_STEP,
    LIFT,
    LIFT_CHANNEL,
    N_AUDIO,
    N_MELS,
    STATE,
    sinusoids,
)

EPSILON: Final = 1e-5
_POSITIONS: Final = sinusoids(N_AUDIO, STATE)

Weights = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """Encoder positions that whisper.cpp fills, and what it leaves behind them."""

    valid: Any
    """bool (batch, positions): below `audio_ctx`."""
    earlier: Any
    """int32 (batch, positions): the row of the batch whose keys stand after that; -1 for zeros."""


def new_weights(seed: int, num_tokens: int, num_text: int) -> Weights:
    """Random weights; matrices scaled by their width, what adds to the stream by half of it."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Any] = {}

    def layer_of(name: str, outputs: int, inputs: int, scale: float = 1.0) -> None:
        weights[f"{name}.weight"] = rng.normal(0.0, scale * inputs**-0.5, (outputs, inputs))
        if not name.endswith("k_proj"):
            weights[f"{name}.bias"] = np.zeros(outputs)

    def norm(name: str) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ones(STATE), np.zeros(STATE)

    for name, channels in (("encoder.conv1", N_MELS), ("encoder.conv2", STATE)):
        weights[f"{name}.weight"] = rng.normal(0.0, (3 * channels) ** -0.5, (STATE, channels, 3))
        weights[f"{name}.bias"] = np.zeros(STATE)
    for side, layers in (("encoder", ENCODER_LAYERS), ("decoder", DECODER_LAYERS)):
        for layer in range(layers):
            block = f"{side}.layers.{layer}"
            for kind in ("self_attn", *(["encoder_attn"] if side == "decoder" else [])):
                norm(f"{block}.{kind}_layer_norm")
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    scale = 0.5 if part == "out_proj" else 1.0
                    layer_of(f"{block}.{kind}.{part}", STATE, STATE, scale)
            norm(f"{block}.final_layer_norm")
            layer_of(f"{block}.fc1", 4 * STATE, STATE)
            layer_of(f"{block}.fc2", STATE, 4 * STATE, 0.5)
        norm(f"{side}.layer_norm")
    weights["decoder.embed_tokens.weight"] = rng.normal(0.0, 0.1, (num_tokens, STATE))
    weights["decoder.embed_positions.weight"] = rng.normal(0.0, 0.1, (num_text, STATE))
    return {name: jnp.asarray(values, jnp.float32) for name, values in weights.items()}


def lifted(weights: Weights) -> Weights:
    """The same with the one channel of the last norm that stays constant."""
    scale, bias = (weights[f"decoder.layer_norm.{part}"] for part in ("weight", "bias"))
    return weights | {
        "decoder.layer_norm.weight": scale.at[LIFT_CHANNEL].set(0.0),
        "decoder.layer_norm.bias": bias.at[LIFT_CHANNEL].set(LIFT),
    }


def encode(weights: Weights, mels: Any, heard: Heard) -> Any:
    """Features (batch, positions, STATE) of log-mels (batch, 2 * positions, 80)."""
    first = Heard(heard.valid, jnp.full_like(heard.earlier, -1))
    features, left = _encoded(weights, mels, first, None)
    if features.shape[1] % KEY_STEP == 0:
        features, _ = _encoded(weights, mels, heard, jax.lax.stop_gradient(left))
    return features


def _encoded(weights: Weights, mels: Any, heard: Heard, left: Any) -> tuple[Any, Any]:
    """Features, and the keys and values that the last layer leaves behind."""
    stream = _gelu(_convolution(weights, "encoder.conv1", mels, 1))
    stream = _gelu(_convolution(weights, "encoder.conv2", stream, 2))
    stream = stream + _POSITIONS[: stream.shape[1]]
    for layer in range(ENCODER_LAYERS):
        block = f"encoder.layers.{layer}"
        normed = _norm(weights, f"{block}.self_attn_layer_norm", stream)
        name = f"{block}.self_attn"
        leaves = tuple(linear(weights, f"{name}.{part}", normed) for part in ("k_proj", "v_proj"))
        stream = stream + _attention(weights, name, normed, normed, heard, left)[0]
        stream = stream + _perceptron(weights, block, stream)
    return _norm(weights, "encoder.layer_norm", stream), leaves


def decode(weights: Weights, tokens: Any, features: Any, heard: Heard) -> tuple[Any, Any]:
    """Logits (batch, length, tokens) after each token, and where the last layer looked.

    The latter is (batch, heads, length, positions), each row summing to 1 or, where zeros behind
    the last position took a share, less.
    """
    length = tokens.shape[1]
    stream = weights["decoder.embed_tokens.weight"][tokens]
    stream = stream + weights["decoder.embed_positions.weight"][:length]
    looks = None
    for layer in range(DECODER_LAYERS):
        block = f"decoder.layers.{layer}"
        normed = _norm(weights, f"{block}.self_attn_layer_norm", stream)
        stream = stream + _attention(weights, f"{block}.self_attn", normed, normed, None)[0]
        normed = _norm(weights, f"{block}.encoder_attn_layer_norm", stream)
        mixed, looks = _attention(weights, f"{block}.encoder_attn", normed, features, heard)
        stream = stream + mixed
        stream = stream + _perceptron(weights, block, stream)
    said = _norm(lifted(weights), "decoder.layer_norm", stream)
    return said @ weights["decoder.embed_tokens.weight"].T, looks


def linear(weights: Weights, name: str, values: Any) -> Any:
    """One layer, with its bias where it has one."""
    product = values @ weights[f"{name}.weight"].T
    bias = weights.get(f"{name}.bias")
    return product if bias is None else product + bias


def _attention(
    weights: Weights, name: str, queries: Any, sources: Any, heard: Heard | None, left: Any = None
) -> tuple[Any, Any]:
    """Mix of the sources for every query, and the shares; causal where nothing is `heard`.

    `left` are the keys and values that each row leaves behind; None for those it uses itself.
    """
    batch, length, _ = queries.shape
    keys, values = (linear(weights, f"{name}.{part}", sources) for part in ("k_proj", "v_proj"))
    zeros = 0
    if heard is not None:
        others = left or (keys, values)
        keys, values = _filled(keys, others[0], heard), _filled(values, others[1], heard)
        zeros = -keys.shape[1] % KEY_STEP
    heads = (batch, -1, HEADS, STATE // HEADS)
    asked = linear(weights, f"{name}.q_proj", queries).reshape(heads)
    scores = jnp.einsum("bqhd,bkhd->bhqk", asked, keys.reshape(heads)) / np.sqrt(heads[-1])
    if heard is None:
        scores = jnp.where(np.tri(length, dtype=bool), scores, -1e9)
    peak = jax.lax.stop_gradient(jnp.maximum(scores.max(axis=-1, keepdims=True), 0.0))
    grown = jnp.exp(scores - peak)
    shares = grown / (grown.sum(axis=-1, keepdims=True) + zeros * jnp.exp(-peak))
    mixed = jnp.einsum("bhqk,bkhd->bqhd", shares, values.reshape(heads))
    return linear(weights, f"{name}.out_proj", mixed.reshape(queries.shape)), shares


def _filled(own: Any, others: Any, heard: Heard) -> Any:
    earlier = heard.earlier[..., None]
    found = jnp.take_along_axis(others, jnp.maximum(earlier, 0), axis=0)
    return jnp.where(heard.valid[..., None], own, jnp.where(earlier < 0, 0.0, found))


def _perceptron(weights: Weights, block: str, stream: Any) -> Any:
    normed = _norm(weights, f"{block}.final_layer_norm", stream)
    return linear(weights, f"{block}.fc2", _gelu(linear(weights, f"{block}.fc1", normed)))


def _convolution(weights: Weights, name: str, values: Any, stride: int) -> Any:
    length = values.shape[1]
    edged = jnp.pad(values, ((0, 0), (1, 1), (0, 0)))
    taps = jnp.concatenate([edged[:, tap : tap + length : stride] for tap in range(3)], axis=-1)
    kernel = weights[f"{name}.weight"].transpose(2, 1, 0).reshape(-1, STATE)
    return taps @ kernel + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, stream: Any) -> Any:
    centred = stream - stream.mean(axis=-1, keepdims=True)
    spread = jnp.sqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + EPSILON)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(values: Any) -> Any:
    # whisper.cpp has this form, in a table of float16; the exact one differs by 0.0005 at most.
    return jax.nn.gelu(values, approximate=True)
