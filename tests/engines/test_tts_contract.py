"""What every voice owes its caller, whichever engine is behind it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.cache import CachedVoice
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.espeak_program import EspeakProgramVoice
from edge_assistant.tts.fallback import FallbackVoice
from edge_assistant.tts.piper import PiperTts
from edge_assistant.tts.protocol import SpeechChunk, Voice
from tests.engines.piper_file import write_piper_voice
from tests.engines.piper_vits import write_vits_voice
from tests.fakes.engines import FakeVoice

TEXTS = (
    "Hello there.",
    "Hello there, my friend. It is ten past three, isn't it?  And more",
    'Café déjà vu 😀 naïve 👩\u200d👩\u200d👧 résumé done. Über (alles) "gut"!',
    "  e.g. U.S.A. — well-known; a-b/c & co <b>x</b>\n\nnew line",
)
UNSPEAKABLE = ("", " ", "\n", "...", "?!", "—", "\x00", "\u200d")
ODD = (
    "😀",
    "\ud800 lone",
    "a\x00b \x01c",
    "[[hello]]",
    "x" * 300,
    "你好世界。こんにちは",
    "{}<>|\\",
    "ß",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A primary that always fails, so that the backup's path is under contract."""

    sample_rate: int
    gives_word_times: bool = False

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        token.raise_if_cancelled()
        raise SynthesisError("broken", "always")
        yield

    def close(self) -> None:
        pass


def _tiny_piper(folder: Path) -> Voice:
    return PiperTts(*write_piper_voice(folder))


# A new voice is one more line here.
VOICES: dict[str, Callable[[Path], Voice]] = {
    "espeak": lambda folder: EspeakVoice(),
    "espeak-de": lambda folder: EspeakVoice("de", words_per_minute=300),
    "espeak-program": lambda folder: EspeakProgramVoice(),
    "piper": _tiny_piper,
    "piper-in-slices": lambda folder: PiperTts(*write_vits_voice(folder)),
    "cached-espeak": lambda folder: CachedVoice(EspeakVoice(), 10_000_000),
    "cached-piper": lambda folder: CachedVoice(_tiny_piper(folder), 1000),
    "fallback-on-piper": lambda folder: FallbackVoice(
        _tiny_piper(folder), EspeakVoice(), lambda error: None
    ),
    "fallback-on-espeak": lambda folder: FallbackVoice(
        Broken(sample_rate=16_000), EspeakVoice(), lambda error: None
    ),
}
FAKES: dict[str, Callable[[Path], Voice]] = {"fake": lambda folder: FakeVoice()}
"""What the pipeline's tests take for a voice keeps the same promises, as far as it has states."""


@pytest.fixture(params=VOICES | FAKES)
def voice(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Voice]:
    _need(request.param)
    made = (VOICES | FAKES)[request.param](tmp_path)
    yield made
    made.close()


def _need(name: str) -> None:
    if name == "espeak-program" and shutil.which("espeak-ng") is None:
        pytest.skip("this machine has no program espeak-ng")


def speak(voice: Voice, text: str) -> list[SpeechChunk]:
    return list(voice.synthesize(text, CancelToken()))


@pytest.mark.parametrize("text", TEXTS)
def test_chunks_cover_the_text_in_order_with_sound_audio(voice: Voice, text: str) -> None:
    chunks = speak(voice, text)
    assert chunks
    assert chunks[0].start_char == 0
    assert chunks[-1].end_char == len(text)
    for before, after in itertools.pairwise(chunks):
        assert before.end_char == after.start_char
    for chunk in chunks:
        assert chunk.start_char <= chunk.end_char  # equal where no word ends in it
        assert chunk.samples.dtype == np.float32
        assert chunk.samples.ndim == 1
        assert np.isfinite(chunk.samples).all()
        assert 0.05 < np.abs(chunk.samples).max() <= 1.0


@pytest.mark.parametrize("text", TEXTS)
def test_little_silence_in_front_and_its_length_is_told(voice: Voice, text: str) -> None:
    for chunk in speak(voice, text):
        lead = chunk.leading_silence_frames
        assert 0 <= lead <= frames_of_ms(10, voice.sample_rate)
        loud = np.flatnonzero(np.abs(chunk.samples) > 0.01)
        assert lead - frames_of_ms(1, voice.sample_rate) <= loud[0]
        assert loud[0] <= lead + frames_of_ms(20, voice.sample_rate)


@pytest.mark.parametrize("text", TEXTS)
def test_word_marks_rise_within_their_chunk(voice: Voice, text: str) -> None:
    for chunk in speak(voice, text):
        if chunk.words is None:
            assert not voice.gives_word_times
            continue
        assert chunk.words
        chars = [chunk.start_char, *(mark.end_char for mark in chunk.words)]
        frames = [0, *(mark.end_frames for mark in chunk.words)]
        assert all(before < after for before, after in itertools.pairwise(chars))
        assert all(before < after for before, after in itertools.pairwise(frames))
        assert chars[-1] <= chunk.end_char
        assert frames[-1] <= len(chunk.samples)


@pytest.mark.parametrize("text", UNSPEAKABLE)
def test_nothing_to_say_gives_nothing(voice: Voice, text: str) -> None:
    assert speak(voice, text) == []


@pytest.mark.parametrize("text", ODD)
def test_odd_text_is_spoken_or_skipped(voice: Voice, text: str) -> None:
    for chunk in speak(voice, text):
        assert len(chunk.samples)
        assert 0 <= chunk.start_char <= chunk.end_char <= len(text)


def test_the_same_text_takes_the_same_time(voice: Voice) -> None:
    first, second = (
        [len(chunk.samples) for chunk in speak(voice, "One moment, please. Thank you.")]
        for _ in range(2)
    )
    # espeak-ng carries its wave phase over, and a clause may last a period of the voice more.
    assert first == pytest.approx(second, abs=frames_of_ms(30, voice.sample_rate))


def test_a_cancelled_token_speaks_nothing(voice: Voice) -> None:
    token = CancelToken()
    token.cancel("test")
    with pytest.raises(TurnCancelled):
        next(voice.synthesize("Hello there.", token))
    assert speak(voice, "Hello there.")


def test_cancel_between_chunks_and_the_voice_speaks_again(voice: Voice) -> None:
    text = "Hello there. This is the second sentence. And the third."
    if len(speak(voice, text)) == 1:
        pytest.skip("this voice gives a text in one chunk")
    for _ in range(2):  # a cache may be warm the second time
        token = CancelToken()
        stream = voice.synthesize(text, token)
        next(stream)
        token.cancel("test")
        with pytest.raises(TurnCancelled):
            list(stream)
        assert speak(voice, text)[-1].end_char == len(text)


def test_an_unfinished_stream_blocks_nobody(voice: Voice) -> None:
    stream = voice.synthesize("Hello there. This is the second sentence.", CancelToken())
    next(stream)
    assert speak(EspeakVoice(), "Hello.")
    assert speak(voice, "Hello there.")


@pytest.mark.parametrize("name", VOICES)
def test_closing_twice_is_fine_and_closed_is_an_error(name: str, tmp_path: Path) -> None:
    _need(name)
    voice = VOICES[name](tmp_path)
    voice.close()
    voice.close()
    with pytest.raises(SynthesisError):
        speak(voice, "Hello there.")
