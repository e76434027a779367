"""ggml files, read and written: nothing is lost, and nothing that lies is believed."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_quantize import ggml_files

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from edge_assistant.store.headers.tensor_types import tensor_bytes
from tests.fakes.model_files import HTML, ggml_whisper, whisper_tensors

FTYPES = {1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1"}
STATE = 32
VOCABULARY = 51864
START_BYTES = 48 + 8 + 80 * 201 * 4
FEW_TOKENS = [b" ", b" -", b" '", b"a"]


def small_file(ftype: int = 7) -> tuple[bytes, list[int]]:
    """A file with four tokens, and where in it numbers and names are, not weights."""
    plain = ggml_whisper(state=STATE, ftype=ftype)
    weight = {0: 0, 1: 1, 7: 8}[ftype]
    tensors = whisper_tensors(STATE, 1, weight, VOCABULARY)
    heads = [12 + 4 * len(dims) + len(name) for name, dims, _ in tensors]
    sizes = [tensor_bytes(kind, dims) or 0 for _, dims, kind in tensors]
    tail = plain[len(plain) - sum(heads) - sum(sizes) :]
    vocabulary = struct.pack("<I", len(FEW_TOKENS))
    vocabulary += b"".join(struct.pack("<I", len(token)) + token for token in FEW_TOKENS)
    start = plain[:START_BYTES] + vocabulary
    places = [*range(56), *range(START_BYTES, len(start))]
    at = len(start)
    for head, size in zip(heads, sizes, strict=True):
        places += range(at, at + head)
        at += head + size
    assert at == len(start) + len(tail)
    return start + tail, places


@pytest.mark.parametrize("ftype", FTYPES)
def test_what_is_written_is_what_was_read(ftype: int, tmp_path: Path) -> None:
    path, copy = tmp_path / "model.bin", tmp_path / "copy.bin"
    path.write_bytes(ggml_whisper(ftype=ftype))
    heard: list[float] = []
    model = ggml_files.read(path)
    ggml_files.write(copy, model, lambda _, share: heard.append(share))
    assert copy.read_bytes() == path.read_bytes()
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) == len(model.tensors)


def test_says_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(ggml_whisper(ftype=9))
    model = ggml_files.read(path)
    assert model.hyper_parameters.n_vocab == VOCABULARY
    assert model.hyper_parameters.ftype == 9
    assert model.filters.shape == (80, 201)
    assert model.tokens[:3] == (b" ", b" -", b" '")
    assert len(model.tokens) == 50257
    by_name = {tensor.name: tensor for tensor in model.tensors}
    embedding = by_name["decoder.token_embedding.weight"]
    assert (embedding.shape, embedding.type_name) == ((VOCABULARY, STATE), "Q5_1")
    assert embedding.values().shape == embedding.shape
    assert by_name["encoder.conv1.weight"].values().shape == (STATE, 80, 3)
    np.testing.assert_allclose(by_name["encoder.conv1.weight"].values(), 0.01, rtol=1e-3)
    shares = {share.type_name: share for share in ggml_files.types(model)}
    assert set(shares) == {"Q5_1", "F16", "F32"}
    assert shares["F16"].tensors == 2
    assert sum(share.tensors for share in shares.values()) == len(model.tensors)
    assert next(iter(shares)) == "Q5_1"


def test_data_of_another_size_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(small_file()[0])
    model = ggml_files.read(path)
    first = model.tensors[0]
    wrong = ggml_files.Tensor(
        name=first.name, shape=first.shape, type_id=first.type_id, load=lambda: np.zeros(3)
    )
    spoiled = ggml_files.WhisperFile(
        hyper_parameters=model.hyper_parameters,
        filters=model.filters,
        tokens=model.tokens,
        tensors=(wrong, *model.tensors[1:]),
    )
    with pytest.raises(ValueError, match="bytes, not"):
        ggml_files.write(tmp_path / "copy.bin", spoiled)


def test_a_file_that_shrinks_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(small_file()[0])
    last = ggml_files.read(path).tensors[-1]
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(ModelCorrupt, match="became shorter"):
        last.load()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e6])
def test_weights_that_float16_cannot_hold_are_not_packed(bad: float) -> None:
    values = np.zeros((2, 32), dtype=np.float32)
    values[1, 7] = bad
    for type_id in (1, 2, 3, 6, 7, 8):
        with pytest.raises(ValueError, match="weights that are"):
            ggml_files.pack(values, type_id)


@pytest.mark.parametrize("type_id", [2, 3, 6, 7, 8])
def test_weights_near_nothing_become_nothing(type_id: int) -> None:
    """Their scale underflows float16, and one over it overflows: no warning, and no NaN."""
    values = np.full((1, 32), 1e-42, dtype=np.float32)
    values[0, 0] = -1e-41
    tensor = ggml_files.Tensor(
        name="x", shape=(1, 32), type_id=type_id, load=lambda: ggml_files.pack(values, type_id)
    )
    np.testing.assert_array_equal(tensor.values(), 0.0)


class TestF32:
    def test_is_refused_like_anywhere_else(self, tmp_path: Path) -> None:
        path = tmp_path / "model.bin"
        path.write_bytes(small_file(ftype=0)[0])
        with pytest.raises(ModelCorrupt, match="unknown ftype 0"):
            ggml_files.read(path)

    def test_is_read_for_those_who_ask(self, tmp_path: Path) -> None:
        path = tmp_path / "model.bin"
        path.write_bytes(small_file(ftype=0)[0])
        assert ggml_files.read(path, with_f32=True).weight_type == ggml_files.F32

    def test_asking_lets_nothing_else_through(self, tmp_path: Path) -> None:
        path = tmp_path / "model.bin"
        for data in (b"", b"lmgg", HTML, small_file(ftype=1)[0][:-1]):
            path.write_bytes(data)
            with pytest.raises(ModelCorrupt):
                ggml_files.read(path, with_f32=True)
        with pytest.raises(ModelNotFound):
            ggml_files.read(tmp_path, with_f32=True)


def spoil(good: bytes, places: list[int], count: int, seed: int) -> list[tuple[int, bytes]]:
    """Bytes to put into a good file, and where: flipped bits, and numbers at the edges."""
    rng = random.Random(seed)
    edges = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0xFFFF, 0x100000, 1 << 28]
    changes: list[tuple[int, bytes]] = []
    for index in range(count):
        place = rng.choice(places)
        if index % 2:
            changes.append((place, bytes([good[place] ^ 1 << rng.randrange(8)])))
        else:
            changes.append((min(place, len(good) - 4), struct.pack("<I", rng.choice(edges))))
    return changes


@pytest.mark.parametrize("ftype", [0, 7])
def test_spoiled_files_are_refused_or_change_nothing_but_a_number(
    ftype: int, tmp_path: Path
) -> None:
    """1,200 of either type. What gets through says the same of every tensor as the good file."""
    good, places = small_file(ftype)
    path = tmp_path / "model.bin"
    path.write_bytes(good)
    tensors = described(path)
    counts: Counter[str] = Counter()
    with path.open("rb+", buffering=0) as file:
        for place, change in spoil(good, places, 800, seed=ftype):
            file.seek(place)
            file.write(change)
            counts[outcome(path, tensors)] += 1
            file.seek(place)
            file.write(good[place : place + len(change)])
        cuts = random.Random(ftype).sample(range(1, len(good)), 400)
        for cut in sorted(cuts, reverse=True):
            file.truncate(cut)
            counts[f"cut: {outcome(path, tensors)}"] += 1
    assert counts["refused"] + counts["same"] + counts["odd"] == 800
    # In an F32 file nothing knows the names: those go into the file that is made, which is checked.
    assert counts["refused"] > (600 if ftype else 200)
    if ftype:
        assert counts["odd"] == 0
        assert counts["cut: refused"] == 400
    assert counts["cut: refused"] + counts["cut: odd"] == 400


def outcome(path: Path, tensors: list[tuple[str, tuple[int, ...], int]]) -> str:
    try:
        found = described(path)
    except ModelCorrupt:
        return "refused"
    return "same" if found == tensors else "odd"


def described(path: Path) -> list[tuple[str, tuple[int, ...], int]]:
    model = ggml_files.read(path, with_f32=True)
    return [(tensor.name, tensor.shape, tensor.type_id) for tensor in model.tensors]
