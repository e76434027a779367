"""A checkpoint in the graph of another voice, and checkpoints that do not fit or mean harm."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.onnx_models.agreement import agreement
from edge_assistant_quantize.onnx_models.convert_piper import convert_piper, normed, place
from edge_assistant_quantize.onnx_models.torch_files import open_checkpoint
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_assistant.errors import ModelCorrupt, ModelNotFound
from tests.engines.piper_vits import TINY
from tests.workshop.piper_voice import is_normed, weights_of, write_named_voice
from tests.workshop.torch_zip import Call, Pickled, write_archive, write_checkpoint

Tensors = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_named_voice(tmp_path_factory.mktemp("base"), TINY)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network with other weights: what the conversion has to come to."""
    return write_named_voice(tmp_path_factory.mktemp("tuned"), TINY, seed=7)


def trained(voice: Path, old_names: bool = True) -> Tensors:
    """The weights as training keeps them: normed ones apart, and what only training needs."""
    tensors: Tensors = {
        "model_g.enc_q.pre.weight": np.ones((2, 3), dtype=np.float32),
        "model_g.dp.post_pre.weight": np.ones((2, 3), dtype=np.float32),
        "model_g.dp.flows.1.pre.weight": np.ones((2, 3), dtype=np.float32),
        "model_d.convs.0.weight": np.ones((2, 3), dtype=np.float32),
    }
    ends = ("weight_g", "weight_v")
    if not old_names:
        ends = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    for name, weights in weights_of(voice, TINY).items():
        module = f"model_g.{name.removesuffix('.weight')}"
        if is_normed(name):
            flat = weights.reshape(len(weights), -1).astype(np.float64)
            length = np.linalg.norm(flat, axis=1).reshape(-1, 1, 1)
            tensors[f"{module}.{ends[0]}"] = length.astype(np.float32)
            tensors[f"{module}.{ends[1]}"] = (3 * weights).astype(np.float32)
        else:
            tensors[f"{module}.weight"] = weights
    return tensors


@pytest.mark.parametrize("old_names", [True, False], ids=["weight_g", "parametrizations"])
def test_a_fine_tuned_voice_speaks_as_itself(
    old_names: bool, base: Path, tuned: Path, tmp_path: Path
) -> None:
    checkpoint = write_checkpoint(
        tmp_path / "last.ckpt",
        trained(tuned, old_names),
        hyper_parameters=Call("argparse.Namespace", state={"quality": "medium"}),
        optimizer_states=[{"state": {0: {"step": 3}}}],
    )
    result = convert_piper(checkpoint, tmp_path / "mine.onnx", like=base)
    same = agreement(tuned, result.path)
    assert same.lengths[0] == same.lengths[1]
    assert same.max_abs <= 1e-4 * same.peak
    assert agreement(base, result.path).max_abs > 0.1 * same.peak
    assert (tmp_path / "mine.onnx.json").read_bytes() == base.with_name(
        f"{base.name}.json"
    ).read_bytes()
    assert any("in the graph of voice.onnx" in note for note in result.notes)


def test_a_wrong_weight_is_seen_in_the_sound(base: Path, tuned: Path, tmp_path: Path) -> None:
    """What compares voices in the test above does tell one wrong weight from none."""
    tensors = trained(tuned)
    tensors["model_g.dec.conv_post.weight"] = tensors["model_g.dec.conv_post.weight"][:, ::-1]
    tensors["model_g.dec.conv_post.weight"] = np.array(tensors["model_g.dec.conv_post.weight"])
    checkpoint = write_checkpoint(tmp_path / "last.ckpt", tensors)
    result = convert_piper(checkpoint, tmp_path / "mine.onnx", like=base)
    wrong = agreement(tuned, result.path)
    assert wrong.max_abs > 1e-2 * wrong.peak


def test_what_does_not_fit_is_refused(base: Path, tuned: Path, tmp_path: Path) -> None:
    def refusal(tensors: Tensors) -> str:
        checkpoint = write_checkpoint(tmp_path / "last.ckpt", tensors)
        with pytest.raises(WorkshopError) as caught:
            convert_piper(checkpoint, tmp_path / "mine.onnx", like=base)
        assert caught.value.code == "piper-mismatch"
        assert caught.value.hint
        assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]
        return caught.value.message

    sound = trained(tuned)
    extra = {"model_g.dec.resblocks.9.convs.0.weight": np.ones((2, 2, 3), dtype=np.float32)}
    assert "1 of its tensors have no place" in refusal(sound | extra)
    less = {name: each for name, each in sound.items() if "flows.2.pre" not in name}
    assert "1 weights of voice.onnx would stay" in refusal(less)
    no_length = {name: each for name, each in sound.items() if name[-9:] != ".weight_g"}
    assert "has no length" in refusal(no_length)
    wide = {"model_g.enc_p.emb.weight": np.ones((9, 8), dtype=np.float32)}
    assert "is (9, 8), in voice.onnx (256, 8)" in refusal(sound | wide)
    assert "no voice of Piper" in refusal({"encoder.weight": np.ones((2, 2), dtype=np.float32)})


def test_another_architecture_is_refused(base: Path, tmp_path: Path) -> None:
    deeper = write_named_voice(tmp_path / "deeper", replace(TINY, n_layers=2))
    tensors = {
        f"model_g.{name}": each
        for name, each in weights_of(deeper, replace(TINY, n_layers=2)).items()
    }
    checkpoint = write_checkpoint(tmp_path / "last.ckpt", tensors)
    with pytest.raises(WorkshopError) as caught:
        convert_piper(checkpoint, tmp_path / "mine.onnx", like=base)
    assert "have no place" in caught.value.message
    assert "attn_layers.1" in caught.value.message


@pytest.mark.parametrize("folded", ["-logs", "exp(-logs)"])
def test_logs_of_the_duration_predictor_find_both_places(folded: str) -> None:
    """Exporters work out `-logs`, or all of `exp(-logs)`, and keep only the node's name."""
    name = "onnx::Exp_7" if folded == "-logs" else "/dp/flows.0/Exp_output_0"
    nodes = [helper.make_node("Exp", [name], ["scale"], "/dp/flows.0/Exp")]
    if folded != "-logs":
        nodes = [helper.make_node("Mul", ["x", name], ["y"], "/dp/flows.0/Mul")]
    start = numpy_helper.from_array(np.zeros((2, 1), dtype=np.float32), name)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 1])], [], [start])
    model = helper.make_model(graph)
    logs = np.array([[0.5], [-1.0]], dtype=np.float32)
    assert place({"dp.flows.0.logs": logs}, model, "like") == 1
    placed = numpy_helper.to_array(model.graph.initializer[0])
    np.testing.assert_allclose(placed, -logs if folded == "-logs" else np.exp(-logs), rtol=1e-6)


def test_weight_norm_is_a_length_and_a_direction() -> None:
    direction = np.array([[[3.0, 4.0]], [[0.0, 2.0]]], dtype=np.float32)
    length = np.array([[[10.0]], [[1.0]]], dtype=np.float32)
    np.testing.assert_allclose(normed(length, direction), [[[6.0, 8.0]], [[0.0, 1.0]]], rtol=1e-6)


def test_a_checkpoint_cannot_make_anything_run(tmp_path: Path) -> None:
    """Calls in the pickle are read as names: the file that they would make is not there."""
    trace = tmp_path / "was-here"
    harm: dict[str, Any] = {
        "a": Call("os.system", f"touch {trace}"),
        "b": Call("builtins.eval", f"open({str(trace)!r}, 'w')"),
        "c": Call("pathlib.Path.touch", str(trace)),
        "d": Call("builtins.exec", "1/0", state={"__dict__": {}}),
    }
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = write_checkpoint(tmp_path / "harm.ckpt", {"w": weights}, **harm)
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.names == ("w",)
        np.testing.assert_array_equal(checkpoint.array("w"), weights)
    assert not trace.exists()


def test_views_and_halves_are_read_as_they_are(tmp_path: Path) -> None:
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensors: dict[str, NDArray[Any]] = {
        "turned": plain.T,
        "half": plain.astype(np.float16),
        "plain": plain,
    }
    path = write_checkpoint(tmp_path / "views.ckpt", tensors, step=np.array([3]))
    with open_checkpoint(path) as checkpoint:
        np.testing.assert_array_equal(checkpoint.array("half"), plain)
        np.testing.assert_array_equal(checkpoint.array("plain"), plain)
        np.testing.assert_array_equal(checkpoint.array("turned"), plain.T)
        assert checkpoint.array("half").dtype == np.float32


def test_a_tensor_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    class Reaching(Pickled):
        def _tensor(self, array: NDArray[Any]) -> bytes:
            sound = super()._tensor(array)
            return sound.replace(self.value((2, 3)), self.value((2, 2_000_000)))

    writer = Reaching()
    program = writer.program({"state_dict": {"w": np.ones((2, 3), dtype=np.float32)}})
    path = write_archive(tmp_path / "far.ckpt", program, writer.storages)
    with open_checkpoint(path) as checkpoint, pytest.raises(ModelCorrupt, match="larger than"):
        checkpoint.array("w")


def test_spoiled_checkpoints_are_refused_or_read_and_never_more(
    tuned: Path, tmp_path: Path
) -> None:
    source = random.Random(8)
    writer = Pickled()
    program = writer.program({"state_dict": trained(tuned)})
    whole = write_archive(tmp_path / "good.ckpt", program, writer.storages).read_bytes()
    spoiled = tmp_path / "spoiled.ckpt"
    refused: Counter[str] = Counter()
    codes: set[str] = set()
    for turn in range(300):
        kind = ("cut", "flipped", "pickle flipped")[turn % 3]
        if kind == "cut":
            spoiled.write_bytes(whole[: source.randrange(len(whole))])
        elif kind == "flipped":
            spoiled.write_bytes(flipped(whole, source))
        else:  # where the zip's checksum does not see it
            write_archive(spoiled, flipped(program, source), writer.storages)
        try:
            with open_checkpoint(spoiled) as checkpoint:
                for name in checkpoint.names:
                    checkpoint.array(name)
        except ModelCorrupt as error:
            codes.add(error.code)
            refused[kind] += 1
    assert codes == {"checkpoint-unreadable"}
    assert refused["cut"] == 100
    assert refused["flipped"] > 80
    assert refused["pickle flipped"] > 10


def flipped(data: bytes, source: random.Random) -> bytes:
    """With one bit changed."""
    bit = source.randrange(len(data) * 8)
    spoiled = bytearray(data)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def test_what_is_no_checkpoint_is_said_so(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt), open_checkpoint(base):
        pass
    with pytest.raises(ModelNotFound), open_checkpoint(tmp_path / "none.ckpt"):
        pass
    assert onnx.load(base).graph.node
