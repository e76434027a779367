"""espeak-ng: words end where the audio says so, positions hold, the library survives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import ModelIncompatible, ModelNotFound, SynthesisError
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.protocol import SpeechChunk

SAME_FRAMES = 660
"""30 ms: the same text differs by up to a period of the voice (206 frames) in each clause."""


def speak(text: str, voice: EspeakVoice | None = None) -> list[SpeechChunk]:
    return list((voice or EspeakVoice()).synthesize(text, CancelToken()))


def words(text: str) -> list[str]:
    """What lies between one mark and the next."""
    found: list[str] = []
    for chunk in speak(text):
        assert chunk.words is not None
        start = chunk.start_char
        for mark in chunk.words:
            found.append(text[start : mark.end_char].strip())
            start = mark.end_char
    return found


def ends_of_sound(samples: Samples, gap_frames: int) -> list[int]:
    """One past the last loud frame before each gap of `gap_frames`, found without espeak."""
    loud = np.flatnonzero(np.abs(samples) > 0.002)
    last_of_each = np.append(np.diff(loud) > gap_frames, True)
    return [int(frame) + 1 for frame in loud[last_of_each]]


def test_words_before_pauses_end_where_the_sound_ends() -> None:
    (chunk,) = speak("One, two, three, four, nine.")
    assert chunk.words is not None
    ends = ends_of_sound(chunk.samples, gap_frames=2200)  # 100 ms
    assert [mark.end_frames for mark in chunk.words] == pytest.approx(ends, abs=110)


def test_words_in_flowing_speech_end_at_the_closure_of_the_next() -> None:
    """t, p and k begin with a closed mouth: each of these words is followed by true silence."""
    text = "Lay tea pie toe key paw"
    (chunk,) = speak(text)
    assert chunk.words is not None
    assert len(chunk.words) == 6
    for mark in chunk.words[:-1]:
        before = chunk.samples[mark.end_frames - 220 : mark.end_frames]
        after = chunk.samples[mark.end_frames : mark.end_frames + 180]
        assert np.abs(before).max() > 0.01
        assert np.abs(after).max() < 0.002
    (end,) = ends_of_sound(chunk.samples, gap_frames=9999)
    # What was said before moves the noise that the voice ends in: one frame off was seen.
    assert chunk.words[-1].end_frames == pytest.approx(end, abs=110)


def test_marks_scale_with_the_speed() -> None:
    text = "The quick brown fox jumps over the lazy dog"
    (slow,) = speak(text, EspeakVoice(words_per_minute=100))
    (fast,) = speak(text, EspeakVoice(words_per_minute=200))
    assert slow.words is not None
    assert fast.words is not None
    for one, other in zip(slow.words, fast.words, strict=True):
        assert one.end_char == other.end_char
        # Fast speech shortens pauses and vowels unequally.
        assert 1.5 < one.end_frames / other.end_frames < 3.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café déjà vu 😀 naïve", ["Café", "déjà vu", "😀", "naïve"]),
        ("👩\u200d👩\u200d👧 résumé", ["👩\u200d👩\u200d👧", "résumé"]),
        ("of the opinion that you can't", ["of the", "opinion", "that", "you", "can't"]),
        ("in 1999, well-known (so)", ["in", "1999,", "well-known", "(so)"]),
        ('He said. "Go on."', ["He", "said.", '"Go', 'on."']),
        ("left — right", ["left", "— right"]),
        ("mp3 camelCase 3rd now", ["mp3", "camelCase", "3rd", "now"]),
        ("a\x00b \x01c", ["a\x00", "b", "\x01c"]),
        ("now 👍", ["now", "👍"]),
    ],
)
def test_marks_hold_the_words_of_the_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_chunks_are_sentences_and_pause_between_them() -> None:
    text = "Hello there. How are you? Fine"
    chunks = speak(text)
    spans = [text[chunk.start_char : chunk.end_char] for chunk in chunks]
    assert spans == ["Hello there. ", "How are you? ", "Fine"]
    for chunk in chunks[:-1]:
        assert not chunk.samples[-2200:].any()
    # What is said alone ends with a pause too, or one call would run into the next.
    (alone,) = speak("Hello there.")
    assert not alone.samples[-4000:].any()


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("en-us", "gmw/en-US"),
        ("en_GB", "gmw/en"),
        ("fr-fr", "roa/fr"),
        ("de", "gmw/de"),
        ("German", "gmw/de"),
        ("gmw/en-US", "gmw/en-US"),
    ],
)
def test_a_voice_answers_to_tag_name_and_identifier(name: str, identifier: str) -> None:
    one, other = (speak("Guten Tag, hello", EspeakVoice(which)) for which in (name, identifier))
    assert len(one[0].samples) == pytest.approx(len(other[0].samples), abs=SAME_FRAMES)
    assert identifier in {voice.identifier for voice in EspeakVoice.voices()}


def test_an_unknown_voice_is_named_with_a_way_out() -> None:
    with pytest.raises(ModelNotFound, match="voice-not-found") as caught:
        EspeakVoice("eng-gb")
    assert "en-gb" in caught.value.hint
    with pytest.raises(ModelNotFound):
        EspeakVoice("../../etc/passwd")


def test_every_voice_speaks_or_is_refused() -> None:
    # Listed by espeakng-loader 0.2.4, which has no dictionaries for them.
    silent = {"gmq/fo", "trk/kaa", "art/xex"}
    for identifier in sorted({voice.identifier for voice in EspeakVoice.voices()} - silent):
        assert speak("1 2 hello", EspeakVoice(identifier)), identifier
    for identifier in silent:
        with pytest.raises(ModelIncompatible, match="voice-unusable"):
            EspeakVoice(identifier)


class CancelledInside(CancelToken):
    """Turns itself on at the n-th look of the callback, so in the middle of the native call."""

    def __init__(self, looks: int, error: Exception | None = None) -> None:
        super().__init__()
        self._looks, self._error = looks, error
        self.asked = 0

    @property
    def is_cancelled(self) -> bool:
        self.asked += 1
        if self.asked == self._looks:
            if self._error is not None:
                raise self._error
            self.cancel("inside")
        return super().is_cancelled


def test_cancel_inside_the_native_call_stops_it() -> None:
    voice = EspeakVoice()
    token = CancelledInside(3)
    with pytest.raises(TurnCancelled):
        list(voice.synthesize("This is a long sentence. " * 200, token))
    assert token.asked < 10  # 200 sentences would be some 5000 looks
    before, after = speak("Hello there.", EspeakVoice()), speak("Hello there.", voice)
    assert len(before[0].samples) == pytest.approx(len(after[0].samples), abs=SAME_FRAMES)


def test_an_error_inside_the_callback_comes_out_as_ours() -> None:
    voice = EspeakVoice()
    with pytest.raises(SynthesisError, match="espeak-failed") as caught:
        list(voice.synthesize("Hello there.", CancelledInside(2, RuntimeError("inside"))))
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert speak("Hello there.", voice)


def test_voices_in_several_threads_keep_their_own_language_and_speed() -> None:
    voices = [
        EspeakVoice("en-us"),
        EspeakVoice("fr-fr", pitch=80),
        EspeakVoice("fr-fr", words_per_minute=300),
    ]
    text = "Hello there, my friend."
    alone = [len(speak(text, voice)[0].samples) for voice in voices]
    assert np.diff(sorted(alone)).min() > 2 * SAME_FRAMES
    together: list[list[int]] = [[] for _ in voices]

    def work(which: int) -> None:
        together[which] = [len(speak(text, voices[which])[0].samples) for _ in range(40)]

    threads = [threading.Thread(target=work, args=(which,)) for which in range(len(voices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, lengths in zip(alone, together, strict=True):
        assert lengths == pytest.approx([expected] * 40, abs=SAME_FRAMES)


@pytest.mark.parametrize(
    "bad", [{"words_per_minute": 79}, {"words_per_minute": 451}, {"pitch": 101}]
)
def test_out_of_range_is_a_mistake_of_the_caller(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="is not in"):
        EspeakVoice("en-us", **bad)
