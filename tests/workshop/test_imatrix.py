"""Importance matrices: measured right, written as llama.cpp does, and of use to its quantiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm import ggml_tensor, imatrix_file
from edge_assistant_quantize.llm.activations import CHUNK_TOKENS, Activations
from edge_assistant_quantize.llm.imatrix import make_imatrix
from edge_assistant_quantize.llm.quantise import quantise_llm
from numpy.typing import NDArray

from edge_assistant.errors import EdgeAssistantError, ModelCorrupt, ModelNotFound
from tests.workshop.llama_gguf import read_types, read_weights, tensors, write_llama

WIDTH, LAYERS = 256, 2
LINE = "Turn on the light in the kitchen, please, and tell me what the time is. "
PER_LAYER = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token a byte."""
    folder = tmp_path_factory.mktemp("model")
    return write_llama(folder / "f32.gguf", width=WIDTH, layers=LAYERS)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chunks, and a rest that is too short for a third."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text((LINE * 20)[: 2 * CHUNK_TOKENS + 100])
    return path


@pytest.fixture(scope="module")
def matrix(model: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("matrix") / "imatrix.gguf"
    make_imatrix(model, text, path)
    return path


def test_it_is_the_mean_of_the_squares_of_what_a_weight_is_multiplied_with(
    matrix: Path, text: Path
) -> None:
    """In the first layer that is the normed embedding of each token, whatever came before it."""
    weights = tensors(WIDTH, LAYERS)
    tokens = np.frombuffer(text.read_bytes()[: 2 * CHUNK_TOKENS], np.uint8)
    rows = weights["token_embd.weight"][tokens].astype(np.float64)
    rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + 1e-5)
    rows *= weights["blk.0.attn_norm.weight"]
    measured = imatrix_file.load(matrix)
    for name in ("attn_q", "attn_k", "attn_v"):
        assert measured[f"blk.0.{name}.weight"] == pytest.approx(
            np.square(rows).mean(axis=0), rel=1e-4
        )


def test_every_weight_of_every_layer_has_seen_every_token(matrix: Path) -> None:
    """Also in the last layer, of which llama.cpp computes only the tokens that are asked for."""
    found = {tensor.name: tensor.data for tensor in gguf.GGUFReader(matrix).tensors}
    names = [f"blk.{layer}.{name}.weight" for layer in range(LAYERS) for name in PER_LAYER]
    assert sorted(found) == sorted(
        name + ending for name in names for ending in (".in_sum2", ".counts")
    )
    assert {float(found[f"{name}.counts"].item()) for name in names} == {2.0 * CHUNK_TOKENS}


def test_the_result_says_what_was_done(model: Path, text: Path, tmp_path: Path) -> None:
    told: list[float] = []
    made = make_imatrix(
        model, text, tmp_path / "m.gguf", threads=1, progress=lambda _, share: told.append(share)
    )
    assert made.notes == (f"{7 * LAYERS} weights measured over 2 chunks of the text",)
    assert told[0] == 0.5
    assert told[-1] == 1.0
    metadata = gguf.GGUFReader(tmp_path / "m.gguf").fields
    assert metadata["general.type"].contents() == "imatrix"
    assert metadata["imatrix.datasets"].contents() == ["text.txt"]
    assert metadata["imatrix.chunk_count"].contents() == 2


def test_the_structure_of_a_tensor_is_that_of_the_library() -> None:
    assert ggml_tensor.open_ggml() is not None


@pytest.mark.parametrize("function", ["ggml_op_name", "ggml_get_data", "ggml_set_name"])
def test_a_library_with_another_structure_is_found_out(function: str) -> None:
    real = ggml_tensor.open_ggml()._library

    class Changed:
        """Where one function does not do what the structure makes one expect."""

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name) if name != function else lambda *_: b"something else"

    assert "ggml_tensor has changed" in ggml_tensor.layout_fault(Changed())


def weighted_error(path: Path, model: Path, importance: dict[str, NDArray[np.float32]]) -> float:
    """What the quantiser tries to keep small: squared errors, columns weighed."""
    before, after = read_weights(model), read_weights(path)
    return sum(
        float((np.square(after[name] - before[name]) * weights).sum())
        for name, weights in importance.items()
    )


@pytest.mark.parametrize("name", ["Q4_K_S", "Q3_K_S", "Q4_0", "IQ4_XS"])
def test_the_columns_that_matter_are_rounded_better(
    name: str, model: Path, matrix: Path, tmp_path: Path
) -> None:
    importance = imatrix_file.load(matrix)
    without, with_it = tmp_path / "without.gguf", tmp_path / "with.gguf"
    quantise_llm(model, without, name)
    made = quantise_llm(model, with_it, name, imatrix=matrix)
    assert "the importance matrix knows 14 of 14 weights in the layers" in made.notes
    if read_types(without) != read_types(with_it):  # llama.cpp spends bits elsewhere then
        importance = {"blk.1.attn_q.weight": importance["blk.1.attn_q.weight"]}
    errors = [weighted_error(path, model, importance) for path in (with_it, without)]
    assert errors[0] < 0.97 * errors[1]


def test_a_type_that_needs_one_gets_it_from_a_text(model: Path, text: Path, tmp_path: Path) -> None:
    steps: set[str] = set()
    made = quantise_llm(
        model,
        tmp_path / "out.gguf",
        "IQ2_XXS",
        imatrix=text,
        progress=lambda what, _: steps.add(what),
    )
    assert "IQ2_XXS" in {each.type_name for each in made.types}
    assert steps == {"measure importance", "quantise"}


def test_a_matrix_of_another_model_is_refused(model: Path, matrix: Path, tmp_path: Path) -> None:
    other = write_llama(tmp_path / "other.gguf", width=512, layers=1)
    with pytest.raises(WorkshopError) as caught:
        quantise_llm(other, tmp_path / "out.gguf", "Q4_0", imatrix=matrix)
    assert caught.value.code == "imatrix-of-another-model"
    assert not (tmp_path / "out.gguf").exists()


def save(path: Path, sums: list[float], rows: int) -> None:
    found = Activations(chunks=1)
    found.sums["blk.0.attn_q.weight"] = np.array(sums)
    found.rows["blk.0.attn_q.weight"] = rows
    imatrix_file.save(path, found, "text.txt")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    save(path, [4.0, 8.0], 4)
    assert imatrix_file.looks_like_one(path)
    assert imatrix_file.load(path)["blk.0.attn_q.weight"].tolist() == [1.0, 2.0]
    save(path, [0.0, 0.0], 0)  # never reached
    assert imatrix_file.load(path)["blk.0.attn_q.weight"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("sums", [[-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_numbers_that_no_sum_of_squares_has_are_refused(sums: list[float], tmp_path: Path) -> None:
    """llama.cpp would refuse some, and be misled by others."""
    path = tmp_path / "imatrix.gguf"
    save(path, sums, 1)
    with pytest.raises(WorkshopError) as caught:
        imatrix_file.load(path)
    assert caught.value.code == "imatrix-invalid"


def test_a_model_is_no_matrix(model: Path) -> None:
    with pytest.raises(WorkshopError, match="no importance matrix"):
        imatrix_file.load(model)


def test_a_matrix_that_is_cut_off_is_corrupt(matrix: Path, tmp_path: Path) -> None:
    path = tmp_path / "imatrix.gguf"
    path.write_bytes(matrix.read_bytes()[:-100])
    with pytest.raises(ModelCorrupt):
        imatrix_file.load(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"Too short.", "text-too-short"),
        (b"", "text-too-short"),
        (b"\xff\xfe" + 4000 * b"x", "text-unreadable"),
    ],
)
def test_a_text_that_teaches_nothing_is_refused(
    content: bytes, code: str, model: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    with pytest.raises(WorkshopError) as caught:
        quantise_llm(model, tmp_path / "out.gguf", "Q4_0", imatrix=text)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == [text]


def test_what_llama_cpp_says_is_handed_on(text: Path, tmp_path: Path) -> None:
    """A header that holds, of an architecture that nobody knows."""
    source = write_llama(tmp_path / "odd.gguf", width=64, layers=1)
    source.write_bytes(source.read_bytes().replace(b"llama", b"lxxma"))
    with pytest.raises(WorkshopError, match="lxxma") as caught:
        make_imatrix(source, text, tmp_path / "imatrix.gguf")
    assert caught.value.code == "llama-failed"


def test_a_text_that_is_not_there(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        quantise_llm(model, tmp_path / "out.gguf", "Q4_0", imatrix=tmp_path / "absent.txt")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_refused(text: Path, tmp_path: Path) -> None:
    source = write_llama(tmp_path / "nan.gguf", width=64, layers=1)
    data = source.read_bytes()
    row = tensors(64, 1)["token_embd.weight"][ord("T")].tobytes()
    source.write_bytes(data.replace(row, np.full(64, np.nan, np.float32).tobytes()))
    with pytest.raises(EdgeAssistantError) as caught:
        make_imatrix(source, text, tmp_path / "imatrix.gguf")
    assert caught.value.code in ("imatrix-not-finite", "llama-failed")
