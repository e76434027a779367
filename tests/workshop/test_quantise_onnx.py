"""ONNX recipes: what they make smaller, what they leave, how far off the result is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made
from edge_assistant_quantize.onnx_models.agreement import agreement
from edge_assistant_quantize.onnx_models.graphs import name_nodes, parts_of, types_of
from edge_assistant_quantize.onnx_models.log_mel import log_mel_distance_db
from edge_assistant_quantize.onnx_models.quantise import quantise_onnx
from edge_assistant_quantize.onnx_models.recipes import RECIPES, recipe_of
from onnx import TensorProto, helper, numpy_helper

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelCorrupt, ModelError, ModelIncompatible
from edge_assistant.store import Store
from edge_assistant.tts.piper import PiperTts
from edge_assistant.tts.piper_speech import Sliced
from tests.workshop.piper_voice import SMALL, write_named_voice


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_voice(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="module")
def made(voice: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """The voice by every recipe."""
    folder = tmp_path_factory.mktemp("made")
    return {name: quantise_onnx(voice, folder / f"{name}.onnx", name) for name in RECIPES}


def bytes_of(made: Made, type_name: str) -> int:
    return sum(share.size_bytes for share in made.types if share.type_name == type_name)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_a_smaller_voice_and_says_what_is_in_it(
    name: str, made: dict[str, Made], voice: Path
) -> None:
    result = made[name]
    assert result.source_bytes == voice.stat().st_size
    assert result.size_bytes == result.path.stat().st_size < result.source_bytes
    assert result.types == types_of(onnx.load(result.path))
    small = "float16" if name.startswith("fp16") else "uint8"
    assert bytes_of(result, small) > 0
    assert any(note.startswith("difference over 3 runs of phonemes: max ") for note in result.notes)
    assert not list(result.path.parent.glob(".*"))


def test_every_entry_of_a_recipe_has_a_reason_and_something_it_is_about() -> None:
    for recipe in RECIPES.values():
        assert recipe.summary
        assert (recipe.method == "dynamic-int8") == bool(recipe.ops)
        for kept in recipe.kept:
            assert len(kept.reason) > 20
            assert kept.part or kept.ops or kept.names


def test_the_vocoder_stays_in_float_by_int8_and_does_not_by_int8_all(
    made: dict[str, Made], voice: Path
) -> None:
    def vocoder(path: Path) -> set[str]:
        graph = onnx.load(path).graph
        return {node.op_type for node in graph.node if node.name.startswith("/dec/")}

    assert vocoder(voice) == {"Conv", "ConvTranspose"}
    assert vocoder(made["int8"].path) == {"Conv", "ConvTranspose"}
    assert "ConvInteger" in vocoder(made["int8-all"].path)
    assert any("it makes the wave itself" in note for note in made["int8"].notes)
    assert bytes_of(made["int8-all"], "float32") < bytes_of(made["int8"], "float32")


def test_parts_are_found_without_any_name(voice: Path) -> None:
    model = onnx.load(voice)
    by_name = {node.name for node in model.graph.node if node.name.startswith("/dec/")}
    parts = parts_of(model)
    assert by_name <= parts["decoder"]
    assert parts["entrance"] == {"/dec/conv_pre/Conv"}
    assert not any(name.startswith(("/flow", "/enc_p")) for name in parts["decoder"])
    kinds = {node.op_type for node in model.graph.node if node.name in parts["durations"]}
    assert kinds == {"Ceil", "Gather", "Mul"}
    for node in model.graph.node:
        node.name = ""
    name_nodes(model)
    assert {part: len(names) for part, names in parts_of(model).items()} == {
        part: len(names) for part, names in parts.items()
    }


def test_float_voices_stay_close_and_integers_in_the_vocoder_are_worst(
    made: dict[str, Made], voice: Path
) -> None:
    apart = {name: agreement(voice, result.path) for name, result in made.items()}
    for found in apart.values():
        assert found.lengths[0] == found.lengths[1]
        assert found.log_mel_db is not None
    distances = {name: found.log_mel_db or 0.0 for name, found in apart.items()}
    assert 0 < distances["fp16-weights"] < 0.5
    assert 0 < distances["fp16"] < 2
    assert distances["fp16-weights"] < distances["int8"] < distances["int8-all"]


@pytest.mark.parametrize("name", ["fp16", "fp16-weights", "int8"])
def test_the_runtime_still_speaks_such_a_voice_in_slices(name: str, made: dict[str, Made]) -> None:
    path = made[name].path
    voice = PiperTts(path, path.with_name(f"{path.name}.json"))
    assert isinstance(voice._speech, Sliced)
    assert "speaks in slices" in made[name].notes
    chunks = list(voice.synthesize("Hello there.", CancelToken()))
    assert sum(len(chunk.samples) for chunk in chunks) > 0


def test_a_voice_with_integers_everywhere_is_said_to_speak_whole_sentences(
    made: dict[str, Made],
) -> None:
    assert any("each sentence is whole" in note for note in made["int8-all"].notes)


def test_a_voice_of_several_speakers(tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", replace(SMALL, num_speakers=3))
    for name in ("fp16", "int8"):
        result = quantise_onnx(source, tmp_path / f"{name}.onnx", name)
        assert "speaks in slices" in result.notes


def test_what_was_made_smaller_before_is_refused(made: dict[str, Made], tmp_path: Path) -> None:
    for before in ("int8", "fp16", "fp16-weights"):
        with pytest.raises(WorkshopError) as caught:
            quantise_onnx(made[before].path, tmp_path / "again.onnx", "int8")
        assert caught.value.code == "already-quantised"
        assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_what_would_not_be_smaller_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "tiny.onnx"
    write_sum(source, 4)
    with pytest.raises(WorkshopError, match="in place of") as caught:
        quantise_onnx(source, tmp_path / "out.onnx", "fp16-weights")
    assert caught.value.code == "not-smaller"
    assert list(tmp_path.iterdir()) == [source]


def test_other_models_are_run_on_random_inputs(tmp_path: Path) -> None:
    source = tmp_path / "sum.onnx"
    write_sum(source, 4096)
    result = quantise_onnx(source, tmp_path / "out.onnx", "fp16")
    assert any("3 sets of random inputs" in note for note in result.notes)
    assert result.size_bytes < 0.6 * result.source_bytes


def test_numbers_outside_of_float16_are_told(tmp_path: Path) -> None:
    source = tmp_path / "sum.onnx"
    write_sum(source, 4096, largest=1e6)
    for name in ("fp16", "fp16-weights"):
        result = quantise_onnx(source, tmp_path / f"{name}.onnx", name)
        assert any("outside float16's range" in note for note in result.notes)


def test_wrong_questions_have_answers(voice: Path, tmp_path: Path) -> None:
    def code(source: Path, output: Path, recipe: str) -> str:
        with pytest.raises(WorkshopError) as caught:
            quantise_onnx(source, output, recipe)
        assert caught.value.hint
        return caught.value.code

    assert code(voice, tmp_path / "a.onnx", "int3") == "recipe-unknown"
    assert code(voice, tmp_path / "a.bin", "int8") == "wrong-suffix"
    assert code(voice, voice, "int8") == "output-is-input"
    (tmp_path / "there.onnx").write_bytes(b"mine")
    assert code(voice, tmp_path / "there.onnx", "int8") == "output-exists"
    assert (tmp_path / "there.onnx").read_bytes() == b"mine"
    assert recipe_of("int8").ops == ("Conv", "MatMul")


def test_a_file_that_is_faulty_is_refused_before_any_library_sees_it(
    voice: Path, tmp_path: Path
) -> None:
    whole = voice.read_bytes()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelCorrupt) as caught:
        quantise_onnx(broken, tmp_path / "out.onnx", "int8")
    assert caught.value.code == "header-invalid"
    assert caught.value.hint
    sound = onnx.load(voice)
    sound.graph.node[3].op_type = "NoSuchKind"
    onnx.save(sound, broken)
    with pytest.raises(ModelIncompatible) as refused:
        quantise_onnx(broken, tmp_path / "out.onnx", "int8")
    assert refused.value.code == "preflight-failed"
    assert list(tmp_path.iterdir()) == [broken]


def test_the_distance_of_sounds() -> None:
    time_s = np.arange(22_050) / 22_050
    tone = np.sin(2 * np.pi * 440 * time_s).astype(np.float32)
    assert log_mel_distance_db(tone, tone, 22_050) == 0
    noise = np.random.default_rng(1).normal(0, 1, len(tone)).astype(np.float32)
    near = log_mel_distance_db(tone, tone + np.float32(1e-3) * noise, 22_050)
    far = log_mel_distance_db(tone, tone + np.float32(1e-1) * noise, 22_050)
    assert 0 < near < far
    assert log_mel_distance_db(noise, noise * np.float32(10**-0.3), 22_050) == pytest.approx(
        6, 0.01
    )


@pytest.mark.model
def test_silero_hears_the_same_with_weights_of_16_bits_and_not_with_integers(
    tmp_path: Path,
) -> None:
    """Its weights are constants inside the branches of an If."""
    source = installed("silero-vad")
    short = quantise_onnx(source, tmp_path / "short.onnx", "fp16-weights")
    assert short.size_bytes < 0.6 * short.source_bytes
    assert agreement(source, short.path).max_abs < 0.02
    assert not any("far off" in note for note in short.notes)
    integer = quantise_onnx(source, tmp_path / "integer.onnx", "int8")
    assert any("far off" in note for note in integer.notes)
    with pytest.raises(WorkshopError) as caught:
        quantise_onnx(source, tmp_path / "half.onnx", "fp16")
    assert caught.value.code == "not-runnable"
    assert "fp16-weights" in caught.value.hint


@pytest.mark.model
def test_smart_turn_is_of_integers_already(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError) as caught:
        quantise_onnx(installed("smart-turn-v3.2"), tmp_path / "out.onnx", "fp16")
    assert caught.value.code == "already-quantised"


def installed(model_id: str) -> Path:
    try:
        return Store.default().open(model_id).path
    except ModelError as error:
        pytest.skip(f"{model_id} is not installed: {error.hint}")


def write_sum(path: Path, width: int, largest: float = 1.0) -> None:
    """y = x + weights."""
    weights = np.linspace(-largest, largest, width, dtype=np.float32).reshape(1, width)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "sum",
        [value("x", TensorProto.FLOAT, [1, width])],
        [value("y", TensorProto.FLOAT, [1, width])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.save(model, path)
