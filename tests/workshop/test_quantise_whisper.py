"""Whisper in fewer bits: upstream's rule, the real types, and what makes no sense."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_quantize import ggml_files
from edge_assistant_quantize.convert_whisper import convert_whisper
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.ggml_files import STAYS_F32
from edge_assistant_quantize.quantise_whisper import TARGETS, quantise_whisper
from gguf import quants
from gguf.constants import GGMLQuantizationType
from numpy.typing import NDArray

from edge_assistant.errors import EdgeAssistantError, ModelCorrupt
from edge_assistant.store.headers import inspect
from tests.fakes.model_files import ggml_whisper
from tests.workshop.hf_whisper import random_weights, whisper_config, write_folder
from tests.workshop.test_ggml_files import small_file, spoil

PACKED = [name for name in TARGETS if name != "f16"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with F16 weights that differ from each other."""
    folder = tmp_path_factory.mktemp("whisper")
    config = whisper_config(width=32, heads=1)
    write_folder(folder / "checkpoint", config, random_weights(config))
    return convert_whisper(folder / "checkpoint", folder / "f16.bin").path


@pytest.mark.parametrize("name", PACKED)
def test_weights_of_two_dimensions_are_packed_and_nothing_else(
    name: str, source: Path, tmp_path: Path
) -> None:
    made = quantise_whisper(source, tmp_path / "small.bin", name)
    inspect(made.path, "ggml")
    before = {tensor.name: tensor for tensor in ggml_files.read(source).tensors}
    after = ggml_files.read(made.path)
    type_id, ftype = TARGETS[name]
    assert after.hyper_parameters.ftype == ftype == 2000 + ftype % 1000
    assert after.tokens == ggml_files.read(source).tokens
    for tensor in after.tensors:
        old = before.pop(tensor.name)
        if len(tensor.shape) == 2 and tensor.name not in STAYS_F32:
            assert tensor.type_id == type_id
            expected = quants.quantize(old.values(), GGMLQuantizationType(type_id))
            np.testing.assert_array_equal(tensor.load(), expected)
        else:
            assert tensor.type_id == old.type_id
            np.testing.assert_array_equal(tensor.load(), old.load())
    assert not before
    assert {share.type_name for share in made.types} == {name.upper(), "F16", "F32"}
    assert made.types == ggml_files.types(after)
    assert (made.size_bytes, made.source_bytes) == (
        made.path.stat().st_size,
        source.stat().st_size,
    )
    assert made.notes == ()


def test_more_bits_are_nearer_to_the_source(source: Path, tmp_path: Path) -> None:
    wanted = embedding(source)
    errors = {}
    for name in PACKED:
        made = quantise_whisper(source, tmp_path / f"{name}.bin", name)
        errors[name] = float(np.abs(embedding(made.path) - wanted).mean())
    fives, fours = (sorted(errors[f"{bits}_{kind}"] for kind in "01") for bits in ("q5", "q4"))
    assert errors["q8_0"] < fives[0] <= fives[1] < fours[0]
    assert errors["q4_0"] < 0.1 * float(np.abs(wanted).mean())


def embedding(path: Path) -> NDArray[np.float32]:
    tensors = ggml_files.read(path).tensors
    return next(each for each in tensors if each.name == ggml_files.EMBEDDING).values()


class TestF32:
    def test_becomes_f16_or_packed_with_convolutions_in_f16(self, tmp_path: Path) -> None:
        path = tmp_path / "f32.bin"
        path.write_bytes(ggml_whisper(ftype=0))
        for name in TARGETS:
            made = quantise_whisper(path, tmp_path / f"{name}.bin", name)
            assert inspect(made.path, "ggml").summary.endswith(name.upper())
            tensors = {each.name: each for each in ggml_files.read(made.path).tensors}
            assert tensors["encoder.conv1.weight"].type_name == "F16"
            assert tensors["encoder.conv1.bias"].type_name == "F32"

    def test_what_is_no_whisper_inside_leaves_no_file(self, tmp_path: Path) -> None:
        """The header checks refuse F32 for its type alone, so theirs come in two parts here."""
        data = ggml_whisper(ftype=0)
        last = data.rindex(b"decoder.blocks.0.cross_attn.out.bias")
        path, output = tmp_path / "f32.bin", tmp_path / "small.bin"
        for spoiled in (
            data.replace(b"encoder.ln_post.bias", b"encoder.ln_post.bios"),
            data[: last - 16],
            with_number(data, 1, 51867),
            with_number(data, 3, 64),
            with_number(data, 4, 7),
            with_number(data, 5, 1 << 30),
        ):
            path.write_bytes(spoiled)
            with pytest.raises(ModelCorrupt) as caught:
                quantise_whisper(path, output, "q8_0")
            assert caught.value.code == "header-invalid"
            assert path.name in caught.value.message
            assert list(tmp_path.iterdir()) == [path]


def with_number(data: bytes, index: int, value: int) -> bytes:
    """Another number among the first twelve."""
    return data[: 4 * index] + struct.pack("<i", value) + data[4 * index + 4 :]


class TestRefusals:
    @pytest.mark.parametrize(
        ("has", "wanted", "allow", "code"),
        [
            ("q8_0", "q8_0", True, "type-same"),
            ("f16", "f16", True, "type-same"),
            ("q8_0", "f16", True, "upcast"),
            ("q4_0", "q5_1", True, "upcast"),
            ("q5_0", "q5_1", True, "upcast"),
            ("q8_0", "q5_1", False, "requantise"),
            ("f16", "q6_k", True, "type-unknown"),
            ("f16", "", True, "type-unknown"),
        ],
    )
    def test_say_why_and_leave_no_file(
        self, has: str, wanted: str, allow: bool, code: str, tmp_path: Path
    ) -> None:
        path, output = tmp_path / "source.bin", tmp_path / "small.bin"
        path.write_bytes(ggml_whisper(ftype=TARGETS[has][1] % 1000))
        with pytest.raises(WorkshopError) as caught:
            quantise_whisper(path, output, wanted, allow_requantize=allow)
        assert caught.value.code == code
        assert caught.value.hint
        assert list(tmp_path.iterdir()) == [path]

    def test_rows_that_are_no_blocks(self, tmp_path: Path) -> None:
        path = tmp_path / "f16.bin"
        path.write_bytes(ggml_whisper(state=48, ftype=1))
        with pytest.raises(WorkshopError) as caught:
            quantise_whisper(path, tmp_path / "small.bin", "q8_0")
        assert caught.value.code == "rows-no-blocks"

    def test_weights_that_are_not_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "f16.bin"
        data = bytearray(ggml_whisper(ftype=1))
        name = b"decoder.blocks.0.cross_attn.out.weight"
        at = data.rindex(name) + len(name)
        data[at : at + 2] = b"\x00\x7e"
        path.write_bytes(data)
        with pytest.raises(WorkshopError) as caught:
            quantise_whisper(path, tmp_path / "small.bin", "q8_0")
        assert caught.value.code == "weights-not-finite"
        assert list(tmp_path.iterdir()) == [path]

    def test_its_own_source_and_a_file_that_is_there(self, source: Path, tmp_path: Path) -> None:
        there = tmp_path / "there.bin"
        there.write_bytes(b"mine")
        for output, code in ((source, "output-is-input"), (there, "output-exists")):
            with pytest.raises(WorkshopError) as caught:
                quantise_whisper(source, output, "q8_0")
            assert caught.value.code == code
        assert there.read_bytes() == b"mine"
        quantise_whisper(source, there, "q8_0", overwrite=True)
        inspect(there, "ggml")


def test_requantising_is_the_rounding_of_the_rounding(source: Path, tmp_path: Path) -> None:
    first = quantise_whisper(source, tmp_path / "q8_0.bin", "Q8_0")
    second = quantise_whisper(first.path, tmp_path / "q4_0.bin", "q4_0", allow_requantize=True)
    assert second.notes == ("made of Q8_0: the error of both roundings is in it",)
    expected = quants.quantize(embedding(first.path), GGMLQuantizationType.Q4_0)
    tensors = ggml_files.read(second.path).tensors
    got = next(each for each in tensors if each.name == ggml_files.EMBEDDING)
    np.testing.assert_array_equal(got.load(), expected)


def test_progress_ends_at_one(source: Path, tmp_path: Path) -> None:
    heard: list[float] = []
    quantise_whisper(
        source, tmp_path / "small.bin", "q5_1", progress=lambda _, share: heard.append(share)
    )
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_spoiled_sources_leave_no_file(tmp_path: Path) -> None:
    """300 that are cut or lie about themselves: refused, with nothing left behind."""
    good, places = small_file(1)
    path, output = tmp_path / "source.bin", tmp_path / "small.bin"
    path.write_bytes(good)
    numbers = [place for place in places if place < 48]
    refused = 0
    with path.open("rb+", buffering=0) as file:
        for place, change in spoil(good, numbers, 100, seed=5):
            file.seek(place)
            file.write(change)
            try:
                quantise_whisper(path, output, "q4_1")
                output.unlink()
            except EdgeAssistantError:
                refused += 1
            file.seek(place)
            file.write(good[place : place + len(change)])
        for cut in sorted(random.Random(6).sample(range(len(good)), 200), reverse=True):
            file.truncate(cut)
            with pytest.raises(ModelCorrupt):
                quantise_whisper(path, output, "q4_1")
    assert refused > 80
    assert list(tmp_path.iterdir()) == [path]
