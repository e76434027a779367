"""The mathematics of a comparison, each held against the plainest way to say it."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np
import pytest
from edge_assistant_quantize.compare import figures, numbers, png, rule
from edge_assistant_quantize.compare.divergence import (
    agreements,
    divergences,
    log_probabilities,
    spans,
    surprises,
)
from edge_assistant_quantize.compare.mel import RANGE_DB, distance_db, log_mel, warped
from edge_assistant_quantize.compare.messages import Answered, Read, Window
from edge_assistant_quantize.compare.tasks import TASKS, Task, faults
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.format import Samples
from edge_assistant.bench.metrics.values import Sample
from tests.workshop.compare_models import candidate

RNG = np.random.default_rng(3)
RATE = 16_000


def softmax(logits: list[float]) -> list[float]:
    """As the textbook has it."""
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    return [weight / sum(weights) for weight in weights]


def test_divergence_is_that_of_the_textbook() -> None:
    a = (RNG.standard_normal((7, 50)) * 4).astype(np.float32)
    b = (RNG.standard_normal((7, 50)) * 4).astype(np.float32)
    found = divergences(log_probabilities(a), log_probabilities(b))
    for row in range(7):
        p, q = softmax(a[row].tolist()), softmax(b[row].tolist())
        plain = sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
        assert found[row] == pytest.approx(plain, rel=1e-4)
    assert (found > 0.01).all()


def test_a_model_does_not_diverge_from_itself() -> None:
    rows = log_probabilities((RNG.standard_normal((5, 3000)) * 6).astype(np.float32))
    assert divergences(rows, rows.copy()).tolist() == [0.0] * 5
    assert agreements(rows, rows.copy()).all()


def test_surprise_is_the_negative_logarithm_of_the_probability() -> None:
    logits = (RNG.standard_normal((4, 20)) * 3).astype(np.float32)
    tokens = [3, 0, 19, 7]
    found = surprises(log_probabilities(logits), tokens)
    plain = [-math.log(softmax(logits[at].tolist())[token]) for at, token in enumerate(tokens)]
    assert found == pytest.approx(plain, rel=1e-5)


def test_large_logits_do_not_overflow() -> None:
    rows = log_probabilities(np.array([[90_000.0, 0.0, -90_000.0]], dtype=np.float32))
    assert np.isfinite(rows).all()
    assert rows[0, 0] == pytest.approx(0.0)


@given(st.integers(2, 700), st.sampled_from([(8, 4), (256, 128), (16, 15), (9, 2)]))
def test_every_token_but_the_first_is_scored_once_with_its_context(
    count: int, sizes: tuple[int, int]
) -> None:
    window, stride = sizes
    found = list(spans(count, window, stride))
    scored = [token for span in found for token in range(span.first, span.end)]
    assert scored == list(range(1, count))
    for span in found:
        assert 0 <= span.begin < span.first < span.end <= span.begin + window
    for span in found[1:]:
        assert span.first - span.begin == window - stride


def read(windows: list[Window], *, passes: int = 1, is_comparable: bool = True) -> Read:
    """What a model made of a text."""
    answers = [
        Answered(task=f"t{n}", text="x", faults=[] if n < passes else ["no"]) for n in (0, 1)
    ]
    return Read(
        vocabulary="v", is_comparable=is_comparable, windows=windows, kl_high=0.5, answers=answers
    )


def test_perplexity_and_bits_are_those_of_all_tokens_together() -> None:
    nll = RNG.uniform(20, 60, size=6)
    tokens = [10, 12, 9, 14, 11, 13]
    own = [
        Window(nll=float(n), tokens=t, size_bytes=4 * t, kl=0.0, rows=t, same=t)
        for n, t in zip(nll, tokens, strict=True)
    ]
    worse = [
        Window(
            nll=w.nll * 1.1,
            tokens=w.tokens,
            size_bytes=w.size_bytes,
            kl=0.3 * w.rows,
            rows=w.rows,
            same=w.rows - 2,
        )
        for w in own
    ]
    models = [candidate("a"), candidate("b")]
    lines = {
        line.key: line
        for line in figures.of_reading(models, {"a": read(own), "b": read(worse, passes=0)})
    }
    mean = float(np.sum(nll) / np.sum(tokens))
    assert lines["perplexity"].values["a"].value == pytest.approx(math.exp(mean))
    assert lines["perplexity"].values["b"].versus == pytest.approx(math.exp(0.1 * mean))
    bits = lines["bits_per_byte"].values
    assert bits["a"].value == pytest.approx(mean / 4 / math.log(2))
    assert bits["b"].versus == pytest.approx(0.1 * mean / 4 / math.log(2))
    assert bits["b"].versus_low is not None
    assert bits["b"].versus_low <= (bits["b"].versus or 0.0) <= (bits["b"].versus_high or 0.0)
    assert lines["kl"].values["a"].value == 0.0
    assert lines["kl"].values["b"].value == pytest.approx(0.3)
    assert lines["same_top"].values["b"].value == pytest.approx(1 - 12 / 69)
    assert lines["tasks"].values["b"].versus == -1.0


def test_models_with_other_tokens_keep_only_what_can_be_compared() -> None:
    own = [Window(nll=30.0, tokens=10, size_bytes=40, rows=10, same=10)] * 6
    other = [Window(nll=40.0, tokens=20, size_bytes=41)] * 5
    models = [candidate("a"), candidate("b"), candidate("c")]
    reads = {"a": read(own), "b": read(other, is_comparable=False)}
    lines = {line.key: line for line in figures.of_reading(models, reads)}
    assert set(lines) == {"bits_per_byte", "tasks"}
    found = lines["bits_per_byte"].values["b"]
    assert found.versus == pytest.approx((40 / 41 - 30 / 40) / math.log(2))
    assert found.versus_low is None
    lines = {line.key: line for line in figures.of_reading(models, reads | {"c": read(own)})}
    assert set(lines["kl"].values) == {"a", "c"}
    assert set(lines["perplexity"].values) == {"a", "c"}
    assert set(lines["bits_per_byte"].values) == {"a", "b", "c"}
    chosen = rule.loss("llm", ["a", "b", "c"], list(lines.values()))
    assert chosen is not None
    assert chosen.key == "bits_per_byte"


def naive(costs: list[list[float]]) -> float:
    """The cheapest path, cell by cell."""
    n, m = len(costs), len(costs[0])
    best: dict[tuple[int, int], tuple[float, int]] = {(0, 0): (0.0, 0)}
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
            total, steps = min((best[b] for b in before if b in best), key=lambda each: each[0])
            best[i, j] = (total + costs[i - 1][j - 1], steps + 1)
    total, steps = best[n, m]
    return total / steps


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (6, 6), (7, 13), (20, 5)])
def test_warping_finds_the_cheapest_path(shape: tuple[int, int]) -> None:
    costs = RNG.uniform(0.1, 5.0, size=shape)
    assert warped(costs) == pytest.approx(naive(costs.tolist()))


def tone(length_s: float, hz: float, level: float = 0.3, rate: int = RATE) -> Samples:
    """A tone with a beginning and an end."""
    times = np.arange(round(length_s * rate)) / rate
    rise = np.minimum(1.0, np.minimum(times, length_s - times) / 0.05)
    return (level * rise * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def test_the_distance_of_sounds_is_none_for_the_same_and_grows_with_the_difference() -> None:
    own = log_mel(tone(1.0, 400.0), RATE)
    assert distance_db(own, own) == 0.0
    noise = RNG.standard_normal(RATE).astype(np.float32)
    near = distance_db(own, log_mel(tone(1.0, 400.0) + 1e-3 * noise, RATE))
    far = distance_db(own, log_mel(tone(1.0, 400.0) + 0.1 * noise, RATE))
    assert 0.0 < near < far


def test_a_slower_voice_is_not_further_away_but_a_quieter_one_is() -> None:
    own = log_mel(tone(1.0, 400.0), RATE)
    slow = distance_db(own, log_mel(tone(1.6, 400.0), RATE))
    quiet = distance_db(own, log_mel(tone(1.0, 400.0, level=0.03), RATE))
    assert slow < 2.0
    assert quiet == pytest.approx(20.0, abs=2.0)


def test_voices_of_other_rates_can_be_held_side_by_side() -> None:
    own = log_mel(tone(1.0, 400.0), RATE)
    assert distance_db(own, log_mel(tone(1.0, 400.0, rate=22_050), 22_050)) < 2.0


def test_a_tone_is_bright_where_it_is() -> None:
    bands = [int(log_mel(tone(0.5, hz), RATE).mean(axis=0).argmax()) for hz in (200, 1000, 5000)]
    assert bands == sorted(bands)
    assert bands[0] < 15
    assert bands[2] > 60


def test_a_picture_is_a_sound_png() -> None:
    mel = log_mel(tone(0.5, 1000.0), RATE)
    data = png.spectrogram(mel, float(mel.max()))
    assert data.startswith(png.SIGNATURE)
    chunks, at = {}, len(png.SIGNATURE)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (height, depth, colour) == (80 * png.BAND_PIXELS, 8, 3)
    assert width == len(mel)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 0).all()
    pixels = rows[:, 1:]
    assert pixels.max() == 255
    assert pixels.min() == 0
    loud = int(pixels[:, width // 2].argmax())
    assert loud // png.BAND_PIXELS == 79 - int(mel[width // 2].argmax())
    assert len(chunks[b"PLTE"]) == 3 * 256


def test_what_is_beyond_the_range_is_as_dark_as_silence() -> None:
    mel = log_mel(tone(0.5, 1000.0), RATE)
    assert mel.max() - mel.min() == pytest.approx(RANGE_DB)


GOOD = {
    "capital": "The capital of France is Paris.",
    "days": "There are seven days in a week.",
    "sum": "Two plus three is five.",
    "next day": "Wednesday comes after Tuesday.",
    "colour": "You get green.",
    "opposite": "The opposite of hot is cold.",
    "larger": "An elephant is larger than a mouse.",
    "yes or no": "Yes, ice is cold.",
    "name": "Your name is Anna.",
    "moved": "It begins at four o'clock.",
    "french": "You say bonjour.",
    "short": "A rainbow is an arc of coloured light in the sky.",
}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_right_answer_passes_and_others_do_not(task: Task) -> None:
    assert faults(task, GOOD[task.name]) == []
    assert faults(task, "") == ["no answer"]
    assert faults(task, "I am a helpful assistant.") != []
    assert faults(task, GOOD[task.name] + " and so on" * 20) != []
    assert faults(task, f"**{GOOD[task.name]}**") != []


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sum", "Two plus three is five, no, six."),
        ("moved", "The meeting begins at three, not four."),
        ("yes or no", "No, it is not, yes."),
        ("larger", "A mouse is larger than an elephant."),
        ("next day", "Thursday comes after Wednesday."),
    ],
)
def test_a_wrong_answer_with_the_right_word_does_not_pass(name: str, answer: str) -> None:
    (task,) = (each for each in TASKS if each.name == name)
    assert faults(task, answer) != []


def test_intervals_need_five_trials() -> None:
    four = [Sample(trial=str(n), value=float(n)) for n in range(4)]
    assert figures._ends(four) == (None, None)
    assert figures._ends([*four, Sample(trial="4", value=4.0)])[0] is not None


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (29.44, "", "29.4"),
        (5.134e60, "", "5.1e+60"),
        (3.2e8, "tok/s", "3.2e+08 tok/s"),
        (3 * 2.0**30, "bytes", "3072 MiB"),
        (0.0, "nats", "0 nats"),
    ],
)
def test_numbers_are_short(value: float, unit: str, expected: str) -> None:
    assert numbers.number(value, unit) == expected
