"""Safetensors to ggml to whisper.cpp to the right words: real weights, on voices not trained on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_quantize.whisper.convert import convert_whisper
from edge_assistant_quantize.whisper.mel import log_mel as reference_log_mel
from edge_assistant_quantize.whisper.mel import mel_filters
from edge_assistant_quantize.whisper.quantise import quantise_whisper
from edge_assistant_quantize.whisper.tokens import read_tokens

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.wer import word_error_rate
from edge_assistant.stt.whispercpp import WhisperCppRecognizer
from tests.engines.sounds import white_noise
from tests.workshop import tiny_whisper
from tests.workshop.spoken_words import (
    HELD_OUT_VARIANTS,
    HELD_OUT_VOICES,
    TRAINING_VOICES,
    WORDS,
    Clip,
    Utterance,
    clips,
    spoken,
)
from tests.workshop.tiny_whisper_clips import COLUMNS, log_mel

FIXED = (
    Utterance(words=("stop",), voice="en-us+m3"),
    Utterance(words=("yes",), voice="en-gb+f3"),
    Utterance(words=("left", "right"), voice="en-gb+m7"),
    Utterance(words=("off", "on"), voice="en-us+f5"),
    Utterance(words=("one", "two", "three"), voice="en-us+m3", separator=", "),
    Utterance(words=("seven", "zero", "nine", "four"), voice="en-gb-x-rp+m3"),
    Utterance(words=("go", "up", "go", "down"), voice="en-us+f3"),
    Utterance(words=("five", "five"), voice="en-029+m3"),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.write_tiny_whisper(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Path:
    path = checkpoint.parent / "tiny-f16.bin"
    convert_whisper(checkpoint, path)
    return path


def heard(path: Path, sounds: list[Samples]) -> list[str]:
    """What whisper.cpp writes, through the adapter that the assistant uses."""
    recognizer = WhisperCppRecognizer(path, num_threads=1, gpu=False)
    try:
        return [recognizer.transcribe(each, CancelToken()).text for each in sounds]
    finally:
        recognizer.close()


def word_accuracy(path: Path, said: list[Clip]) -> float:
    texts = heard(path, [each.audio for each in said])
    pairs = zip((each.utterance.text for each in said), texts, strict=True)
    return 1.0 - word_error_rate(list(pairs))


def sound_of(utterance: Utterance) -> Samples:
    """The bare voice with 0.1 s of silence around it; training has at least 0.03 s."""
    clip = spoken(utterance)
    assert clip is not None
    return np.pad(clip.audio, SAMPLE_RATE // 10)


@pytest.fixture(scope="module")
def held_out() -> list[Clip]:
    return list(islice(clips(HELD_OUT_VOICES, seed=2), 60))


class TestWords:
    def test_are_the_ones_spoken(self, model: Path) -> None:
        texts = heard(model, [sound_of(each) for each in FIXED])
        assert texts == [each.text for each in FIXED]

    def test_hold_in_voices_and_noise_not_trained_on(
        self, model: Path, held_out: list[Clip]
    ) -> None:
        assert not set(HELD_OUT_VOICES) & set(TRAINING_VOICES)
        assert not any(voice.endswith(HELD_OUT_VARIANTS) for voice in TRAINING_VOICES)
        assert word_accuracy(model, held_out) >= 0.95

    @pytest.mark.parametrize("type_name", ["q8_0", "q5_1", "q5_0", "q4_0"])
    def test_hold_in_fewer_bits(
        self, model: Path, held_out: list[Clip], tmp_path: Path, type_name: str
    ) -> None:
        small = tmp_path / f"tiny-{type_name}.bin"
        made = quantise_whisper(model, small, type_name)
        assert made.types[0].type_name == type_name.upper()
        assert small.stat().st_size < model.stat().st_size
        assert heard(small, [sound_of(each) for each in FIXED]) == [each.text for each in FIXED]
        assert word_accuracy(small, held_out) >= 0.95

    def test_no_other_token_is_ever_said(self, model: Path) -> None:
        sounds = [white_noise(2, dbfs=dbfs) for dbfs in (-50, -35, -20, -6)]
        said = " ".join(heard(model, sounds)).split()
        assert set(said) <= set(WORDS)

    @pytest.mark.parametrize(
        "name",
        [
            "encoder.conv1.weight",
            "encoder.layers.1.self_attn.q_proj.weight",
            "decoder.layers.0.encoder_attn.v_proj.weight",
        ],
    )
    def test_a_wrong_conversion_is_heard(
        self, held_out: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """A kernel that runs backwards in time, a matrix on its side: same names, same shapes."""
        with np.load(tiny_whisper.WEIGHTS) as trained:
            weights = {each: trained[each] for each in trained.files}
        wrong = weights[name][..., ::-1] if weights[name].ndim == 3 else weights[name].T
        # In rows again: safetensors writes the memory of an array, whatever its order.
        weights[name] = np.ascontiguousarray(wrong)
        np.savez(tmp_path / "wrong.npz", **weights)
        monkeypatch.setattr(tiny_whisper, "WEIGHTS", tmp_path / "wrong.npz")
        folder = tiny_whisper.write_tiny_whisper(tmp_path / "wrong")
        convert_whisper(folder, tmp_path / "wrong.bin")
        assert word_accuracy(tmp_path / "wrong.bin", held_out) < 0.9


class TestCheckpoint:
    def test_is_the_same_every_time(self, checkpoint: Path, tmp_path: Path) -> None:
        again = tiny_whisper.write_tiny_whisper(tmp_path / "again")
        for path in checkpoint.iterdir():
            assert path.read_bytes() == (again / path.name).read_bytes()

    def test_has_the_words_in_its_vocabulary(self, checkpoint: Path) -> None:
        tokens = read_tokens(checkpoint, tiny_whisper.N_VOCABULARY)
        for word, token in tiny_whisper.TOKEN_IDS.items():
            assert tokens[token] == f" {word}".encode()
        assert tuple(tiny_whisper.TOKEN_IDS) == WORDS

    def test_committed_weights_are_small(self) -> None:
        assert tiny_whisper.WEIGHTS.stat().st_size < 500_000


class TestPicture:
    def test_is_the_reference_picture_of_the_whole_window(self) -> None:
        clip = next(clips(HELD_OUT_VOICES, seed=3))
        picture, silence = log_mel(clip.audio)
        expected = reference_log_mel(clip.audio, mel_filters(tiny_whisper.N_MELS)).T
        assert len(clip.audio) < COLUMNS * SAMPLE_RATE // 100
        assert np.abs(picture - expected[:COLUMNS]).max() < 1e-5
        assert np.abs(expected[COLUMNS:] - silence).max() < 1e-5
