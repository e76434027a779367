"""What the tiny Whisper learns from: log-mels, tokens, and where each word stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from edge_assistant_quantize.whisper.mel import mel_filters
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.stt.whispercpp import MIN_FRAMES
from tests.workshop.spoken_words import MOST_WORDS, WORDS, Clip
from tests.workshop.tiny_whisper import KEY_STEP, N_MELS

END: Final = len(WORDS)
START: Final = END + 1
NO_TIMESTAMPS: Final = END + 2
NUM_TOKENS: Final = END + 3
"""Rows of the embedding in the order of `tiny_whisper.IDS_IN_USE`."""

IGNORED: Final = -1
LENGTH: Final = MOST_WORDS + 2
"""Tokens that go in: the two of the prompt, and the words."""

SHORT: Final = KEY_STEP // 2
"""Encoder positions of `spoken_words.LONGEST_S` and a little more."""
COLUMNS: Final = 2 * SHORT
"""Columns of the log-mel that are kept; what follows is silence."""

_PER_S: Final = 50
"""Encoder positions."""
_MARGIN: Final = 128
_WINDOW: Final = 400
_HOP: Final = 160


@dataclass(frozen=True, slots=True)
class Examples:
    """Clips as arrays; the first axis counts them."""

    texts: tuple[str, ...]
    mels: NDArray[np.float16]
    """(COLUMNS, 80)."""
    silence: NDArray[np.float32]
    """The value of every later column."""
    positions: NDArray[np.int32]
    """`audio_ctx`: shorter than the adapter's, which leaves room up to a whole step. Harder."""
    tokens: NDArray[np.int32]
    """(LENGTH,), what goes in."""
    targets: NDArray[np.int32]
    """(LENGTH,), what should come out at each; IGNORED after the prompt's first and the end."""
    spans: NDArray[np.int32]
    """(LENGTH, 2), the encoder positions of the target; empty where it is no word."""
    spoken: NDArray[np.int32]
    """(SHORT,), the word that is being spoken; END for none."""
    places: NDArray[np.int32]
    """(SHORT,), which word of the utterance that is, from 1; 0 for none."""


def examples(clips: Iterable[Clip], count: int) -> Examples:
    """The first `count` clips, prepared."""
    rows = [_row(each) for each in islice(clips, count)]
    columns = list(zip(*rows, strict=True))
    return Examples(tuple(columns[0]), *(np.stack(each) for each in columns[1:]))


def log_mel(audio: Samples) -> tuple[NDArray[np.float32], np.float32]:
    """Whisper's picture (COLUMNS, 80) of a clip, and the value of every column after it."""
    edge = _WINDOW // 2
    padded = np.zeros(COLUMNS * _HOP + _WINDOW, dtype=np.float64)
    padded[:edge] = audio[edge:0:-1]
    padded[edge : edge + len(audio)] = audio
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_WINDOW) / _WINDOW)
    windows = sliding_window_view(padded, _WINDOW)[::_HOP][:COLUMNS]
    power = np.abs(np.fft.rfft(windows * hann, axis=1)) ** 2
    mels = np.log10(np.maximum(power @ mel_filters(N_MELS).T, 1e-10))
    floor = max(float(mels.max()) - 8.0, -10.0)
    picture = (np.maximum(mels, floor) + 4.0) / 4.0
    return picture.astype(np.float32), np.float32((floor + 4.0) / 4.0)


def _row(clip: Clip) -> tuple[Any, ...]:
    words = [WORDS.index(each) for each in clip.utterance.words]
    edges = [round(_PER_S * each) for each in (clip.begins_s, *clip.word_ends_s)]
    tokens = np.full(LENGTH, END, dtype=np.int32)
    tokens[: len(words) + 2] = [START, NO_TIMESTAMPS, *words]
    targets = np.full(LENGTH, IGNORED, dtype=np.int32)
    targets[1 : len(words) + 2] = [*words, END]
    spans = np.zeros((LENGTH, 2), dtype=np.int32)
    spoken = np.full(SHORT, END, dtype=np.int32)
    places = np.zeros(SHORT, dtype=np.int32)
    for at, word in enumerate(words):
        begins, ends = edges[at], max(edges[at + 1], edges[at] + 1)
        spans[at + 1] = begins, ends
        spoken[begins:ends] = word
        places[begins:ends] = at + 1
    mels, silence = log_mel(clip.audio)
    seconds = max(len(clip.audio), MIN_FRAMES) / SAMPLE_RATE
    positions = np.int32(math.ceil(50 * seconds) + _MARGIN)
    text = clip.utterance.text
    return text, mels.astype(np.float16), silence, positions, tokens, targets, spans, spoken, places


def batch(
    data: Examples, chosen: NDArray[np.int64], num_positions: int, rng: np.random.Generator | None
) -> tuple[Any, ...]:
    """Arrays of some examples: mels, valid, earlier, tokens, targets, spans, spoken, places.

    They count as calls of one recogniser, one after the other; a generator makes half of them a
    first call.

    With SHORT positions the silence that follows is left out; with KEY_STEP everything is as in
    whisper.cpp. A generator varies the sound: level, tilt of the spectrum, a band taken away.
    """
    size = len(chosen)
    mels = data.mels[chosen].astype(np.float32)
    more = 2 * num_positions - COLUMNS
    if more > 0:
        silence = np.broadcast_to(data.silence[chosen, None, None], (size, more, N_MELS))
        mels = np.concatenate((mels, silence), axis=1)
    counts = np.minimum(data.positions[chosen], num_positions)
    valid = np.arange(num_positions) < counts[:, None]
    earlier = _earlier(valid)
    if rng is not None:
        mels = _varied(mels, rng)
        earlier[rng.random(size) < 0.5] = -1
    mels = mels * np.repeat(valid, 2, axis=1)[..., None]
    rest = (data.tokens, data.targets, data.spans, data.spoken, data.places)
    return mels.astype(np.float32), valid, earlier, *(each[chosen] for each in rest)


def _earlier(valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """For each row and position the latest row before that reached it; -1 for none."""
    rows = np.where(valid, np.arange(len(valid))[:, None], -1)
    latest = np.maximum.accumulate(rows, axis=0)
    return np.concatenate((np.full_like(latest[:1], -1), latest[:-1])).astype(np.int32)


def _varied(mels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    size = len(mels)
    level = rng.uniform(-0.1, 0.1, (size, 1, 1))  # 4 dB up or down
    tilt = rng.uniform(-0.12, 0.12, (size, 1, 1)) * np.linspace(-1.0, 1.0, N_MELS)
    mels = (mels + level + tilt).astype(np.float32)
    for row in np.flatnonzero(rng.random(size) < 0.5):
        width = int(rng.integers(1, 11))
        first = int(rng.integers(0, N_MELS - width))
        mels[row, :, first : first + width] = mels[row].mean()
    return mels
