"""A voice of our own making: one tone for each word, and a failure where it is told to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.protocol import SpeechChunk, WordMark


@dataclass(kw_only=True)
class ScriptedVoice:
    """100 ms of a 400 Hz tone for each word, one chunk a word."""

    sample_rate: int = 8_000
    gives_word_times: bool = True
    fails_at_chunk: int | None = None
    """Raise instead of giving this chunk of every text."""
    spoken: list[str] = field(default_factory=list)
    """Every text it was given."""
    closed: int = 0

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        token.raise_if_cancelled()
        self.spoken.append(text)
        frames = self.sample_rate // 10
        tone = 0.5 * np.sin(2 * np.pi * 400 * np.arange(frames) / self.sample_rate)
        start = 0
        for index, word in enumerate(text.split()):
            token.raise_if_cancelled()
            if index == self.fails_at_chunk:
                raise SynthesisError("scripted", "told to fail")
            end = text.index(word, start) + len(word)
            yield SpeechChunk(
                samples=tone.astype(np.float32),
                start_char=start,
                end_char=end,
                words=(WordMark(end_char=end, end_frames=frames - 80),),
                leading_silence_frames=8,
            )
            start = end

    def close(self) -> None:
        self.closed += 1
