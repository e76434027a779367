"""Hugging Face's Whisper to ggml: every weight in its place, and what cannot be converted."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_assistant_quantize.safetensors_files import open_tensors
from edge_assistant_quantize.whisper import ggml_files
from edge_assistant_quantize.whisper.convert import convert_whisper
from edge_assistant_quantize.whisper.mel import mel_filters
from edge_assistant_quantize.whisper.tokens import byte_of_letter
from numpy.typing import NDArray

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.headers import inspect
from edge_assistant.turn_detector import logmel
from tests.workshop.hf_whisper import (
    ENGLISH,
    MULTILINGUAL,
    Arrays,
    random_weights,
    whisper_config,
    whisper_vocabulary,
    write_folder,
)
from tests.workshop.safetensors_bytes import Stored, framed, header_of, write_safetensors

CONFIG = whisper_config(width=32, heads=1)
WEIGHTS = random_weights(CONFIG)
EMBEDDING = "model.decoder.embed_tokens.weight"


def by_name(path: Path) -> dict[str, NDArray[np.float32]]:
    return {tensor.name: tensor.values() for tensor in ggml_files.read(path).tensors}


class TestWeights:
    @pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
    def test_are_rounded_to_float16_and_no_more(self, dtype: Stored, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS, dtype=dtype)
        made = convert_whisper(folder, tmp_path / "model.bin")
        got = by_name(made.path)
        stored = open_tensors(folder)
        for ours, theirs in (
            ("encoder.conv1.weight", "model.encoder.conv1.weight"),
            ("encoder.blocks.0.attn.key.weight", "model.encoder.layers.0.self_attn.k_proj.weight"),
            ("decoder.blocks.0.cross_attn.value.bias",
             "model.decoder.layers.0.encoder_attn.v_proj.bias"),
            ("decoder.blocks.0.mlp.2.weight", "model.decoder.layers.0.fc2.weight"),
            ("decoder.blocks.0.mlp_ln.weight", "model.decoder.layers.0.final_layer_norm.weight"),
            ("decoder.positional_embedding", "model.decoder.embed_positions.weight"),
            ("decoder.token_embedding.weight", EMBEDDING),
            ("encoder.ln_post.bias", "model.encoder.layer_norm.bias"),
        ):  # fmt: skip
            wanted = stored[theirs].read()
            if wanted.ndim > 1 and ours != "decoder.positional_embedding":
                wanted = wanted.astype(np.float16)
            np.testing.assert_array_equal(got[ours], wanted, err_msg=ours)
        assert got["encoder.conv2.bias"].shape == (32, 1)
        assert [share.type_name for share in made.types] == ["F16", "F32"]
        assert made.source_bytes == (folder / "model.safetensors").stat().st_size

    def test_may_be_in_float64_and_without_the_head(self, tmp_path: Path) -> None:
        from safetensors.numpy import save_file

        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        convert_whisper(folder, tmp_path / "a.bin")
        bare = {
            name.removeprefix("model."): values.astype(np.float64)
            for name, values in WEIGHTS.items()
        }
        save_file(bare, folder / "model.safetensors")
        convert_whisper(folder, tmp_path / "b.bin")
        assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()

    def test_may_lie_in_parts(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        convert_whisper(folder, tmp_path / "whole.bin")
        split_up(folder)
        made = convert_whisper(folder, tmp_path / "parts.bin")
        assert made.path.read_bytes() == (tmp_path / "whole.bin").read_bytes()

    def test_the_output_projection_may_be_there_twice(self, tmp_path: Path) -> None:
        tied = WEIGHTS | {"proj_out.weight": WEIGHTS[EMBEDDING]}
        folder = write_folder(tmp_path / "checkpoint", CONFIG, tied)
        inspect(convert_whisper(folder, tmp_path / "model.bin").path, "ggml")


def split_up(folder: Path) -> dict[str, str]:
    """Put the weights into two files and an index."""
    where: dict[str, str] = {}
    for number in range(2):
        name = f"model-0000{number + 1}-of-00002.safetensors"
        part = {key: WEIGHTS[key] for key in list(WEIGHTS)[number::2]}
        write_safetensors(folder / name, part)
        where |= dict.fromkeys(part, name)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return where


class TestFilters:
    def test_are_those_that_openai_ships(self) -> None:
        """Entries of `mel_filters.npz`, which librosa made."""
        filters = mel_filters(80)
        assert filters.shape == (80, 201)
        for band, bin_, value in (
            (0, 1, 0.02486259490251541),
            (1, 1, 0.001990821911022067),
            (1, 2, 0.022871771827340126),
            (39, 41, 0.011486922390758991),
            (69, 131, 0.00487553421407938),
            (79, 190, 0.0022320549469441175),
            (79, 199, 0.0004487590049393475),
        ):
            assert filters[band, bin_] == pytest.approx(value, rel=2e-6)
        assert filters.sum(dtype=np.float64) == pytest.approx(1.999024, rel=1e-5)

    def test_are_those_of_the_turn_detector(self) -> None:
        np.testing.assert_allclose(mel_filters(80).T, logmel._mel_bands(), rtol=1e-4, atol=1e-8)

    @pytest.mark.parametrize("bands", [80, 128])
    def test_are_in_the_file(self, bands: int, tmp_path: Path) -> None:
        config = whisper_config(width=32, heads=1, bands=bands)
        folder = write_folder(tmp_path / "checkpoint", config, random_weights(config))
        made = convert_whisper(folder, tmp_path / "model.bin")
        np.testing.assert_array_equal(ggml_files.read(made.path).filters, mel_filters(bands))


class TestTokens:
    @pytest.mark.parametrize(("n_vocab", "count"), [(ENGLISH, 50256), (MULTILINGUAL, 50257)])
    def test_are_bytes_up_to_the_end_of_text(
        self, n_vocab: int, count: int, tmp_path: Path
    ) -> None:
        config = whisper_config(width=32, heads=1, n_vocab=n_vocab)
        folder = write_folder(tmp_path / "checkpoint", config, random_weights(config))
        tokens = ggml_files.read(convert_whisper(folder, tmp_path / "model.bin").path).tokens
        assert len(tokens) == count
        assert {bytes([byte]) for byte in range(256)} <= set(tokens)
        assert tokens[256:258] == (b" -", b" '")
        assert b"<|endoftext|>" not in tokens

    def test_may_come_from_tokenizer_json(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        convert_whisper(folder, tmp_path / "a.bin")
        vocabulary = json.loads((folder / "vocab.json").read_text())
        (folder / "vocab.json").unlink()
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
        convert_whisper(folder, tmp_path / "b.bin")
        assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()

    def test_letters_are_gpt2s(self) -> None:
        letters = byte_of_letter()
        assert sorted(letters.values()) == list(range(256))
        assert [letters[letter] for letter in "aĠĊé"] == [0x61, 0x20, 0x0A, 0xE9]

    @pytest.mark.parametrize(
        "change",
        [
            lambda ids: ids.pop("t300"),
            lambda ids: ids.update({"t300": 299}),
            lambda ids: ids.update({"t300": "x"}),
            lambda ids: ids.update({"\u4e00": ids.pop("t300")}),
            lambda ids: ids.update({"other": ids.pop("\u0120-")}),
        ],
    )
    def test_that_cannot_be(self, change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
        vocabulary: dict[str, Any] = dict(whisper_vocabulary(ENGLISH))
        change(vocabulary)
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS, vocabulary=vocabulary)
        assert refusal(folder, tmp_path) == "vocabulary-unusable"


def refusal(folder: Path, tmp_path: Path) -> str:
    """Code of the error; nothing may be left behind."""
    output = tmp_path / "made" / "model.bin"
    output.parent.mkdir(exist_ok=True)
    with pytest.raises(EdgeAssistantError) as caught:
        convert_whisper(folder, output)
    assert caught.value.message
    assert list(output.parent.iterdir()) == []
    return caught.value.code


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"model_type": "llama"}, "not-whisper"),
            ({"model_type": None}, "not-whisper"),
            ({"d_model": "32"}, "config-unusable"),
            ({"d_model": True}, "config-unusable"),
            ({"d_model": 1 << 40}, "config-unusable"),
            ({"vocab_size": 32000}, "config-unusable"),
            ({"num_mel_bins": 100}, "config-unusable"),
            ({"encoder_attention_heads": 3}, "config-unusable"),
            ({"encoder_ffn_dim": 64}, "config-unusable"),
            ({"activation_function": "relu"}, "config-unusable"),
            ({"scale_embedding": True}, "config-unusable"),
            ({"encoder_layers": 2}, "tensor-missing"),
            ({"max_source_positions": 1499}, "tensor-shape"),
            ({"vocab_size": 51865}, "tensor-shape"),
        ],
    )
    def test_of_the_configuration(self, change: dict[str, Any], code: str, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        (folder / "config.json").write_text(json.dumps(CONFIG | change))
        (folder / "preprocessor_config.json").unlink()
        assert refusal(folder, tmp_path) == code

    def test_of_other_ears(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        for said in ({"n_fft": 512}, {"feature_size": 128}, {"sampling_rate": 8000}):
            (folder / "preprocessor_config.json").write_text(json.dumps(said))
            assert refusal(folder, tmp_path) == "config-unusable"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda w: w.pop("model.encoder.conv1.bias"), "tensor-missing"),
            (lambda w: w.update({"model.encoder.lora_A": np.zeros(3, np.float32)}),
             "tensor-unknown"),
            (lambda w: w.update({"model.encoder.layer_norm.bias": np.zeros(31, np.float32)}),
             "tensor-shape"),
            (lambda w: w.update({EMBEDDING: w[EMBEDDING].T.copy()}), "tensor-shape"),
            (lambda w: w.update({"proj_out.weight": w[EMBEDDING] + 1}), "output-untied"),
            (lambda w: w.update({"proj_out.weight": w[EMBEDDING][:-1]}), "tensor-shape"),
            (lambda w: w[EMBEDDING].__setitem__((5, 5), np.nan), "weights-not-finite"),
            (lambda w: w["model.encoder.layers.0.fc1.weight"].__setitem__((5, 5), 1e6),
             "weights-not-finite"),
        ],
    )  # fmt: skip
    def test_of_the_tensors(
        self, change: Callable[[Arrays], Any], code: str, tmp_path: Path
    ) -> None:
        weights = {name: values.copy() for name, values in WEIGHTS.items()}
        change(weights)
        folder = write_folder(tmp_path / "checkpoint", CONFIG, weights)
        assert refusal(folder, tmp_path) == code

    def test_of_dtypes(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        shapes = {name: values.shape for name, values in WEIGHTS.items()}
        data = bytes(8 * sum(values.size for values in WEIGHTS.values()))
        (folder / "model.safetensors").write_bytes(framed(header_of(shapes, "I64", 8), data))
        assert refusal(folder, tmp_path) == "tensor-type"

    def test_of_what_is_not_there(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        (folder / "vocab.json").unlink()
        assert refusal(folder, tmp_path) == "file-missing"
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        assert refusal(folder, tmp_path) == "no-safetensors"
        (folder / "config.json").unlink()
        assert refusal(folder, tmp_path) == "file-missing"

    def test_of_a_tensor_with_both_names(self, tmp_path: Path) -> None:
        bare = {EMBEDDING.removeprefix("model."): WEIGHTS[EMBEDDING] + 1}
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS | bare)
        assert refusal(folder, tmp_path) == "tensor-twice"

    def test_of_spoiled_weights(self, tmp_path: Path) -> None:
        """Flipped bits in the header and cut files: a reason, no file, and nothing else."""
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        path = folder / "model.safetensors"
        good = path.read_bytes()
        (length,) = struct.unpack_from("<Q", good)
        rng = random.Random(11)
        codes: Counter[str] = Counter()
        with path.open("rb+", buffering=0) as file:
            for _ in range(500):
                place = rng.randrange(8 + length)
                # The notes of the file, which say nothing of a tensor.
                if good.index(b"format") <= place < good.index(b"pt") + 2:
                    continue
                file.seek(place)
                file.write(bytes([good[place] ^ 1 << rng.randrange(8)]))
                codes[refusal(folder, tmp_path)] += 1
                file.seek(place)
                file.write(good[place : place + 1])
            for cut in sorted(rng.sample(range(len(good)), 200), reverse=True):
                file.truncate(cut)
                assert refusal(folder, tmp_path) == "header-invalid"
        assert set(codes) <= {"header-invalid", "json-invalid", "tensor-missing", "tensor-shape"}
        assert len(codes) >= 3
