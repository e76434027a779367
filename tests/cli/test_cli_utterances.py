"""Where `transcribe` splits a file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.cli.transcribe import utterances
from edge_assistant.config import Config

RATE = 16_000


class Loudness:
    """A detector that takes every sound for speech."""

    window_frames = 512

    def speech_prob(self, window: Samples) -> float:
        return 1.0 if np.abs(window).max() > 0.01 else 0.0

    def reset(self) -> None:
        """It remembers nothing."""


def recording(*pieces: tuple[float, bool]) -> Samples:
    return np.concatenate(
        [np.full(int(length_s * RATE), 0.1 * sounds, np.float32) for length_s, sounds in pieces]
    )


def split(*pieces: tuple[float, bool], **turns: int) -> list[tuple[float, float]]:
    config = Config().with_overrides({f"turns.{key}": value for key, value in turns.items()})
    spans = utterances(recording(*pieces), Loudness(), config)
    return [(round(start / RATE, 1), round(end / RATE, 1)) for start, end in spans]


def test_sentences_are_split_at_long_pauses_only() -> None:
    pieces = ((1.0, False), (1.0, True), (0.3, False), (1.0, True), (1.5, False), (1.0, True))
    assert split(*pieces) == [(0.7, 3.6), (4.5, 5.8)]


def test_speech_at_both_ends_is_whole() -> None:
    assert split((1.0, True)) == [(0.0, 1.0)]
    assert split((0.05, True), (2.0, False)) == []
    assert split((2.0, False)) == []
    assert split((0.0, False)) == []


def test_a_monologue_is_cut_without_a_gap_or_an_overlap() -> None:
    spans = split((9.0, True), max_utterance_ms=4000)
    assert len(spans) == 3
    assert spans[0][0] == 0.0
    assert spans[-1][1] == 9.0
    for before, after in pairwise(spans):
        assert after[0] == before[1]
