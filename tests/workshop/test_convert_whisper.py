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
from edge_assistant_quantize import ggml_files, safetensors_files
from edge_assistant_quantize.convert_whisper import convert_whisper
from edge_assistant_quantize.mel import mel_filters
from edge_assistant_quantize.whisper_tokens import byte_of_letter
from numpy.typing import NDArray

from edge_assistant.errors import EdgeAssistantError, ModelCorrupt, ModelNotFound
from edge_assistant.store.headers import inspect
from edge_assistant.turn_detector import logmel
from tests.workshop.hf_whisper import (
    ENGLISH,
    MULTILINGUAL,
    Arrays,
    random_weights,
    safetensors,
    whisper_config,
    whisper_vocabulary,
    write_folder,
)

CONFIG = whisper_config(width=32, heads=1)
WEIGHTS = random_weights(CONFIG)
EMBEDDING = "model.decoder.embed_tokens.weight"


def by_name(path: Path) -> dict[str, NDArray[np.float32]]:
    return {tensor.name: tensor.values() for tensor in ggml_files.read(path).tensors}


class TestWeights:
    @pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
    def test_are_rounded_to_float16_and_no_more(self, dtype: str, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS, dtype=dtype)
        made = convert_whisper(folder, tmp_path / "model.bin")
        got = by_name(made.path)
        stored = safetensors_files.read_folder(folder)
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
            wanted = stored[theirs].values()
            if wanted.ndim > 1 and ours != "decoder.positional_embedding":
                wanted = wanted.astype(np.float16).astype(np.float32)
            np.testing.assert_array_equal(got[ours], wanted, err_msg=ours)
        assert got["encoder.conv2.bias"].shape == (32, 1)
        assert [share.type_name for share in made.types] == ["F16", "F32"]
        assert made.source_bytes == (folder / "model.safetensors").stat().st_size

    def test_bf16_is_the_upper_half_of_a_float32(self, tmp_path: Path) -> None:
        values = np.array([1.0, -2.5, 3.140625, 1e-3, 0.0], dtype=np.float32)
        path = tmp_path / "x.safetensors"
        path.write_bytes(safetensors({"x": values}, "BF16"))
        got = safetensors_files.read_file(path)["x"].values()
        np.testing.assert_allclose(got, values, rtol=2**-7)
        assert got[0] == 1.0

    def test_may_be_written_by_the_library_and_without_the_head(self, tmp_path: Path) -> None:
        from safetensors.numpy import save_file

        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        convert_whisper(folder, tmp_path / "a.bin")
        bare = {name.removeprefix("model."): values for name, values in WEIGHTS.items()}
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
        (folder / name).write_bytes(safetensors(part))
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
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS, dtype="F64")
        assert refusal(folder, tmp_path) == "tensor-dtype"

    def test_of_what_is_not_there(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        (folder / "vocab.json").unlink()
        assert refusal(folder, tmp_path) == "file-missing"
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        assert refusal(folder, tmp_path) == "weights-missing"
        (folder / "config.json").unlink()
        assert refusal(folder, tmp_path) == "file-missing"

    def test_of_an_index_that_leads_elsewhere(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path / "checkpoint", CONFIG, WEIGHTS)
        where = split_up(folder)
        index = folder / "model.safetensors.index.json"
        first, second = sorted(set(where.values()))
        (tmp_path / first).write_bytes((folder / first).read_bytes())
        name = next(iter(where))
        for entry, code in (
            (f"../{first}", "header-invalid"),
            (str(tmp_path / first), "header-invalid"),
            (second, "header-invalid"),
            ("other.safetensors", "file-missing"),
            (7, "header-invalid"),
        ):
            index.write_text(json.dumps({"weight_map": where | {name: entry}}))
            assert refusal(folder, tmp_path) == code
        for text in ("{}", "[]", "", '{"weight_map": []}', "[" * 100_000):
            index.write_text(text)
            assert refusal(folder, tmp_path) == "header-invalid"


class TestHostileSafetensors:
    """2,000 files: nothing but `header-invalid`, or the tensors of the good file."""

    GOOD = safetensors({"a": np.ones((4, 8), np.float32), "b": np.zeros(16, np.float32)})

    def test_cut_and_flipped(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        (length,) = struct.unpack_from("<Q", self.GOOD)
        rng = random.Random(11)
        counts: Counter[str] = Counter()
        for _ in range(700):
            counts["cut " + outcome(path, self.GOOD[: rng.randrange(len(self.GOOD))])] += 1
        for _ in range(900):
            data = bytearray(self.GOOD)
            data[rng.randrange(8 + length)] ^= 1 << rng.randrange(8)
            counts["flipped " + outcome(path, bytes(data))] += 1
        assert counts["cut header-invalid"] == 700
        assert counts["flipped header-invalid"] > 600
        assert set(counts) == {"cut header-invalid", "flipped header-invalid", "flipped read"}

    def test_numbers_that_lie(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        rng = random.Random(12)
        odd: list[Any] = [
            -1,
            0,
            1,
            31,
            33,
            1 << 31,
            1 << 63,
            1 << 64,
            10**300,
            1.5,
            True,
            None,
            "8",
            [],
            {},
        ]
        (length,) = struct.unpack_from("<Q", self.GOOD)
        header = json.loads(self.GOOD[8 : 8 + length])
        for _ in range(400):
            changed = json.loads(json.dumps(header))
            entry = changed[rng.choice("ab")]
            key = rng.choice(["shape", "data_offsets"])
            entry[key][rng.randrange(len(entry[key]))] = rng.choice(odd)
            if changed == header:
                continue
            assert outcome(path, assemble(changed)) == "header-invalid", changed

    @pytest.mark.parametrize(
        "text",
        [
            b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"1" * 9000,
            b'{"a": 1}', b'{"a": {}}', b'{"a": {"dtype": "F32", "shape": [], "data_offsets": [0]}}',
            b'{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": {}, "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
            b'"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
            b'"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
            b'{"a": {"dtype": "F32", "shape": [1048576, 1048576, 1048576, 0], '
            b'"data_offsets": [0, 0]}}',
        ],
    )  # fmt: skip
    def test_headers_that_are_none(self, text: bytes, tmp_path: Path) -> None:
        data = struct.pack("<Q", len(text)) + text + bytes(4)
        assert outcome(tmp_path / "model.safetensors", data) == "header-invalid"

    @pytest.mark.parametrize("length", [0, 1, 1 << 20, 1 << 32, (1 << 63) - 1, (1 << 64) - 1])
    def test_lengths_that_lie(self, length: int, tmp_path: Path) -> None:
        data = struct.pack("<Q", length) + self.GOOD[8:]
        assert outcome(tmp_path / "model.safetensors", data) == "header-invalid"

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound):
            safetensors_files.read_file(tmp_path)


def assemble(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * 32 + 4 * 16)


def outcome(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        tensors = safetensors_files.read_file(path)
        sizes = sorted(tensor.values().size for tensor in tensors.values())
    except ModelCorrupt as error:
        return error.code
    except ValueError:
        return "read"  # a dtype of that size which holds no weights: refused later
    assert sum(sizes) * 2 <= len(data)
    return "read"
