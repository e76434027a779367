"""A failing voice costs nobody the rest of the sentence."""

from __future__ import annotations

import numpy as np
import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.fallback import FallbackVoice, at_rate
from tests.unit.tts.scripted_voice import ScriptedVoice


def test_a_sound_primary_is_all_that_speaks() -> None:
    primary, backup = ScriptedVoice(), ScriptedVoice()
    told: list[SynthesisError] = []
    voice = FallbackVoice(primary, backup, told.append)
    assert len(list(voice.synthesize("one two", CancelToken()))) == 2
    assert (backup.spoken, told) == ([], [])


def test_the_backup_goes_on_where_the_primary_failed_at_the_primarys_rate() -> None:
    primary = ScriptedVoice(sample_rate=16_000, fails_at_chunk=1)
    backup = ScriptedVoice(sample_rate=8_000)
    told: list[SynthesisError] = []
    voice = FallbackVoice(primary, backup, told.append)
    text = "one two three"
    chunks = list(voice.synthesize(text, CancelToken()))
    assert [text[c.start_char : c.end_char] for c in chunks] == ["one", " two", " three"]
    assert backup.spoken == [" two three"]
    assert len(told) == 1
    assert voice.sample_rate == 16_000
    for chunk in chunks:
        assert len(chunk.samples) == 1600
        assert chunk.words is not None
        assert chunk.words[0].end_char == chunk.end_char
    second = chunks[1]
    assert second.words is not None
    assert second.words[0].end_frames == 2 * (800 - 80)
    assert second.leading_silence_frames == 16
    spectrum = np.abs(np.fft.rfft(second.samples))
    assert np.argmax(spectrum) * 16_000 / 1600 == pytest.approx(400, abs=10)


def test_the_rest_of_the_turn_is_the_backups_and_the_next_turn_the_primarys() -> None:
    primary, backup = ScriptedVoice(fails_at_chunk=0), ScriptedVoice()
    told: list[SynthesisError] = []
    voice = FallbackVoice(primary, backup, told.append)
    turn = CancelToken()
    list(voice.synthesize("one", turn))
    list(voice.synthesize("two", turn))
    assert (primary.spoken, backup.spoken, len(told)) == (["one"], ["one", "two"], 1)
    list(voice.synthesize("three", CancelToken()))
    assert (primary.spoken, len(told)) == (["one", "three"], 2)


def test_a_cancel_is_no_failure() -> None:
    backup = ScriptedVoice()
    voice = FallbackVoice(ScriptedVoice(), backup, lambda error: pytest.fail("told"))
    token = CancelToken()
    stream = voice.synthesize("one two", token)
    next(stream)
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        next(stream)
    assert backup.spoken == []


def test_if_both_fail_the_error_comes_out() -> None:
    voice = FallbackVoice(
        ScriptedVoice(fails_at_chunk=0), ScriptedVoice(fails_at_chunk=0), lambda error: None
    )
    with pytest.raises(SynthesisError):
        list(voice.synthesize("one", CancelToken()))


def test_closing_closes_both() -> None:
    primary, backup = ScriptedVoice(), ScriptedVoice()
    FallbackVoice(primary, backup, lambda error: None).close()
    assert (primary.closed, backup.closed) == (1, 1)


def test_full_scale_does_not_overshoot_when_resampled() -> None:
    (chunk,) = ScriptedVoice().synthesize("one", CancelToken())
    chunk.samples[:] = np.sign(chunk.samples)
    louder = at_rate(chunk, 8_000, 22_050)
    assert np.abs(louder.samples).max() <= 1.0
    assert louder.samples.dtype == np.float32
