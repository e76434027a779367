"""Checkpoint and ggml file side by side on the same sound: whisper.cpp against plain numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_quantize import ggml_files
from edge_assistant_quantize.convert_whisper import convert_whisper
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.ggml_files import Tensor
from edge_assistant_quantize.quantise_whisper import quantise_whisper
from edge_assistant_quantize.verify_whisper import verify_whisper, weight_error
from edge_assistant_quantize.whisper_reference import _gelu
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from tests.workshop.hf_whisper import (
    ENGLISH,
    MULTILINGUAL,
    Arrays,
    random_weights,
    whisper_config,
    write_folder,
)

STEPS = 4


def sound() -> Samples:
    """Two seconds of a rising tone in noise."""
    at_s = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 400 * at_s) * at_s)
    noise = np.random.default_rng(4).standard_normal(len(at_s))
    return np.asarray(tone + 0.01 * noise, dtype=np.float32)


def build(tmp_path: Path, *, width: int = 64, heads: int = 2, n_vocab: int = ENGLISH) -> Path:
    config = whisper_config(width=width, heads=heads, n_vocab=n_vocab)
    return write_folder(tmp_path / "checkpoint", config, random_weights(config))


@pytest.mark.parametrize(
    ("width", "heads", "n_vocab"), [(32, 1, ENGLISH), (64, 2, MULTILINGUAL), (64, 1, 51866)]
)
def test_a_conversion_agrees(width: int, heads: int, n_vocab: int, tmp_path: Path) -> None:
    folder = build(tmp_path, width=width, heads=heads, n_vocab=n_vocab)
    made = convert_whisper(folder, tmp_path / "model.bin")
    found = verify_whisper(folder, made.path, sound(), steps=STEPS)
    assert found.agrees, found
    assert found.steps == len(found.tokens) <= STEPS
    error = weight_error(folder, made.path)
    assert error.max_abs < 2**-10 * 8
    assert error.mean_abs < 1e-4


def swap(first: str, second: str) -> Callable[[Arrays], None]:
    def change(weights: Arrays) -> None:
        weights[first], weights[second] = weights[second], weights[first]

    return change


def transpose(name: str) -> Callable[[Arrays], None]:
    def change(weights: Arrays) -> None:
        weights[name] = np.ascontiguousarray(weights[name].T)

    return change


ENCODER = "model.encoder.layers.0"
DECODER = "model.decoder.layers.0"


@pytest.mark.parametrize(
    "change",
    [
        swap(f"{ENCODER}.self_attn.q_proj.weight", f"{ENCODER}.self_attn.k_proj.weight"),
        swap(f"{ENCODER}.self_attn.v_proj.weight", f"{ENCODER}.self_attn.out_proj.weight"),
        swap(f"{DECODER}.encoder_attn.q_proj.weight", f"{DECODER}.self_attn.q_proj.weight"),
        swap(f"{DECODER}.final_layer_norm.bias", f"{DECODER}.encoder_attn_layer_norm.bias"),
        transpose(f"{ENCODER}.self_attn.out_proj.weight"),
        transpose(f"{DECODER}.encoder_attn.v_proj.weight"),
    ],
    ids=["encoder q/k", "encoder v/out", "cross and self q", "norms", "encoder out^T", "cross v^T"],
)
def test_a_wrong_conversion_is_caught(change: Callable[[Arrays], None], tmp_path: Path) -> None:
    """Every shape is right and whisper.cpp loads it without a word; only the scores tell."""
    folder = build(tmp_path)
    config = whisper_config()
    weights = random_weights(config)
    change(weights)
    wrong = write_folder(tmp_path / "wrong", config, weights)
    made = convert_whisper(wrong, tmp_path / "model.bin")
    found = verify_whisper(folder, made.path, sound(), steps=STEPS)
    assert not found.agrees, found


def test_filters_of_another_scale_are_caught(tmp_path: Path) -> None:
    """whisper.cpp hears through the filters of its file."""
    folder = build(tmp_path)
    model = ggml_files.read(convert_whisper(folder, tmp_path / "model.bin").path)
    ggml_files.write(tmp_path / "wrong.bin", replace(model, filters=model.filters[::-1].copy()))
    assert not verify_whisper(folder, tmp_path / "wrong.bin", sound(), steps=STEPS).agrees


def test_fewer_bits_are_further_off(tmp_path: Path) -> None:
    folder = build(tmp_path)
    source = convert_whisper(folder, tmp_path / "f16.bin").path
    shares = [verify_whisper(folder, source, sound(), steps=STEPS).share]
    for name in ("q8_0", "q5_1", "q4_0"):
        made = quantise_whisper(source, tmp_path / f"{name}.bin", name)
        shares.append(verify_whisper(folder, made.path, sound(), steps=STEPS).share)
    assert shares == sorted(shares)


def test_scores_that_are_no_numbers_agree_with_nothing(tmp_path: Path) -> None:
    folder = build(tmp_path, width=32, heads=1)
    model = ggml_files.read(convert_whisper(folder, tmp_path / "model.bin").path)
    tensors = tuple(
        spoilt(each, np.inf) if each.name == "encoder.conv1.weight" else each
        for each in model.tensors
    )
    ggml_files.write(tmp_path / "spoilt.bin", replace(model, tensors=tensors))
    assert not verify_whisper(folder, tmp_path / "spoilt.bin", sound(), steps=STEPS).agrees


def test_a_child_that_fails_is_an_error_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build(tmp_path, width=32, heads=1)
    made = convert_whisper(folder, tmp_path / "model.bin")
    monkeypatch.setattr(
        "edge_assistant_quantize.verify_whisper._library", lambda: tmp_path / "nothing.so"
    )
    with pytest.raises(WorkshopError, match=r"nothing\.so") as caught:
        verify_whisper(folder, made.path, sound(), steps=STEPS)
    assert caught.value.code == "model-does-not-run"


def spoilt(tensor: Tensor, value: float) -> Tensor:
    def load() -> NDArray[np.float16]:
        return np.full(tensor.shape, value, dtype=np.float16)

    return replace(tensor, load=load)


def test_gelu_is_exact_to_the_digits_of_float32() -> None:
    x = np.linspace(-6, 6, 2001, dtype=np.float32)
    wanted = [0.5 * each * (1 + math.erf(each / math.sqrt(2))) for each in x.tolist()]
    np.testing.assert_allclose(_gelu(x), wanted, atol=1e-6)
