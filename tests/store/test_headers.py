"""The header parsers against files that lie."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_assistant.errors import ModelCorrupt, ModelError, ModelNotFound
from edge_assistant.store.headers import Form, inspect, sniff
from edge_assistant.store.headers.tensor_types import TYPES
from tests.fakes import model_files as make

LIMIT_BYTES = 64_000_000
SAME_FOLDER = HealthCheck.function_scoped_fixture  # each example overwrites one file


def refusal(path: Path, data: bytes, form: Form) -> str:
    """The reason why a file is refused, which must not cost much memory either."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ModelCorrupt) as caught:
            inspect(path, form)
        assert tracemalloc.get_traced_memory()[1] < LIMIT_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.code in ("header-invalid", "wrong-format")
    return caught.value.message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"  # ONNX has no magic and needs its suffix; the others do not


# GGUF


def gguf_raw(n_tensors: int, n_keys: int, rest: bytes = b"", version: int = 3) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", version, n_tensors, n_keys) + rest


def gguf_with(tensors: list[tuple[str, make.Dims, int]] | None = None, **keys: object) -> bytes:
    renamed = {name.replace("__", "."): value for name, value in keys.items()}
    return make.gguf(make.llama_keys() | renamed, tensors or make.llama_tensors())


ARRAY = make.gguf_string("a") + struct.pack("<I", 9)
KEY = make.gguf_string("a") + struct.pack("<II", 4, 1)
HOSTILE_GGUF = {
    "hang of the gguf package: 2^63 strings": gguf_raw(
        1, 1, ARRAY + struct.pack("<IQ", 8, 1 << 63)
    ),
    "2^63 numbers": gguf_raw(1, 1, ARRAY + struct.pack("<IQ", 4, 1 << 63) + bytes(64)),
    "an array in an array": gguf_raw(1, 1, ARRAY + struct.pack("<IQ", 9, 4) + bytes(64)),
    "an unknown type": gguf_raw(1, 1, make.gguf_string("a") + struct.pack("<I", 77) + bytes(64)),
    "2^64 keys": gguf_raw(1, (1 << 64) - 1, bytes(100)),
    "2^64 tensors": gguf_raw((1 << 64) - 1, 0, bytes(100)),
    "no tensors": gguf_raw(0, 0, bytes(100)),
    "version 1": gguf_raw(1, 1, bytes(100), version=1),
    "big-endian": gguf_raw(1, 1, bytes(100), version=3 << 24),
    "a key of 2^40 bytes": gguf_raw(1, 1, struct.pack("<Q", 1 << 40) + bytes(64)),
    "an empty key": gguf_raw(1, 1, make.gguf_string("") + struct.pack("<II", 4, 1) + bytes(99)),
    "a double key": gguf_raw(
        1, 2, (make.gguf_string("a") + struct.pack("<II", 4, 1)) * 2 + bytes(99)
    ),
    "alignment 0": gguf_with(general__alignment=0),
    "alignment 13": gguf_with(general__alignment=13),
    "513 layers": gguf_with(llama__block_count=513),
    "no layers": gguf_with(llama__block_count=0),
    "layers as text": gguf_with(llama__block_count="many"),
    "no architecture": gguf_with(general__architecture=""),
    "architecture as a number": gguf_with(general__architecture=3),
    "no vocabulary": gguf_with(tokenizer__ggml__tokens="none"),
    "numbers as vocabulary": gguf_with(tokenizer__ggml__tokens=[1, 2]),
    "more scores than tokens": make.gguf(make.llama_keys(n_tokens_extra=9), make.llama_tensors()),
    "a template of 2 MB": gguf_with(tokenizer__chat_template="x" * 2_000_000),
    "five dimensions": gguf_with([("x", (1, 1, 1, 1), 0)]).replace(
        make.gguf_string("x") + struct.pack("<I", 4), make.gguf_string("x") + struct.pack("<I", 5)
    ),
    "a retired type": gguf_with([("x", (32,), 0)]).replace(
        struct.pack("<IQIQ", 1, 32, 0, 0), struct.pack("<IQIQ", 1, 32, 4, 0)
    ),
    "dimensions that overflow": gguf_with([("x", (32, 1), 0)]).replace(
        struct.pack("<I2Q", 2, 32, 1), struct.pack("<I2Q", 2, 1 << 33, 1 << 33)
    ),
    "a row that is no whole block": gguf_with([("x", (32, 1), 8)]).replace(
        struct.pack("<I2Q", 2, 32, 1), struct.pack("<I2Q", 2, 31, 1)
    ),
    "an offset that overlaps": gguf_with([("x", (32,), 0), ("y", (32,), 0)]).replace(
        struct.pack("<IQIQ", 1, 32, 0, 128), struct.pack("<IQIQ", 1, 32, 0, 0)
    ),
    "an offset far away": gguf_with([("x", (32,), 0)]).replace(
        struct.pack("<IQIQ", 1, 32, 0, 0), struct.pack("<IQIQ", 1, 32, 0, 1 << 62)
    ),
    "a double tensor": gguf_with([("x", (32,), 0), ("x", (32,), 0)]),
    "a long tensor name": gguf_with([("x" * 64, (32,), 0)]),
}


@pytest.mark.parametrize("name", HOSTILE_GGUF)
def test_hostile_gguf(name: str, path: Path) -> None:
    assert refusal(path, HOSTILE_GGUF[name], "gguf")


def test_gguf_tells_what_it_is(path: Path) -> None:
    for template, expected in (
        ("<|im_start|>user", "chatml"),
        ("<|start_header_id|>", "llama3"),
        ("<start_of_turn>", "gemma"),
        ("[INST]", ""),
    ):
        path.write_bytes(make.gguf_llama(template=template))
        info = inspect(path)
        assert (info.form, info.template) == ("gguf", expected)
        assert info.summary == "llama, 1 layers, 261 tokens, mostly Q8_0"
    path.write_bytes(make.gguf_llama(version=2))
    assert inspect(path).form == "gguf"


def test_element_types_are_those_of_ggml() -> None:
    # Not imported: only its library of element types is wanted.
    package = importlib.util.find_spec("llama_cpp")
    if package is None or package.origin is None:
        pytest.skip("llama-cpp-python is not installed")
    folder = Path(package.origin).parent / "lib"
    found = [p for p in folder.glob("*ggml-base*") if p.suffix in (".so", ".dylib", ".dll")]
    if not found:
        pytest.skip(f"no ggml-base library in {folder}")
    library = ctypes.CDLL(str(found[0]))
    library.ggml_blck_size.restype = ctypes.c_int64
    library.ggml_type_size.restype = ctypes.c_size_t
    library.ggml_type_name.restype = ctypes.c_char_p
    for type_id, (name, block, size) in TYPES.items():
        theirs = library.ggml_type_name(type_id).decode().upper()
        assert (theirs, library.ggml_blck_size(type_id), library.ggml_type_size(type_id)) == (
            name.upper(),
            block,
            size,
        )


# whisper.cpp

START = struct.Struct("<12i")
WHISPER = (0x67676D6C, 51864, 1500, 32, 1, 1, 448, 32, 1, 1, 80, 7)


@pytest.mark.parametrize(
    ("index", "value"),
    [
        *((1, n) for n in (0, -1, 50258, 50363, 51863, 1 << 30)),
        *((2, n) for n in (0, -1, 1 << 30)),
        *((3, n) for n in (0, 33, -32, 1 << 30)),
        *((4, n) for n in (0, 3, 65)),
        *((5, n) for n in (0, 2, 65, 1 << 30)),
        *((6, n) for n in (0, 1 << 20)),
        (7, 64),
        *((9, n) for n in (0, 2, -1)),
        *((10, n) for n in (0, 79, 128)),
        *((11, n) for n in (-1, 4, 5, 6, 8, 14, 99, 9007)),
    ],
)
def test_hostile_hyperparameters(index: int, value: int, path: Path) -> None:
    values = list(WHISPER)
    values[index] = value
    good = make.ggml_whisper()
    assert good[: START.size] == START.pack(*WHISPER)
    assert refusal(path, START.pack(*values) + good[START.size :], "ggml")


@pytest.mark.parametrize("n_dims", [0, 5, 12, 64, -1, 1 << 30])
def test_hostile_dimensions_in_ggml(n_dims: int, path: Path) -> None:
    """More than four dimensions wrote past an array on whisper.cpp's stack."""
    name = b"encoder.conv1.bias"
    good = make.ggml_whisper()
    at = good.index(name) - 2 * 4 - 12
    spoiled = good[:at] + struct.pack("<i", n_dims) + good[at + 4 :]
    assert "dimensions" in refusal(path, spoiled, "ggml")


def test_ggml_in_f32_would_end_the_process_and_is_refused(path: Path) -> None:
    path.write_bytes(make.ggml_whisper(ftype=0))
    with pytest.raises(ModelCorrupt, match="ftype 0"):
        inspect(path)


def test_other_lies_of_ggml(path: Path) -> None:
    good = make.ggml_whisper()
    vocabulary = START.size + 8 + 80 * 201 * 4
    for count in (0, 51865, (1 << 32) - 1):
        spoiled = good[:vocabulary] + struct.pack("<I", count) + good[vocabulary + 4 :]
        assert "tokens" in refusal(path, spoiled, "ggml")
    spoiled = good[: vocabulary + 4] + struct.pack("<I", 1 << 31) + good[vocabulary + 8 :]
    assert "a token of" in refusal(path, spoiled, "ggml")
    bias = good.index(b"encoder.conv1.bias") - 8 - 4
    f16 = good[:bias] + struct.pack("<i", 1) + good[bias + 4 :]
    assert "another shape or type" in refusal(path, f16, "ggml")
    assert "unknown or there twice" in refusal(
        path, good.replace(b"encoder.conv1.bias", b"encoder.conv2.bias"), "ggml"
    )
    last = good.rindex(b"decoder.blocks.0.cross_attn.out.bias") - 4 - 12
    assert "missing" in refusal(path, good[:last], "ggml")
    assert "cut off inside" in refusal(path, good[:-4], "ggml")


# ONNX


def test_onnx_data_outside_the_file_are_refused(path: Path) -> None:
    location = make.field(1, "location") + make.field(2, "../../../etc/passwd")
    for extra in (make.field(13, location), make.field(14, 1)):
        outside = make.onnx_tensor("w", (1, 512), extra=extra)
        attribute = make.field(5, make.field(1, "value") + make.field(5, outside))
        inner = make.field(1, make.field(4, "Identity")) + make.field(5, outside)
        branch = make.field(5, make.field(1, "then_branch") + make.field(6, inner))
        sparse = make.field(5, make.field(1, "v") + make.field(22, make.field(1, outside)))
        for model in (
            make.onnx_model(tensor=outside),
            make.onnx_model(node_extra=attribute),
            make.onnx_model(node_extra=branch),
            make.onnx_model(node_extra=sparse),
        ):
            assert "another file" in refusal(path, model, "onnx")


def test_other_lies_of_onnx(path: Path) -> None:
    shape = make.onnx_tensor("w", (1, 512), raw=bytes(8))
    assert "unlike its shape" in refusal(path, make.onnx_model(tensor=shape), "onnx")
    huge = make.onnx_tensor("w", (1 << 50,), raw=bytes(8))
    assert "a dimension of" in refusal(path, make.onnx_model(tensor=huge), "onnx")
    nested = make.field(1, "x")
    for _ in range(40):
        nested = make.field(1, make.field(5, make.field(6, nested)))
    assert "too deeply" in refusal(
        path, make.onnx_model(node_extra=make.field(5, make.field(6, nested))), "onnx"
    )
    flood = make.onnx_model(node_extra=make.field(1, "") * 420_000)
    assert "fields" in refusal(path, flood, "onnx")
    assert "without an end" in refusal(path, make.field(1, 8) + b"\xff" * 40, "onnx")
    assert "wire type" in refusal(path, make.field(1, 8) + b"\x3b" + bytes(40), "onnx")
    assert "no graph" in refusal(path, make.field(1, 8) + make.field(2, "x" * 40), "onnx")
    assert "past the end" in refusal(path, make.onnx_model()[:-1], "onnx")


# ORT and JSON


def test_lies_of_ort(path: Path) -> None:
    good = make.ort_model()
    for root in (0, 1 << 31, len(good) - 2, len(good)):
        assert refusal(path, struct.pack("<I", root) + good[4:], "ort")
    assert refusal(path, good[:4] + b"ORTX" + good[8:], "ort")
    assert refusal(path, good[:8], "ort")


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{" + b'"a":' + b"[" * 100_000,
        b"{}",
        make.piper_config(audio={"sample_rate": 0}),
        make.piper_config(audio={"sample_rate": 10**9}),
        make.piper_config(audio={"sample_rate": "22050"}),
        make.piper_config(phoneme_id_map={}),
        make.piper_config(phoneme_id_map={"a": ["x"]}),
        make.piper_config(phoneme_id_map={str(i): [i] for i in range(5000)}),
        make.piper_config(espeak={"voice": 5}),
        make.piper_config(num_speakers=-1),
        make.piper_config(inference={"noise_scale": float("nan")}),
        make.piper_config(notes="x" * 3_000_000),
        b'{"audio": {"sample_rate": ' + b"9" * 10_000 + b"}}",
    ],
)
def test_lies_of_a_voice(data: bytes, tmp_path: Path) -> None:
    assert refusal(tmp_path / "voice.onnx.json", data, "piper-json")


def test_a_sound_voice(tmp_path: Path) -> None:
    path = tmp_path / "voice.onnx.json"
    path.write_bytes(make.piper_config())
    assert inspect(path).summary == "22050 Hz, 4 phonemes, en-us"


# All of them


@pytest.mark.parametrize("name", make.GOOD)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), edits=st.integers(1, 8), reach=st.integers(8, 2000))
def test_spoiled_headers_raise_nothing_but_our_errors(
    name: str, tmp_path: Path, seed: int, edits: int, reach: int
) -> None:
    """Any bytes of the header become any others: the parser accepts or refuses, nothing else."""
    rng = random.Random(seed)
    data = bytearray(make.GOOD[name]())
    for _ in range(edits):
        at = rng.randrange(min(reach, len(data)))
        data[at : at + 8] = rng.choice(
            [rng.randbytes(8), b"\xff" * 8, bytes(8), rng.randbytes(1), struct.pack("<Q", 1 << 63)]
        )
    path = tmp_path / name
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        inspect(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([b"GGUF\x03\0\0\0", b"lmgg", b"\x14\0\0\0ORTM", b"\x08\x08\x3a", b""]),
    rest=st.binary(max_size=400),
)
def test_noise_behind_a_magic_is_refused(path: Path, start: bytes, rest: bytes) -> None:
    path.write_bytes(start + rest)
    with pytest.raises(ModelCorrupt):
        inspect(path)


def test_things_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/null"), Path("a\0b")):
        with pytest.raises(ModelNotFound):
            sniff(path)
        with pytest.raises(ModelNotFound):
            inspect(path)
