"""A voice: how fast, and when the first sound comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.probe import Job, Sheet
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.protocol import Voice

TEXTS: Final = (
    "Sure.",
    "The capital of France is Paris.",
    "A soft egg takes about six minutes in boiling water, and a hard egg about ten.",
    "I could not find anything about that, but I can look for something else if you like.",
)
"""Replies as a voice gets them, clause by clause, from one word to a long sentence."""

LONG_TEXT: Final = " ".join(TEXTS * 6)


class TtsProbe:
    """Says `TEXTS`.

    Args:
        voice: without a cache and without a fallback; else those would be measured.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def first_call(self, token: CancelToken) -> None:
        """The shortest text."""
        self._say(TEXTS[0], token)

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """Real-time factor over all texts, and the first audio of each."""
        compute_s = audio_s = 0.0
        for text in TEXTS:
            first_s, took_s, spoken_s = self._say(text, token)
            sheet.put("first_audio_s", first_s)
            compute_s += took_s
            audio_s += spoken_s
        sheet.put("rtf", compute_s / audio_s)

    def jobs(self) -> tuple[Job, ...]:
        """A long text."""

        def run(token: CancelToken, begin: Callable[[], None]) -> None:
            begin()
            self._say(LONG_TEXT, token)

        return (Job(name="tts", run=run),)

    def close(self) -> None:
        """Give the memory back."""
        self._voice.close()

    def _say(self, text: str, token: CancelToken) -> tuple[float, float, float]:
        """Time to the first chunk, time to the end, and duration of the speech, in seconds."""
        began_s = time.perf_counter()
        first_s = 0.0
        frames = 0
        for chunk in self._voice.synthesize(text, token):
            first_s = first_s or time.perf_counter() - began_s
            frames += len(chunk.samples)
        took_s = time.perf_counter() - began_s
        if not frames:
            raise SynthesisError("voice-silent", f"the voice made no sound of {text!r}")
        return first_s, took_s, frames / self._voice.sample_rate
