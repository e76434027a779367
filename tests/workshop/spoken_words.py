"""The speech that the tiny Whisper is made for: one to four of twenty words, in espeak-ng's voices.

Everything is drawn from a seeded generator, so the same seed gives the same utterances; the sound
may differ by one period of the voice in a clause (see `EspeakVoice.synthesize`), and one that is at
the limit of the length may be there or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice

# fmt: off
WORDS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "yes", "no", "stop", "go", "on", "off", "left", "right", "up", "down",
)
# fmt: on
MOST_WORDS: Final = 4

LONGEST_S: Final = 2.5
"""Of one sound: `audio_ctx` is then 253 at most, and whisper.cpp works in steps of 256."""

ACCENTS: Final = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VARIANTS: Final = (
    "",
    *("+m1", "+m2", "+m4", "+m5", "+m6", "+m8", "+f1", "+f2", "+f4"),
    *("+linda", "+steph", "+john", "+adam", "+david"),
)
TRAINING_VOICES: Final = tuple(accent + variant for accent in ACCENTS for variant in VARIANTS)

HELD_OUT_VARIANTS: Final = ("+m3", "+m7", "+f3", "+f5")
HELD_OUT_VOICES: Final = tuple(
    accent + variant for accent in ACCENTS for variant in HELD_OUT_VARIANTS
)
"""Voices that training never hears, in accents that it does hear."""

HELD_OUT_ACCENT: Final = tuple(
    f"en-gb-scotland{variant}" for variant in ("", "+m1", "+f2", *HELD_OUT_VARIANTS)
)
"""An accent that training never hears, partly in voices that it does hear."""

_LOUDEST_NOISE_DB: Final = 20.0
_SOFTEST_NOISE_DB: Final = 45.0
"""Speech over noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is said, and how."""

    words: tuple[str, ...]
    voice: str
    words_per_minute: int = 165
    pitch: int = 50
    separator: str = " "
    """A space, or a comma and a space, which makes pauses."""

    @property
    def text(self) -> str:
        """What a recogniser should write."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """An utterance that can be heard."""

    utterance: Utterance
    audio: Samples
    """float32, (frames,), 16 kHz, at most `LONGEST_S`."""
    begins_s: float
    """When the first word begins."""
    word_ends_s: tuple[float, ...]
    """When each word has been heard."""


def clips(voices: tuple[str, ...], seed: int) -> Iterator[Clip]:
    """Clips without end; what would be too long, or has no word times, is left out."""
    rng = np.random.default_rng(seed)
    while True:
        utterance = _drawn(voices, rng)
        # A generator of its own: how much noise is drawn depends on the length of the sound.
        room = np.random.default_rng(int(rng.integers(1 << 32)))
        voiced = spoken(utterance)
        if voiced is not None:
            yield in_a_room(voiced, room)


def spoken(utterance: Utterance) -> Clip | None:
    """The bare voice; None where it is too long or espeak-ng did not time every word."""
    voice = EspeakVoice(
        utterance.voice, words_per_minute=utterance.words_per_minute, pitch=utterance.pitch
    )
    text = utterance.separator.join(utterance.words)
    pieces: list[Samples] = []
    ends_s: list[float] = []
    frames = 0
    for chunk in voice.synthesize(text, CancelToken()):
        marks = chunk.words or ()
        ends_s += [(frames + mark.end_frames) / voice.sample_rate for mark in marks]
        pieces.append(chunk.samples)
        frames += len(chunk.samples)
    audio = resample(np.concatenate(pieces), voice.sample_rate, SAMPLE_RATE)
    if len(ends_s) != len(utterance.words) or len(audio) > (LONGEST_S - 0.1) * SAMPLE_RATE:
        return None
    return Clip(utterance=utterance, audio=audio, begins_s=0.0, word_ends_s=tuple(ends_s))


def in_a_room(clip: Clip, rng: np.random.Generator) -> Clip:
    """The same with silence around it, at another level, and mostly with a little noise."""
    room = int(LONGEST_S * SAMPLE_RATE) - len(clip.audio)
    before = min(int(rng.uniform(0.03, 0.35) * SAMPLE_RATE), room // 2)
    after = min(int(rng.uniform(0.03, 0.4) * SAMPLE_RATE), room // 2)
    level = 10 ** (rng.uniform(-20.0, -2.0) / 20)
    audio = np.pad(clip.audio, (before, after)) * (level / np.abs(clip.audio).max())
    if rng.random() < 0.8:
        speech_rms = float(np.sqrt(np.mean(np.square(audio[before : len(audio) - after]))))
        under_db = rng.uniform(_LOUDEST_NOISE_DB, _SOFTEST_NOISE_DB)
        audio = audio + _noise(len(audio), rng) * (speech_rms * 10 ** (-under_db / 20))
    begins_s = before / SAMPLE_RATE
    return Clip(
        utterance=clip.utterance,
        audio=np.clip(audio, -1.0, 1.0).astype(np.float32),
        begins_s=begins_s,
        word_ends_s=tuple(begins_s + each for each in clip.word_ends_s),
    )


def _drawn(voices: tuple[str, ...], rng: np.random.Generator) -> Utterance:
    count = int(rng.integers(1, MOST_WORDS + 1))
    return Utterance(
        words=tuple(WORDS[at] for at in rng.integers(0, len(WORDS), count)),
        voice=voices[int(rng.integers(len(voices)))],
        words_per_minute=int(rng.integers(130, 221)),
        pitch=int(rng.integers(25, 81)),
        separator=", " if rng.random() < 0.3 else " ",
    )


def _noise(frames: int, rng: np.random.Generator) -> Samples:
    """White or brownish noise of RMS 1."""
    noise = rng.standard_normal(frames)
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(noise)
        spectrum /= np.maximum(np.arange(len(spectrum)) / len(spectrum), 0.01)
        noise = np.fft.irfft(spectrum, frames)
    return np.asarray(noise / np.sqrt(np.mean(np.square(noise))), dtype=np.float32)
