"""A Piper voice in slices: the same sound as in one piece, sooner, and what it is of the text."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.onnx import open_session
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.tts.piper import PiperTts, words_within
from edge_assistant.tts.piper_graph import GraphUnknown, cut
from edge_assistant.tts.piper_speech import (
    LEAST,
    MARGIN,
    MOST,
    Feed,
    Sliced,
    Whole,
    limited,
    next_slice,
)
from edge_assistant.tts.trim import SENTENCE_PAUSE_MS
from tests.engines.piper_file import SAMPLE_RATE, write_piper_voice
from tests.engines.piper_vits import TINY, TINY_HIGH, Architecture, write_vits_voice

HOP = 256
TEXT = "Hello there, my friend, this is one sentence of quite some length."
WITHOUT_NOISE = {"inference": {"noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0}}
SIZES = {
    "medium": TINY,
    "high": TINY_HIGH,
    "speakers": replace(TINY, num_speakers=3),
}


def feed_of(ids: int, speaker: int = 0) -> Feed:
    """A feed without noise, so that every inference gives the same."""
    return {
        "input": np.arange(ids, dtype=np.int64).reshape(1, -1) % 256,
        "input_lengths": np.array([ids], dtype=np.int64),
        "scales": np.array([0.0, 1.0, 0.0], dtype=np.float32),
        "sid": np.array([speaker], dtype=np.int64),
    }


def one_shot(model: Path, feed: Feed) -> NDArray[np.float32]:
    """What the graph gives as it came, before anything was cut."""
    session = open_session(model, hint="")
    mine = {node.name: feed[node.name] for node in session.get_inputs()}
    return np.asarray(session.run(None, mine)[0], dtype=np.float32).reshape(-1)


def sliced(folder: Path, size: Architecture = TINY) -> tuple[Sliced, Path]:
    model, _ = write_vits_voice(folder, size)
    speech = Sliced(model, 1)
    speech.try_out([feed_of(60)], SAMPLE_RATE)
    speech.rtf = 0.1  # so that a sentence has many seams on every machine
    return speech, model


def voice_of(
    folder: Path, size: Architecture = TINY, config: dict[str, Any] | None = None, rtf: float = 0.1
) -> PiperTts:
    """A voice with a known pace, so that its slices are the same on every machine."""
    voice = PiperTts(*write_vits_voice(folder, size, config))
    assert isinstance(voice._speech, Sliced)
    voice._speech.rtf = rtf
    return voice


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ids", [1, 5, 11, 120, 400])
def test_slices_are_the_one_shot_sound(tmp_path: Path, size: str, ids: int) -> None:
    speech, model = sliced(tmp_path, SIZES[size])
    feed = feed_of(ids, speaker=SIZES[size].num_speakers - 1)
    pieces = list(speech.pieces([feed], CancelToken()))
    expected = limited(one_shot(model, feed) * np.float32(speech.gain))
    apart = np.abs(np.concatenate([samples for samples, _ in pieces]) - expected)
    # Rounding: measured 6e-7 and 2e-9.
    assert apart.max() < 1e-5
    assert apart.mean() < 1e-6
    assert (len(pieces) > 3) == (ids >= 120)
    shares = [share for _, share in pieces]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_another_speaker_is_another_sound(tmp_path: Path) -> None:
    speech, _ = sliced(tmp_path, SIZES["speakers"])
    first, second = (
        np.concatenate([s for s, _ in speech.pieces([feed_of(40, speaker)], CancelToken())])
        for speaker in (0, 2)
    )
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(("margin", "is_heard"), [(0, True), (4, True), (MARGIN, False)])
def test_the_margin_is_needed(tmp_path: Path, margin: int, is_heard: bool) -> None:
    speech, _ = sliced(tmp_path, TINY_HIGH)
    feed, token = feed_of(60), CancelToken()
    latent = speech.latent(feed, token)
    whole = speech.audio(feed, latent, 0, 180, token)
    parts = [speech.audio(feed, latent, at, at + 45, token, margin) for at in range(0, 180, 45)]
    assert (np.abs(np.concatenate(parts) - whole).max() > 1e-3) == is_heard


def test_runs_of_phonemes_follow_each_other(tmp_path: Path) -> None:
    speech, model = sliced(tmp_path)
    feeds = [feed_of(40), feed_of(70)]
    pieces = list(speech.pieces(feeds, CancelToken()))
    raw = np.concatenate([one_shot(model, feed) for feed in feeds])
    spoken = np.concatenate([samples for samples, _ in pieces])
    assert np.abs(spoken - limited(raw * np.float32(speech.gain))).max() < 1e-5
    assert [share for _, share in pieces][-1] == 1.0


@pytest.mark.parametrize("silent", [(0, 6 * LEAST), (60, 160)], ids=["in front", "inside"])
def test_a_sentence_comes_trimmed_whole_and_with_one_pause(
    tmp_path: Path, silent: tuple[int, int]
) -> None:
    """Slices of silence in front are no chunks; from there on it is the graph's sound."""
    size = replace(TINY, silent_columns=silent)
    voice = voice_of(tmp_path, size, WITHOUT_NOISE)
    chunks = list(voice.synthesize(TEXT, CancelToken()))
    assert len(chunks) > 1
    assert chunks[0].leading_silence_frames <= SAMPLE_RATE * 5 // 1000
    assert len(chunks[0].samples) <= LEAST * HOP
    assert not any(chunk.leading_silence_frames for chunk in chunks[1:])
    spoken = np.concatenate([chunk.samples for chunk in chunks])
    pause = SAMPLE_RATE * SENTENCE_PAUSE_MS // 1000
    assert not spoken[-pause:].any()
    speech = voice._speech
    assert isinstance(speech, Sliced)
    (ids,) = voice._phoneme_ids(TEXT)
    raw = one_shot(tmp_path / "vits.onnx", voice._feed(ids))
    expected = limited(raw * np.float32(speech.gain))
    begin = int(np.flatnonzero(np.abs(expected) > 0.001)[0]) - chunks[0].leading_silence_frames
    assert (begin > 3 * LEAST * HOP) == (silent[0] == 0)
    kept = spoken[:-pause]
    assert np.abs(kept - expected[begin : begin + len(kept)]).max() < 1e-5
    assert np.abs(expected[begin + len(kept) :]).max(initial=0.0) <= 0.001


def test_the_pause_belongs_to_the_last_chunk_of_each_sentence(tmp_path: Path) -> None:
    voice = voice_of(tmp_path)
    chunks = list(voice.synthesize(f"{TEXT} {TEXT}", CancelToken()))
    ends_silent = [not chunk.samples[-HOP:].any() for chunk in chunks]
    assert sum(ends_silent) == 2
    assert ends_silent[-1]
    second = [chunk for chunk in chunks if chunk.start_char > len(TEXT)]
    assert ends_silent[len(chunks) - len(second) - 2 : len(chunks) - len(second)].count(True) == 1


@pytest.mark.parametrize("rtf", [0.01, 0.04, 0.1, 0.2, 0.3, 0.5])
def test_what_was_heard_follows_the_sound(tmp_path: Path, rtf: float) -> None:
    """The words taken for heard end where the sound is, by its share; 0.5 is in one piece."""
    voice = voice_of(tmp_path, rtf=rtf)
    attempt = Attempt(key=(1, 1))
    total = 0
    for chunk in voice.synthesize(TEXT, CancelToken()):
        attempt.add(TEXT, chunk, len(chunk.samples))
        total += len(chunk.samples)
    sound = total - SAMPLE_RATE * SENTENCE_PAUSE_MS // 1000
    before = 0
    for played in range(0, total, HOP):
        heard = attempt.heard(played).text
        assert TEXT.startswith(heard)
        assert before <= len(heard)
        before = len(heard)
        place = len(TEXT) * min(1.0, played / sound)
        # A word is told two characters early at most, and late by what the estimate drops.
        assert -15 < len(heard) - place < 3
    assert attempt.heard(total).text == TEXT


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, ""),
        (0.2, ""),
        (0.3, "Hello "),
        (0.75, "Hello "),
        (0.8, "Hello you.  "),
        (1, "Hello you.  "),
    ],
)
def test_a_word_is_where_it_ends_or_nearly(share: float, words: str) -> None:
    sentence = "Hello you.  "
    assert sentence[: words_within(sentence, share)] == words


@pytest.mark.parametrize(("share", "chars"), [(0.0, 0), (0.5, 0), (1.0, 5)])
def test_text_without_blanks_is_one_word(share: float, chars: int) -> None:
    assert words_within("你好世界。", share) == chars
    assert words_within("", share) == 0


def test_cancel_between_the_slices_of_a_sentence(tmp_path: Path) -> None:
    voice = voice_of(tmp_path)
    token = CancelToken()
    stream = voice.synthesize(TEXT, token)
    assert next(stream).end_char < len(TEXT)
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        next(stream)
    assert list(voice.synthesize("Hello.", CancelToken()))


@pytest.mark.parametrize("rtf", [0.0, 0.01, 0.04, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.5, 2.0])
def test_playback_never_waits_for_a_slice(rtf: float) -> None:
    """In columns: a slice takes `rtf` times itself and its margins, and plays meanwhile."""
    for total in range(1, 1500, 13):
        done, waiting, slices = 0, 0.0, []
        while done < total:
            size = next_slice(done, total - done, rtf)
            cost = rtf * (min(total, done + size + MARGIN) - max(0, done - MARGIN))
            assert 1 <= size <= total - done
            assert done == 0 or cost <= waiting
            assert size == total - done or rtf * (size + 2 * MARGIN) <= size / 2 + 1e-9
            waiting += size - (cost if done else 0)
            done += size
            slices.append(size)
        assert rtf >= 0.3 or max(slices) < MOST + MARGIN
        assert rtf > 0.1 or slices[0] < LEAST + MARGIN or rtf == 0.0


def test_the_limiter_leaves_speech_alone_and_stays_below_one() -> None:
    samples = np.linspace(-3, 3, 60_001, dtype=np.float32)
    bent = limited(samples)
    quiet = np.abs(samples) <= 0.9
    assert np.array_equal(bent[quiet], samples[quiet])
    assert np.abs(bent).max() <= 1.0
    steps = np.diff(bent)
    assert steps.min() >= 0
    assert steps.max() < 1.1e-4


def unfit(folder: Path, fault: str) -> tuple[Path, Path]:
    if fault == "no vocoder":
        return write_piper_voice(folder)
    size = replace(TINY, is_far_sighted=fault == "far-sighted")
    model, config = write_vits_voice(folder, size, WITHOUT_NOISE)
    graph = onnx.load(model)
    if fault == "mask in the vocoder":
        last = graph.graph.node[-1]
        graph.graph.node.insert(
            len(graph.graph.node) - 1,
            onnx.helper.make_node("Cast", ["input_lengths"], ["count"], to=onnx.TensorProto.FLOAT),
        )
        graph.graph.node.insert(
            len(graph.graph.node) - 1,
            onnx.helper.make_node("Mul", [last.input[0], "count"], ["scaled"]),
        )
        last.input[0] = "scaled"
        onnx.save(graph, str(model))
    return model, config


@pytest.mark.parametrize("fault", ["no vocoder", "far-sighted", "mask in the vocoder"])
def test_what_cannot_be_cut_is_spoken_whole(
    tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    model, config = unfit(tmp_path, fault)
    with caplog.at_level(logging.INFO, logger="edge_assistant"):
        voice = PiperTts(model, config)
    assert isinstance(voice._speech, Whole)
    assert "makes each sentence as a whole" in caplog.text
    (chunk,) = voice.synthesize(TEXT, CancelToken())
    assert chunk.end_char == len(TEXT)
    assert np.abs(chunk.samples).max() == pytest.approx(0.9)


def test_weights_are_in_memory_once(tmp_path: Path) -> None:
    model, _ = write_vits_voice(tmp_path)
    whole = model.read_bytes()
    halves = cut(whole)
    assert len(halves.encoder) + len(halves.decoder) < 1.01 * len(whole)
    speech = Sliced(model, 1)
    assert not speech._encoder._model_bytes
    assert not speech._decoder._model_bytes
    for half in (halves.encoder, halves.decoder):
        onnx.checker.check_model(onnx.load_model_from_string(half), full_check=True)


def test_damage_is_no_graph(tmp_path: Path) -> None:
    model, _ = write_vits_voice(tmp_path)
    whole = model.read_bytes()
    random = np.random.default_rng(3)
    damaged: list[bytes] = [b"", b"<html>", whole[:-1], whole[: len(whole) // 2]]
    for _ in range(40):
        spoilt = bytearray(whole)
        spoilt[int(random.integers(0, 3000))] ^= int(random.integers(1, 256))
        damaged.append(bytes(spoilt))
    for data in damaged:
        with suppress(GraphUnknown):
            cut(data)


def test_graphs_within_and_shared_constants_go_where_they_are_needed() -> None:
    """A vocoder whose last step is an `If` that takes a value from around it."""
    halves = cut(_with_if().SerializeToString())
    decoder = onnx.load_model_from_string(halves.decoder)
    encoder = onnx.load_model_from_string(halves.encoder)
    assert [node.op_type for node in encoder.graph.node] == ["Constant", "Mul"]
    assert [node.op_type for node in decoder.graph.node] == [
        "Constant",
        "Conv",
        "ConvTranspose",
        "Neg",
        "If",
    ]
    onnx.checker.check_model(encoder, full_check=True)
    onnx.checker.check_model(decoder, full_check=True)


def _with_if() -> onnx.ModelProto:
    def value(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    def branch(op: str) -> onnx.GraphProto:
        node = onnx.helper.make_node(op, ["turned"], [f"{op}_done"])
        done = value(f"{op}_done", onnx.TensorProto.FLOAT, [1, 1, "n"])
        return onnx.helper.make_graph([node], op, [], [done])

    make = onnx.helper.make_node
    weight = onnx.numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "weight")
    two = onnx.numpy_helper.from_array(np.array([2.0], np.float32))
    graph = onnx.helper.make_graph(
        [
            make("Constant", [], ["two"], value=two),
            make("Mul", ["input", "two"], ["z"]),
            make("Conv", ["z", "weight"], ["pre"]),
            make("ConvTranspose", ["pre", "weight"], ["up"]),
            make("Neg", ["up"], ["turned"]),
            make("If", ["yes"], ["output"], then_branch=branch("Abs"), else_branch=branch("Neg")),
        ],
        "g",
        [value("input", onnx.TensorProto.FLOAT, [1, 1, "n"])],
        [value("output", onnx.TensorProto.FLOAT, [1, 1, "n"])],
        [weight, onnx.numpy_helper.from_array(np.array(True), "yes")],
    )
    graph.node[3].input.append("")
    graph.node[2].input.append("two")  # a bias: the constant of the other half
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)])
