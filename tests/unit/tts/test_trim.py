"""Where speech begins, and the pause that follows it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_assistant.tts.trim import (
    CLAUSE_PAUSE_MS,
    SENTENCE_PAUSE_MS,
    audible_span,
    leading_cut,
    pause_after_ms,
    with_pause,
)


def burst(silent: int, loud: int, after: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    parts = (np.zeros(silent), np.full(loud, 0.5), np.full(after, 0.0005))
    return np.concatenate(parts).astype(np.float32)


def test_span_of_speech_and_of_silence() -> None:
    assert audible_span(burst(100, 50, 30)) == (100, 150)
    assert audible_span(burst(10, 0, 10)) is None
    assert audible_span(burst(0, 0, 0)) is None


@pytest.mark.parametrize(
    ("silent", "cut", "kept"), [(200, 160, 40), (40, 0, 40), (7, 0, 7), (0, 0, 0)]
)
def test_five_milliseconds_stay_in_front(silent: int, cut: int, kept: int) -> None:
    assert leading_cut(burst(silent, 50, 0), 8000) == (cut, kept)


@pytest.mark.parametrize(
    ("text", "pause_ms"),
    [
        ("Done.", SENTENCE_PAUSE_MS),
        ('He said "go!" ', SENTENCE_PAUSE_MS),
        ("Well,", CLAUSE_PAUSE_MS),
        ("So:", CLAUSE_PAUSE_MS),
        ("and then", 0),
        ("你好。", SENTENCE_PAUSE_MS),
        ("", 0),
    ],
)
def test_the_pause_follows_the_last_mark(text: str, pause_ms: int) -> None:
    assert pause_after_ms(text) == pause_ms
    paused = with_pause(burst(0, 80, 500), text, 8000)
    assert len(paused) == 80 + pause_ms * 8
    assert not paused[80:].any()
