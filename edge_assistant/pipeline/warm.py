"""Lets every engine work once before anybody waits for it.

What the first call pays for and the second does not: pages of the model that are not in memory yet,
buffers that grow, kernels chosen for the shapes that come, a library that is loaded when it is
first used, and the system prompt. First and second call on two cores of an EPYC, starter pack:
recogniser 20 and 14 ms, turn detector 113 and 100, voice 3.6 and 1.8, system prompt 150 and 0.5.

Nothing of it is heard, and nothing stays behind but the system prompt in the model's KV cache.
"""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.llm.history import History
from edge_assistant.llm.protocol import LanguageModel, Message
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.normalise import speakable
from edge_assistant.tts.protocol import Voice
from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.vad.protocol import VoiceActivityDetector

WORD: Final = "Hello."
NUM_TOKENS: Final = 2
"""The first token comes out of the prompt, the second is the first that is decoded by itself."""

NOISE_S: Final = 1.0
_SYLLABLES_PER_S: Final = 4.0
_RMS: Final = 0.1
"""-20 dBFS: far above what a recogniser takes for silence and does not look at."""


def speech_like_noise() -> Samples:
    """White noise that swells four times a second as speech does; the same every time.

    Returns:
        Float32 mono, (16000,), 16000 Hz.
    """
    num_frames = int(NOISE_S * SAMPLE_RATE)
    time_s = np.arange(num_frames) / SAMPLE_RATE
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * _SYLLABLES_PER_S * time_s)
    noise = np.random.default_rng(0).standard_normal(num_frames) * swell
    return np.clip(noise * (_RMS / np.std(noise)), -1.0, 1.0).astype(np.float32)


def warm_vad(vad: VoiceActivityDetector, token: CancelToken) -> None:
    """One window, then as new."""
    token.raise_if_cancelled()
    vad.speech_prob(speech_like_noise()[: vad.window_frames])
    vad.reset()


def warm_recognizer(recognizer: Recognizer, token: CancelToken) -> None:
    """A second of noise. Raises as `Recognizer.transcribe`."""
    recognizer.transcribe(speech_like_noise(), token)


def warm_turn_detector(detector: TurnDetector, token: CancelToken) -> None:
    """A second of noise. Raises as `TurnDetector.end_probability`."""
    detector.end_probability(speech_like_noise(), token)


def warm_voice(voice: Voice, language: str, token: CancelToken) -> None:
    """A word on its way to the loudspeaker, up to its door. Raises as `Voice.synthesize`."""
    for chunk in voice.synthesize(speakable(WORD, language), token):
        resample(sanitize(chunk.samples), voice.sample_rate, SAMPLE_RATE)


def warm_llm(llm: LanguageModel, system_prompt: str, token: CancelToken) -> None:
    """The system prompt, the beginning of a reply, and back to where the user's words begin.

    Raises as `LanguageModel.prefill`. Where it is cancelled, what was evaluated of the prompt
    stays.
    """
    messages = History().fit(system_prompt, None, count=llm.count_tokens, budget=llm.prompt_budget)
    llm.prefill(messages, token)  # first, so that a long prompt is under way whatever comes
    reply = llm.generate([*messages, Message(role="user", content=WORD)], token)
    with closing(reply):  # type: ignore[type-var]
        for _ in islice(reply, NUM_TOKENS):
            pass
    llm.prefill(messages, token)
