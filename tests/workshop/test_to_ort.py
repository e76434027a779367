"""ONNX to ORT: the same numbers, a wrong one caught, and faulty files turned away at the door."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.onnx_models.agreement import agreement
from edge_assistant_quantize.onnx_models.graphs import types_of
from edge_assistant_quantize.onnx_models.to_ort import check_same, to_ort
from onnx import numpy_helper

from edge_assistant.errors import EdgeAssistantError, ModelCorrupt, ModelError
from edge_assistant.store.headers import inspect
from tests.engines.piper_vits import TINY
from tests.workshop.piper_voice import write_named_voice
from tests.workshop.test_quantise_onnx import installed, write_sum

REFUSED_IN_ALL = 2_000


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_voice(tmp_path_factory.mktemp("voice"), TINY)


@pytest.fixture(scope="module")
def made(voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_ort(voice, tmp_path_factory.mktemp("made") / "voice.ort").path


def test_it_gives_the_same_and_says_its_types(voice: Path, tmp_path: Path) -> None:
    result = to_ort(voice, tmp_path / "voice.ort")
    assert inspect(result.path).form == "ort"
    assert result.size_bytes == result.path.stat().st_size
    assert any("difference over 3 runs of phonemes" in note for note in result.notes)
    floats = {share.type_name: share for share in result.types}["float32"]
    before = {share.type_name: share for share in types_of(onnx.load(voice))}["float32"]
    assert floats.size_bytes == pytest.approx(before.size_bytes, rel=0.01)
    assert [each.name for each in tmp_path.iterdir()] == ["voice.ort"]


def test_a_voice_of_several_speakers(tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", replace(TINY, num_speakers=3))
    assert to_ort(source, tmp_path / "voice.ort").types[0].type_name == "float32"


@pytest.mark.model
@pytest.mark.parametrize("model_id", ["silero-vad", "smart-turn-v3.2"])
def test_the_models_of_the_starter_pack_run_as_ort(model_id: str, tmp_path: Path) -> None:
    source = installed(model_id)
    result = to_ort(source, tmp_path / "model.ort")
    assert agreement(source, result.path).max_abs < 1e-4


def test_one_wrong_weight_is_caught(voice: Path, made: Path, tmp_path: Path) -> None:
    """In the file itself, where no header shows it."""
    check_same(voice, made)
    weights = [numpy_helper.to_array(each) for each in onnx.load(voice).graph.initializer]
    largest = max((each for each in weights if each.ndim == 3), key=lambda each: each.size)
    raw, at = made.read_bytes(), made.read_bytes().find(largest.tobytes())
    assert at > 0
    louder = (largest * np.float32(1.1)).tobytes()
    wrong = tmp_path / "wrong.ort"
    wrong.write_bytes(raw[:at] + louder + raw[at + len(louder) :])
    inspect(wrong, "ort")
    with pytest.raises(WorkshopError) as caught:
        check_same(voice, wrong)
    assert caught.value.code == "made-differs"


def test_another_model_and_one_of_nan_are_caught(voice: Path, tmp_path: Path) -> None:
    model = onnx.load(voice)
    tensor = next(each for each in model.graph.initializer if len(each.dims) == 3)
    nan = np.full(tuple(tensor.dims), np.nan, dtype=np.float32)
    tensor.CopyFrom(numpy_helper.from_array(nan, tensor.name))
    onnx.save(model, tmp_path / "nan.onnx")
    write_sum(tmp_path / "sum.onnx", 16)
    for other in ("nan.onnx", "sum.onnx"):
        with pytest.raises(WorkshopError) as caught:
            check_same(voice, tmp_path / other)
        assert caught.value.code == "not-runnable"


def test_outputs_have_their_suffix(voice: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkshopError) as caught:
        to_ort(voice, tmp_path / "voice.onnx")
    assert caught.value.code == "wrong-suffix"


def test_two_thousand_spoiled_files_are_refused_by_their_header(
    voice: Path, made: Path, tmp_path: Path
) -> None:
    """No cut file gets in; of those with one bit flipped, only such whose structure still holds."""
    counts: Counter[tuple[str, str]] = Counter()
    codes: set[str] = set()
    source = random.Random(5)
    for good in (voice, made):
        whole = good.read_bytes()
        spoiled = tmp_path / good.name
        refused = 0
        while refused < REFUSED_IN_ALL // 2:
            kind = source.choice(("cut", "flipped"))
            spoiled.write_bytes(spoil(whole, kind, source))
            try:
                inspect(spoiled, "ort" if good.suffix == ".ort" else "onnx")
            except ModelCorrupt as error:
                codes.add(error.code)
                refused += 1
                counts[good.suffix, kind] += 1
            else:
                assert kind == "flipped"
    assert codes <= {"header-invalid", "wrong-format"}
    assert sum(counts.values()) == REFUSED_IN_ALL
    assert all(
        counts[suffix, kind] > 5 for suffix in (".onnx", ".ort") for kind in ("cut", "flipped")
    )


def test_spoiled_files_whose_header_holds_bring_nobody_down(voice: Path, tmp_path: Path) -> None:
    """What the header cannot see is met by a child process, or converted as it is."""
    whole = voice.read_bytes()
    source = random.Random(6)
    spoiled = tmp_path / "spoiled.onnx"
    let_in = 0
    told: list[tuple[str, str]] = []
    while let_in < 10:
        spoiled.write_bytes(spoil(whole, "flipped", source))
        try:
            inspect(spoiled, "onnx")
        except ModelError:
            continue
        let_in += 1
        try:
            to_ort(spoiled, tmp_path / "out.ort", overwrite=True)
        except EdgeAssistantError as error:
            told.append((error.code, error.hint))
    assert all(hint for _, hint in told)
    assert {code for code, _ in told} <= {"preflight-failed", "not-runnable", "conversion-failed"}


def spoil(whole: bytes, kind: str, source: random.Random) -> bytes:
    """Cut a file anywhere, or flip any bit."""
    if kind == "cut":
        # A flatbuffer ends in padding, which is part of nothing.
        return whole[: source.randrange(1, len(whole) - 8)]
    spoiled = bytearray(whole)
    bit = source.randrange(len(whole) * 8)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)
