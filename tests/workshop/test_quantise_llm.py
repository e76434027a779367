"""llama.cpp's quantiser, in a child: what comes of it, what is refused, what a death leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
from edge_assistant_quantize import gguf_file
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm.quantise import quantise_llm
from edge_assistant_quantize.llm.types import TYPES

from edge_assistant.errors import EdgeAssistantError, ModelCorrupt
from edge_assistant.store.headers.tensor_types import TYPES as TENSOR_TYPES
from edge_assistant.store.trial import run_once
from tests.workshop.llama_gguf import read_types, read_weights, write_llama

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 256 and 512."""
    return write_llama(tmp_path_factory.mktemp("wide") / "wide.gguf", dtype=np.float16)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 96 and 192: whole blocks of 32, but not of 256."""
    path = tmp_path_factory.mktemp("narrow") / "narrow.gguf"
    return write_llama(path, width=96, dtype=np.float16)


@pytest.mark.parametrize("name", TYPES)
def test_a_type_is_llama_cpps(name: str) -> None:
    kind = TYPES[name]
    constant = "LLAMA_FTYPE_ALL_F32" if name == "F32" else f"LLAMA_FTYPE_MOSTLY_{name}"
    assert kind.ftype == getattr(llama_cpp, constant)
    assert kind.main in {tensor_type for tensor_type, _, _ in TENSOR_TYPES.values()}


NARROWER = ("BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_1", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M", "Q2_K")


@pytest.mark.parametrize("name", NARROWER)
def test_the_types_told_are_those_in_the_file(name: str, wide: Path, tmp_path: Path) -> None:
    """Also by another reader than ours."""
    output = tmp_path / "out.gguf"
    made = quantise_llm(wide, output, name.lower(), threads=1)
    types = read_types(output)
    assert {each.type_name: each.tensors for each in made.types} == Counter(types.values())
    assert types["blk.1.attn_q.weight"] == TYPES[name].main
    assert types["blk.1.attn_norm.weight"] == "F32"
    assert made.size_bytes == output.stat().st_size
    assert made.size_bytes < made.source_bytes or name == "BF16"
    assert gguf_file.read(output).metadata.values["general.file_type"] == TYPES[name].ftype
    assert made.notes == (() if name != "BF16" else made.notes)


def test_our_reader_sees_what_the_gguf_package_sees(narrow: Path) -> None:
    import gguf

    ours = gguf_file.read(narrow).tensors
    theirs = gguf.GGUFReader(narrow).tensors
    assert [
        (each.name, each.type_name, each.dims, each.position, each.size_bytes) for each in ours
    ] == [
        (t.name, t.tensor_type.name, tuple(t.shape.tolist()), t.data_offset, t.n_bytes)
        for t in theirs
    ]


@pytest.mark.parametrize(("name", "error"), [("Q8_0", 0.02), ("Q4_K_M", 0.12)])
def test_the_weights_are_those_of_the_source(
    name: str, error: float, wide: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.gguf"
    quantise_llm(wide, output, name, threads=1)
    before, after = read_weights(wide), read_weights(output)
    for tensor, weights in before.items():
        weights = weights.astype(np.float32)
        wrong = np.square(after[tensor] - weights).sum() / np.square(weights).sum()
        assert wrong**0.5 < error, tensor


def test_the_result_runs(wide: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    quantise_llm(wide, output, "Q4_K_M")
    run_once(output, "gguf")


@pytest.mark.parametrize(("name", "got"), [("Q4_K_M", "Q5_0"), ("Q6_K", "Q8_0"), ("Q2_K", "Q4_0")])
def test_narrow_rows_fall_back_and_that_is_told(
    name: str, got: str, narrow: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.gguf"
    made = quantise_llm(narrow, output, name, threads=1)
    assert read_types(output)["blk.0.attn_q.weight"] == got
    assert any(f"are {got}: their rows of 96" in note for note in made.notes), made.notes
    assert any("rows of 192" in note for note in made.notes), made.notes


def test_what_became_wider_is_told(narrow: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    quantise_llm(narrow, first, "Q4_1", threads=1)
    made = quantise_llm(first, second, "Q4_K_M", allow_requantize=True, threads=1)
    assert any("became wider" in note and "Q4_1 to Q5_0" in note for note in made.notes)


Source = Callable[[Path], Path]


def plain(folder: Path) -> Path:
    return write_llama(folder / "f32.gguf", width=64)


def half(folder: Path) -> Path:
    return write_llama(folder / "f16.gguf", width=64, dtype=np.float16)


def quantised(folder: Path) -> Path:
    return quantise_llm(half(folder), folder / "q5.gguf", "Q5_0", threads=1).path


def one_of_three(folder: Path) -> Path:
    return write_llama(folder / "part.gguf", width=64, split__count=3)


@pytest.mark.parametrize(
    ("source", "name", "code"),
    [
        (plain, "Q9_X", "type-unknown"),
        (plain, "F32", "type-same"),
        (half, "F16", "type-same"),
        (half, "F32", "type-wider"),
        (quantised, "Q5_0", "type-same"),
        (quantised, "Q8_0", "type-wider"),
        (quantised, "Q5_1", "type-wider"),
        (quantised, "F16", "type-wider"),
        (quantised, "Q4_0", "source-quantised"),
        (half, "IQ2_XXS", "imatrix-needed"),
        (half, "Q2_K_S", "imatrix-needed"),
        (one_of_three, "Q8_0", "source-split"),
    ],
)
def test_what_makes_no_sense_is_refused(
    source: Source, name: str, code: str, tmp_path: Path
) -> None:
    path, output = source(tmp_path), tmp_path / "out.gguf"
    with pytest.raises(WorkshopError) as caught:
        quantise_llm(path, output, name)
    assert caught.value.code == code
    assert caught.value.hint
    assert not output.exists()


def test_a_quantised_source_is_taken_when_that_is_allowed(tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    quantise_llm(quantised(tmp_path), output, "Q4_0", allow_requantize=True)
    assert read_types(output)["blk.0.ffn_up.weight"] == "Q4_0"


def cut_off(data: bytes) -> bytes:
    return data[: len(data) // 2]


def overlapping(data: bytes) -> bytes:
    at = data.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16 + 4
    return data[:at] + bytes([data[at] ^ 32]) + data[at + 1 :]


def a_page(data: bytes) -> bytes:
    return b"<!doctype html>" + data[15:]


@pytest.mark.parametrize("spoil", [cut_off, overlapping, a_page])
def test_a_faulty_source_never_reaches_llama_cpp(
    spoil: Callable[[bytes], bytes], narrow: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "bad.gguf", tmp_path / "out.gguf"
    source.write_bytes(spoil(narrow.read_bytes()))
    with pytest.raises(ModelCorrupt):
        quantise_llm(source, output, "Q8_0")
    assert list(tmp_path.iterdir()) == [source]


def test_what_llama_cpp_says_is_handed_on(tmp_path: Path) -> None:
    """A header that holds, of an architecture that nobody knows."""
    source = tmp_path / "odd.gguf"
    source.write_bytes(plain(tmp_path).read_bytes().replace(b"llama", b"lxxma"))
    with pytest.raises(WorkshopError, match="lxxma") as caught:
        quantise_llm(source, tmp_path / "out.gguf", "Q8_0")
    assert caught.value.code == "llama-failed"
    assert not (tmp_path / "out.gguf").exists()


def test_progress_goes_up_to_the_end(wide: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    quantise_llm(
        wide, tmp_path / "out.gguf", "Q4_0", progress=lambda what, share: told.append((what, share))
    )
    shares = [share for what, share in told if what == "quantise"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len({share for share in shares if 0.1 < share < 0.99}) > 3


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its child in /proc")
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_the_death_of_the_child_is_an_error_and_leaves_nothing(
    signum: signal.Signals, wide: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.gguf"

    def kill_child(what: str, share: float) -> None:
        del what
        if share > 0.1:
            for task in Path("/proc/self/task").iterdir():
                for pid in (task / "children").read_text().split():
                    os.kill(int(pid), signum)

    with pytest.raises(WorkshopError, match=signum.name) as caught:
        quantise_llm(wide, output, "IQ4_XS", threads=1, progress=kill_child)
    assert caught.value.code == "llama-failed"
    assert list(tmp_path.iterdir()) == []


class Enough(Exception):
    """What somebody who watches may raise."""


def test_an_error_of_whoever_watches_ends_the_child(wide: Path, tmp_path: Path) -> None:
    def give_up(what: str, share: float) -> None:
        raise Enough(what, share)

    with pytest.raises(Enough):
        quantise_llm(wide, tmp_path / "out.gguf", "IQ4_XS", progress=give_up)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_disk_that_is_full_is_an_error_and_leaves_nothing(wide: Path, tmp_path: Path) -> None:
    """llama.cpp does not notice each write that fails; that the file is not whole is noticed."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from edge_assistant.errors import EdgeAssistantError\n"
        "from edge_assistant_quantize.llm.quantise import quantise_llm\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try:\n"
        "    quantise_llm(Path(sys.argv[1]), Path(sys.argv[2]), 'Q8_0')\n"
        "except EdgeAssistantError as error:\n"
        "    print(error.code)\n"
    )
    output = tmp_path / "out.gguf"
    done = subprocess.run(
        [sys.executable, "-c", program, wide, output],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'quantize'}"},
    )
    assert done.stdout.strip() in ("output-unsound", "llama-failed"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_output_is_neither_overwritten_nor_the_source(wide: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    output.write_bytes(b"mine")
    for target, options, code in (
        (output, {}, "output-exists"),
        (wide, {"overwrite": True}, "output-is-input"),
        (tmp_path / "nowhere" / "out.gguf", {}, "output-unwritable"),
    ):
        settings: dict[str, Any] = options
        with pytest.raises(EdgeAssistantError) as caught:
            quantise_llm(wide, target, "Q8_0", **settings)
        assert caught.value.code == code
    assert output.read_bytes() == b"mine"
    quantise_llm(wide, output, "Q8_0", overwrite=True)
    assert output.stat().st_size > 1000
