"""A voice in two files that give together what the whole gives, and a wrong cut that is caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.onnx_models.agreement import opened
from edge_assistant_quantize.onnx_models.split import check_halves, split_voice
from onnx import numpy_helper

from edge_assistant.tts.piper_graph import Halves, cut
from tests.engines.piper_vits import TINY, TINY_HIGH
from tests.workshop.piper_voice import write_named_voice
from tests.workshop.test_quantise_onnx import write_sum

SIZES = {"medium": TINY, "high": TINY_HIGH, "speakers": replace(TINY, num_speakers=3)}


@pytest.mark.parametrize("size", SIZES)
def test_both_halves_are_the_whole(size: str, tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", SIZES[size])
    encoder, decoder = split_voice(source, tmp_path / "voice.onnx")
    assert encoder.path == tmp_path / "voice-encoder.onnx"
    assert decoder.path == tmp_path / "voice-decoder.onnx"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "in",
        "voice-decoder.onnx",
        "voice-encoder.onnx",
    ]
    taken = {each.name for each in opened(decoder.path.read_bytes()).get_inputs()}
    assert "input" not in taken
    assert ("sid" in taken) == (size == "speakers")
    assert any("at once: max 0.00e+00" in note for note in decoder.notes)
    assert any("64 columns at a time: max " in note for note in decoder.notes)
    for half in (encoder, decoder):
        assert half.size_bytes < half.source_bytes
        assert half.types[0].type_name == "float32"


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_one_wrong_weight_in_a_half_is_caught(half: str, tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", TINY)
    halves = cut(source.read_bytes())
    check_halves(source, halves)
    wrong = Halves(
        encoder=with_a_wrong_weight(halves.encoder) if half == "encoder" else halves.encoder,
        decoder=with_a_wrong_weight(halves.decoder) if half == "decoder" else halves.decoder,
        latent=halves.latent,
    )
    with pytest.raises(WorkshopError) as caught:
        check_halves(source, wrong)
    assert caught.value.code == "made-differs"


def test_a_cut_in_the_wrong_place_is_caught(tmp_path: Path) -> None:
    """The latent before its mask: the same shape, and other audio where a voice is silent."""
    size = replace(TINY, silent_columns=(10, 20))
    source = write_named_voice(tmp_path / "in", size)
    halves = cut(source.read_bytes())
    early = onnx.ModelProto.FromString(halves.encoder)
    maker = {name: node for node in early.graph.node for name in node.output}
    mask = maker[maker[halves.latent].input[0]]
    assert mask.op_type == "Mul"
    maker[halves.latent].input[0] = mask.input[0]
    wrong = Halves(encoder=early.SerializeToString(), decoder=halves.decoder, latent=halves.latent)
    with pytest.raises(WorkshopError) as caught:
        check_halves(source, wrong)
    assert caught.value.code == "made-differs"


def test_a_vocoder_that_looks_further_than_the_margin_is_refused(tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", replace(TINY, is_far_sighted=True))
    with pytest.raises(WorkshopError, match="64 columns at a time") as caught:
        split_voice(source, tmp_path / "voice.onnx")
    assert caught.value.code == "made-differs"
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_what_is_no_voice_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "sum.onnx"
    write_sum(source, 16)
    with pytest.raises(WorkshopError) as caught:
        split_voice(source, tmp_path / "voice.onnx")
    assert caught.value.code == "not-a-voice"
    assert list(tmp_path.iterdir()) == [source]


def test_neither_half_is_replaced_unasked(tmp_path: Path) -> None:
    source = write_named_voice(tmp_path / "in", TINY)
    kept = tmp_path / "voice-decoder.onnx"
    kept.write_bytes(b"mine")
    with pytest.raises(WorkshopError) as caught:
        split_voice(source, tmp_path / "voice.onnx")
    assert caught.value.code == "output-exists"
    assert kept.read_bytes() == b"mine"
    assert not (tmp_path / "voice-encoder.onnx").exists()
    split_voice(source, tmp_path / "voice.onnx", overwrite=True)
    assert kept.stat().st_size > 4


def with_a_wrong_weight(model: bytes) -> bytes:
    """The largest weight of a model, a tenth louder."""
    changed = onnx.ModelProto.FromString(model)
    floats = [each for each in changed.graph.initializer if len(each.dims) == 3]
    tensor = max(floats, key=lambda each: len(each.raw_data))
    values = np.float32(1.1) * numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return bytes(changed.SerializeToString())
