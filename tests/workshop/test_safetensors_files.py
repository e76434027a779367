"""Safetensors: what is sound is read, what is not is refused before anything believes it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.safetensors_files import LazyTensor, open_tensors
from safetensors import SafetensorError, safe_open

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from tests.workshop.safetensors_bytes import (
    Stored,
    framed,
    header_of,
    stored_bytes,
    write_safetensors,
)

SHAPES = {"a.weight": (3, 4), "a.bias": (4,), "b": (2, 2, 2), "scale": ()}
DATA = bytes(range(100))
SOUND = framed(header_of(SHAPES), DATA)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_numbers_are_those_that_the_library_reads(dtype: Stored, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    values = {
        "m": rng.standard_normal((7, 5), np.float32),
        "v": np.array([0.0, -0.0, 1e-8, 60_000.0, -1e-40, 3.0], np.float32),
    }
    path = write_safetensors(tmp_path / "model.safetensors", values, dtype)
    tensors = open_tensors(tmp_path)
    assert list(tensors) == ["m", "v"]
    for name, tensor in tensors.items():
        assert (tensor.dtype, tensor.shape) == (dtype, values[name].shape)
        read = tensor.read()
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, _decoded(values[name], dtype))
        np.testing.assert_array_equal(tensor.read(np.float16), read.astype(np.float16))
    if dtype != "BF16":  # numpy has no such type, so the library cannot give it
        with safe_open(path, "numpy") as library:
            for name, tensor in tensors.items():
                np.testing.assert_array_equal(tensor.read(), library.get_tensor(name))


def _decoded(values: np.ndarray[Any, Any], dtype: Stored) -> np.ndarray[Any, Any]:
    raw = stored_bytes(values, dtype)
    if dtype == "BF16":
        words = struct.unpack(f"<{values.size}H", raw)
        floats = [struct.unpack("<f", struct.pack("<I", word << 16))[0] for word in words]
        return np.array(floats, np.float32).reshape(values.shape)
    return np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[dtype]).reshape(values.shape)


def test_a_tensor_larger_than_a_block_is_read_whole(tmp_path: Path) -> None:
    values = np.arange((1 << 22) + 7, dtype=np.float32)
    write_safetensors(tmp_path / "model.safetensors", {"long": values})
    np.testing.assert_array_equal(open_tensors(tmp_path)["long"].read(), values)


def test_what_float16_cannot_hold_becomes_infinite(tmp_path: Path) -> None:
    values = {"x": np.array([70_000.0, -1.0], np.float32)}
    path = write_safetensors(tmp_path / "a.safetensors", values)
    assert open_tensors(path)["x"].read(np.float16).tolist() == [np.inf, -1.0]


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    _shards(tmp_path, {"x": "one.safetensors", "y": "two.safetensors"})
    tensors = open_tensors(tmp_path)
    assert {name: tensor.path.name for name, tensor in tensors.items()} == {
        "x": "one.safetensors",
        "y": "two.safetensors",
    }


@pytest.mark.parametrize(
    "places",
    [
        {"x": "one.safetensors"},
        {"x": "two.safetensors", "y": "one.safetensors"},
        {"x": "one.safetensors", "y": "two.safetensors", "z": "two.safetensors"},
        {"x": "../one.safetensors", "y": "two.safetensors"},
        {"x": "/etc/passwd", "y": "two.safetensors"},
        {"x": 1, "y": "two.safetensors"},
        {"x": ["one.safetensors"], "y": "two.safetensors"},
        {},
        [],
    ],
)
def test_an_index_that_does_not_add_up_is_refused(places: Any, tmp_path: Path) -> None:
    """The first is the exception: what no index names is not opened."""
    _shards(tmp_path, places)
    if places == {"x": "one.safetensors"}:
        assert list(open_tensors(tmp_path)) == ["x"]
        return
    with pytest.raises(ModelCorrupt) as caught:
        open_tensors(tmp_path)
    assert caught.value.code == "header-invalid"


def test_an_index_of_files_that_are_not_there(tmp_path: Path) -> None:
    _shards(tmp_path, {"x": "one.safetensors", "y": "three.safetensors"})
    with pytest.raises(ModelNotFound) as caught:
        open_tensors(tmp_path)
    assert caught.value.code == "file-missing"


def _shards(folder: Path, places: Any) -> None:
    for file, name in (("one", "x"), ("two", "y")):
        write_safetensors(folder / f"{file}.safetensors", {name: np.ones(3, np.float32)})
    index = {"metadata": {"total_size": 24}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_integers_are_found_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(framed(header_of({"ids": (3,)}, "I64", 8), b"\0" * 24))
    tensor = open_tensors(path)["ids"]
    with pytest.raises(WorkshopError) as caught:
        tensor.read()
    assert caught.value.code == "tensor-type"


def test_a_file_that_shrinks_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(SOUND)
    tensors = open_tensors(path)
    path.write_bytes(SOUND[:-60])
    with pytest.raises(ModelCorrupt) as caught:
        tensors["b"].read()
    assert caught.value.code == "file-changed"


def test_a_folder_without_weights(tmp_path: Path) -> None:
    for source, code in ((tmp_path, "no-safetensors"), (tmp_path / "none", "file-missing")):
        with pytest.raises(ModelNotFound) as caught:
            open_tensors(source)
        assert caught.value.code == code


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for length in range(len(SOUND)):
        path.write_bytes(SOUND[:length])
        with pytest.raises(ModelCorrupt):
            open_tensors(path)


def hostile() -> Iterator[tuple[str, bytes]]:
    """Headers that lie, each in one way."""
    for length in (0, 1, 1 << 20, (1 << 20) + 1, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1):
        yield f"length {length}", struct.pack("<Q", length) + SOUND[8:]
    good = header_of(SHAPES)
    numbers = [-1, 0, 1, 99, 101, 1 << 31, 1 << 40, 1 << 48, 1 << 63, 1 << 64, 10**400, 1.0, True]
    others: list[Any] = [None, "1", [], {}, [[1]]]
    for name in SHAPES:
        begin, end = good[name]["data_offsets"]
        for value in [*numbers, *others]:
            for offsets in ([begin, value], [value, end], [value, value], value):
                if offsets != [begin, end]:
                    yield f"offsets {offsets}"[:60], _with(good, name, "data_offsets", offsets)
            for shape in ([value], [value, 1 << 40, 1 << 40], [1] * 9, value):
                if shape != good[name]["shape"] and not _same_size(shape, begin, end):
                    yield f"shape {shape}"[:60], _with(good, name, "shape", shape)
        for dtype in ("F31", "", "f32", "F64", "F16", "I4", 32, None, ["F32"], "F32\0"):
            yield f"dtype {dtype}", _with(good, name, "dtype", dtype)
        for key in ("dtype", "shape", "data_offsets"):
            less = {each: value for each, value in good[name].items() if each != key}
            yield f"without {key}", framed({**good, name: less}, DATA)
        yield "more keys", framed({**good, name: {**good[name], "more": 1}}, DATA)
        for value in others:
            yield f"entry {value}", framed({**good, name: value}, DATA)
        yield "left out", framed({k: v for k, v in good.items() if k != name}, DATA)
    odd: tuple[Any, ...] = ([], "x", {"a": 1}, {"a": None}, {"a": {}})
    for notes in odd:
        yield f"notes {notes}", framed({**good, "__metadata__": notes}, DATA)
    yield "too many dimensions", framed(header_of({"x": (1,) * 8 + (25,)}), DATA)
    yield "odd names", framed(header_of({"": (25,)}), DATA)
    yield "half a character", framed(header_of({"\ud800": (25,)}), DATA)
    yield "a control character", framed(header_of({"a\x1b[2J": (25,)}), DATA)
    yield "a long name", framed(header_of({"a" * 513: (25,)}), DATA)
    yield "data behind the last", SOUND + b"\0"
    yield from _not_json()


def _with(header: dict[str, Any], name: str, key: str, value: Any) -> bytes:
    return framed({**header, name: {**header[name], key: value}}, DATA)


def _same_size(shape: Any, begin: int, end: int) -> bool:
    """Another shape of as many numbers is as good as any."""
    if not isinstance(shape, list) or not all(type(dim) is int and dim >= 0 for dim in shape):
        return False
    product = 1
    for dim in shape:
        product *= dim
    return len(shape) <= 8 and 4 * product == end - begin


def _not_json() -> Iterator[tuple[str, bytes]]:
    entry = b'{"dtype":"F32","shape":[25],"data_offsets":[0,100]}'
    for name, raw in {
        "twice": b'{"x":' + entry + b',"x":' + entry + b"}",
        "an array": b"[" + entry + b"]",
        "a blank first": b' {"x":' + entry + b"}",
        "no object": b'"x"   ',
        "nothing": b"{}",
        "notes only": b'{"__metadata__":{}}',
        "nested lists": b'{"x":' + b"[" * 500_000,
        "nested objects": b'{"x":' * 100_000,
        "a long number": b'{"x":' + b"9" * 1_000_000 + b"}",
        "not UTF-8": b'{"\xff":' + entry + b"}",
        "NaN": b'{"x":{"dtype":"F32","shape":[NaN],"data_offsets":[0,100]}}',
        "Infinity": b'{"x":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,100]}}',
        "many": b"{" + b",".join(b'"%d":0' % index for index in range(90_000)) + b"}",
        "zeros": b"\0" * 64,
        "two objects": b'{"x":' + entry + b"}{}",
        "no end": b'{"x":' + entry,
    }.items():
        yield name, framed(raw, DATA)


def test_every_lie_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    cases = list(hostile())
    assert len(cases) > 650
    accepted = []
    for what, data in cases:
        path.write_bytes(data)
        try:
            open_tensors(path)
        except ModelCorrupt:
            continue
        accepted.append(what)
    assert accepted == []


def test_flipped_bits_are_refused_where_the_library_refuses_them(tmp_path: Path) -> None:
    """A flip within a name or a note makes another sound file, which only a hash can tell."""
    path = tmp_path / "a.safetensors"
    rng = np.random.default_rng(11)
    header_bits = 8 * (len(SOUND) - len(DATA))
    refused = 0
    for _ in range(3000):
        spoiled = bytearray(SOUND)
        for bit in rng.integers(0, header_bits, int(rng.integers(1, 4))):
            spoiled[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(spoiled)
        try:
            tensors = open_tensors(path)
        except ModelCorrupt:
            refused += 1
            continue
        assert _add_up(list(tensors.values()), len(spoiled))
        with safe_open(path, "numpy") as library:  # the library raises what it refuses
            assert set(library.keys()) == set(tensors)
    assert refused > 2000


def _add_up(tensors: list[LazyTensor], size_bytes: int) -> bool:
    ends = [tensor.offset + tensor.size_bytes for tensor in tensors]
    return max(ends) == size_bytes and all(
        end == tensor.offset for end, tensor in zip(ends, tensors[1:], strict=False)
    )


def test_the_library_refuses_a_lie_too(tmp_path: Path) -> None:
    """That the comparison above can fail."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(SOUND[:-1])
    with pytest.raises(SafetensorError):
        safe_open(path, "numpy")
