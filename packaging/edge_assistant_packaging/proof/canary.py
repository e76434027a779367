"""The canary: speech that nobody else has ever spoken, with a signal under it, made of a seed."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from edge_assistant.tts.protocol import Voice

CODE_WORDS: Final = (
    *("pineapple", "umbrella", "elephant", "trumpet", "tomato", "penguin", "chocolate", "dinosaur"),
    *("kangaroo", "banana", "volcano", "potato", "crocodile", "butterfly", "saxophone", "cucumber"),
)
"""Words that the smallest recogniser gets right and that no file of ours has to hold."""

WORDS_SPOKEN: Final = 3
CHIRP_DB: Final = -24.0
"""Of the chirps against the peak of the speech: below what a recogniser minds."""
CHIRP_S: Final = 0.25
CHIRP_HZ: Final = (400.0, 3400.0)
"""Also within what 8 kHz can hold."""
_LEAD: Final[Samples] = np.zeros(SAMPLE_RATE // 2, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What is played, and by what it is known again."""

    seed: int
    text: str
    words: tuple[str, ...]
    sound: Samples
    """Float32, (frames,), 16000 Hz; half a second of silence, then speech over chirps."""

    @property
    def signal(self) -> Samples:
        """Without the silence: what is searched for."""
        return self.sound[len(_LEAD) :]


QUESTION: Final = "What is the capital of France?"
"""For a proof that compares turns: short, and heard alike however busy the machine is."""


def question() -> Samples:
    """`QUESTION`, spoken. Float32, (frames,), 16000 Hz.

    Raises:
        ModelNotFound: no espeak-ng on this machine, neither as a package nor as a program.
    """
    return np.concatenate([_LEAD, _spoken(QUESTION, "en-us", words_per_minute=165, pitch=50)])


def make(seed: int | None = None) -> Canary:
    """Make one, of a seed that nobody has had if none is given.

    A voice other than the assistant's own, so that a reply is not taken for it.

    Raises:
        ModelNotFound: no espeak-ng on this machine, neither as a package nor as a program.
    """
    seed = secrets.randbits(32) if seed is None else seed
    chance = random.Random(seed)
    words = tuple(chance.sample(CODE_WORDS, WORDS_SPOKEN))
    text = f"What is a {words[0]}, and a {words[1]}, and a {words[2]}?"
    speech = _spoken(text, "en-us+f3", words_per_minute=140, pitch=chance.randint(50, 60))
    peak = float(np.max(np.abs(speech)))
    chirps = _chirps(len(speech), chance) * np.float32(peak * 10 ** (CHIRP_DB / 20))
    sound = (speech + chirps) * np.float32(0.6 / peak)
    return Canary(seed=seed, text=text, words=words, sound=np.concatenate([_LEAD, sound]))


def _spoken(text: str, voice: str, *, words_per_minute: int, pitch: int) -> Samples:
    from edge_assistant.audio.resample import resample
    from edge_assistant.cancel import CancelToken
    from edge_assistant.tts.espeak import EspeakVoice
    from edge_assistant.tts.espeak_program import EspeakProgramVoice

    # Where the package is left out nothing of espeak-ng is to be loaded: its program speaks then.
    has_library = find_spec("espeakng_loader") is not None
    kind = EspeakVoice if has_library else EspeakProgramVoice
    speaker: Voice = kind(voice, words_per_minute=words_per_minute, pitch=pitch)
    chunks = [chunk.samples for chunk in speaker.synthesize(text, CancelToken())]
    return resample(np.concatenate(chunks), speaker.sample_rate, SAMPLE_RATE)


def _chirps(frames: int, chance: random.Random) -> Samples:
    """One sweep after the other, between frequencies that the seed chooses; amplitude 1."""
    size = round(CHIRP_S * SAMPLE_RATE)
    times_s = np.arange(size) / SAMPLE_RATE
    window = np.hanning(size)
    pieces = []
    for _ in range(-(-frames // size)):
        begin, end = chance.uniform(*CHIRP_HZ), chance.uniform(*CHIRP_HZ)
        phase = 2 * np.pi * (begin * times_s + (end - begin) * times_s**2 / (2 * CHIRP_S))
        pieces.append(window * np.sin(phase))
    return np.concatenate(pieces)[:frames].astype(np.float32)
