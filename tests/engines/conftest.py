"""Fixtures for tests that run the engines: files of the starter pack and a spoken question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelNotFound
from edge_assistant.store import Store
from edge_assistant.tts.espeak import EspeakVoice

StarterFile = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def starter_file() -> StarterFile:
    """Path of a verified file of the store, or a skip that says what to type."""
    store = Store.default()

    def find(model_id: str, name: str) -> Path:
        try:
            return store.open(model_id).paths[name]
        except ModelNotFound as error:
            pytest.skip(f"{model_id} is not installed in {store.root}: {error.hint}")

    return find


@pytest.fixture(scope="session")
def spoken_question() -> Samples:
    """Half a second of silence, a synthetic voice with a question, half a second of silence."""
    return speak("What is the weather like in London today?")


@pytest.fixture(scope="session")
def long_talk() -> Samples:
    """A minute and a half of different questions, a second of silence between them."""
    towns = ["London", "Paris", "Rome", "Madrid", "Berlin", "Vienna", "Dublin", "Athens"]
    days = ["today", "tomorrow", "on Monday"]
    questions = [f"What is the weather like in {town} {day}?" for town in towns for day in days]
    return np.concatenate([speak(question) for question in questions])


def speak(text: str) -> Samples:
    """`text` in espeak-ng's voice at 16 kHz, half a second of silence on either side."""
    voice = EspeakVoice()
    try:
        chunks = [chunk.samples for chunk in voice.synthesize(text, CancelToken())]
        sound = resample(np.concatenate(chunks), voice.sample_rate, SAMPLE_RATE)
    finally:
        voice.close()
    silence = np.zeros(SAMPLE_RATE // 2, dtype=np.float32)
    return np.concatenate([silence, sound, silence])
