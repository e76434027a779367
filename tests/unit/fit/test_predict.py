"""The arithmetic of the prediction: what is calibrated on a model is true of that model again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_assistant.fit.predict import (
    CLAUSE_TOKENS,
    TAIL_TOKENS,
    TOKENS_PER_SPEECH_S,
    WORK,
    Cost,
    Speed,
    calibrated,
    calibrated_llm,
    cost,
    estimated,
    prompt_s,
    token_s,
)
from edge_assistant.fit.sizes import LlmSize, SpeechSize, WhisperSize
from tests.unit.fit.made import DESKTOP, ENGINES, PI

SMOL = LlmSize(file_bytes=98e6, parameters=134.5e6, body=106.2e6, is_exact=True)
BASE = WhisperSize(
    file_bytes=148e6,
    width=512,
    encoder_layers=6,
    decoder_layers=6,
    parameters=74e6,
    is_exact=True,
)


def test_a_model_is_predicted_as_it_was_measured() -> None:
    speed = calibrated_llm(
        SMOL, tokens_s=160.0, prompt_tokens=128, prefill_tokens_s=450.0, model="a"
    )
    assert 1 / token_s(SMOL, speed) == pytest.approx(160.0)
    assert prompt_s(SMOL, speed, 128) == pytest.approx(128 / 450.0)
    assert speed.measured_with == "a"


def test_decoding_goes_with_the_bytes_and_prompts_with_the_parameters() -> None:
    speed = Speed(flops=100e9, read_bytes_s=20e9)
    wider = LlmSize(file_bytes=2 * 98e6, parameters=134.5e6, body=106.2e6, is_exact=True)
    assert token_s(wider, speed) == pytest.approx(2 * token_s(SMOL, speed))
    arithmetic_s = prompt_s(SMOL, speed, 65) - token_s(SMOL, speed)
    assert prompt_s(wider, speed, 65) - token_s(wider, speed) == pytest.approx(arithmetic_s)
    assert arithmetic_s == pytest.approx(64 * 2 * 106.2e6 / 100e9)


def test_formats_with_slow_kernels_take_longer() -> None:
    slow = replace(SMOL, read_factor=0.5, flops_factor=0.25)
    speed = Speed(flops=100e9, read_bytes_s=20e9)
    assert token_s(slow, speed) == pytest.approx(2 * token_s(SMOL, speed))
    measured = calibrated_llm(
        slow, tokens_s=100.0, prompt_tokens=100, prefill_tokens_s=300.0, model="a"
    )
    assert 1 / token_s(slow, measured) == pytest.approx(100.0)
    assert prompt_s(slow, measured, 100) == pytest.approx(100 / 300.0)
    assert token_s(SMOL, measured) == pytest.approx(0.005)


def test_what_a_language_model_adds() -> None:
    speed = Speed(flops=100e9, read_bytes_s=20e9)
    found = cost(SMOL, speed)
    tokens_s = (CLAUSE_TOKENS - 1) * token_s(SMOL, speed)
    assert found.first_s == pytest.approx(prompt_s(SMOL, speed, TAIL_TOKENS) + tokens_s)
    assert found.per_speech_s == pytest.approx(TOKENS_PER_SPEECH_S * token_s(SMOL, speed))


def test_a_noisy_clock_gives_no_endless_speed() -> None:
    """Measured: a prompt that took no longer than one token."""
    speed = calibrated_llm(
        SMOL, tokens_s=100.0, prompt_tokens=100, prefill_tokens_s=10_000.0, model="a"
    )
    assert 0 < speed.flops < 1e16


@pytest.mark.parametrize(
    ("size", "measured"),
    [
        (BASE, Cost(first_s=0.2, per_speech_s=0.0)),
        (
            SpeechSize(speech_class="moonshine-tiny", parameters=27e6),
            Cost(first_s=0.05, per_speech_s=0.0),
        ),
        (SpeechSize(speech_class="piper-low", rank=2), Cost(first_s=0.03, per_speech_s=0.02)),
        (SpeechSize(speech_class="espeak"), Cost(first_s=0.002, per_speech_s=0.001)),
    ],
)
def test_an_engine_is_predicted_as_it_was_measured(
    size: WhisperSize | SpeechSize, measured: Cost
) -> None:
    like = Speed(flops=50e9, read_bytes_s=10e9)
    speed = calibrated(size, like, measured, model="a")
    found = cost(size, speed)
    assert found.first_s == pytest.approx(measured.first_s)
    assert found.per_speech_s == pytest.approx(measured.per_speech_s)


def test_the_encoder_of_whisper_is_as_published() -> None:
    """About 40 GFLOP for the whole window of tiny, 97 of base, 387 of small."""
    sizes = {4: (384, 40), 6: (512, 97), 12: (768, 387)}
    for layers, (width, gflop) in sizes.items():
        size = WhisperSize(
            file_bytes=1e8,
            width=width,
            encoder_layers=layers,
            decoder_layers=layers,
            parameters=1e8,
            is_exact=False,
        )
        assert size.encoder_flops(1500) / 1e9 == pytest.approx(gflop, rel=0.1)


def test_better_voices_take_longer() -> None:
    speed = estimated("piper", PI)
    costs = [
        cost(SpeechSize(speech_class=f"piper-{each}"), speed)
        for each in ("x_low", "low", "medium", "high")
    ]
    assert [each.per_speech_s for each in costs] == sorted(each.per_speech_s for each in costs)
    assert [each.first_s for each in costs] == sorted(each.first_s for each in costs)
    assert all(each.first_s > 0 for each in costs)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_estimate_says_that_it_is_one(engine: str) -> None:
    slow, quick = (estimated(engine, each) for each in (PI, DESKTOP))  # type: ignore[arg-type]
    assert slow.measured_with == quick.measured_with == ""
    assert slow.flops < quick.flops


def test_whisper_is_estimated_by_llama() -> None:
    llm = Speed(flops=123e9, read_bytes_s=4e9, measured_with="a")
    found = estimated("whispercpp", PI, llm)
    assert found.read_bytes_s == 4e9
    assert 0 < found.flops < 123e9
    assert found.measured_with == ""


def test_every_class_has_its_work() -> None:
    for name in ("moonshine-tiny", "moonshine-base", "espeak"):
        assert WORK[name].per_s > 0
    for name, work in WORK.items():
        assert name.startswith("moonshine") or work.first > 0
