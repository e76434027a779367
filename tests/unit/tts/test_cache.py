"""Phrases are kept while they fit, and only whole ones."""

from __future__ import annotations

import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.cache import MOST_CHARS, CachedVoice
from tests.unit.tts.scripted_voice import ScriptedVoice

WORD_BYTES = 800 * 4


def speak(voice: CachedVoice, text: str) -> int:
    return len(list(voice.synthesize(text, CancelToken())))


def test_the_second_time_is_the_same_audio_without_the_voice() -> None:
    inner = ScriptedVoice()
    voice = CachedVoice(inner, 100_000)
    first, second = (list(voice.synthesize("one moment", CancelToken())) for _ in range(2))
    assert first == second
    assert inner.spoken == ["one moment"]
    assert voice.size_bytes == 2 * WORD_BYTES


def test_nobody_can_change_what_is_kept() -> None:
    voice = CachedVoice(ScriptedVoice(), 100_000)
    for _ in range(2):
        (chunk,) = voice.synthesize("one", CancelToken())
        with pytest.raises(ValueError, match="read-only"):
            chunk.samples[0] = 1.0


def test_least_recently_used_leaves_first_and_the_bound_holds() -> None:
    inner = ScriptedVoice()
    voice = CachedVoice(inner, 2 * WORD_BYTES)
    for text in ("a", "b", "a", "c"):
        speak(voice, text)
    assert voice.size_bytes == 2 * WORD_BYTES
    inner.spoken.clear()
    for text in ("a", "c", "b"):
        speak(voice, text)
    assert inner.spoken == ["b"]


@pytest.mark.parametrize("text", ["a b c", "x" * (MOST_CHARS + 1)])
def test_what_is_too_large_or_too_long_is_not_kept(text: str) -> None:
    inner = ScriptedVoice()
    voice = CachedVoice(inner, 2 * WORD_BYTES)
    speak(voice, text)
    speak(voice, text)
    assert inner.spoken == [text, text]
    assert voice.size_bytes == 0


def test_half_a_phrase_is_not_kept() -> None:
    inner = ScriptedVoice()
    voice = CachedVoice(inner, 100_000)
    token = CancelToken()
    stream = voice.synthesize("one two", token)
    next(stream)
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        next(stream)
    inner.fails_at_chunk = 1
    with pytest.raises(SynthesisError):
        speak(voice, "one two")
    inner.fails_at_chunk = None
    assert speak(voice, "one two") == 2
    assert len(inner.spoken) == 3


def test_a_kept_phrase_stops_too() -> None:
    voice = CachedVoice(ScriptedVoice(), 100_000)
    speak(voice, "one two")
    token = CancelToken()
    stream = voice.synthesize("one two", token)
    next(stream)
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        next(stream)
