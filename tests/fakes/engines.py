"""Engines that do what they are told; they pass the same contract tests as the real ones."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, Samples
from edge_assistant.audio.level import rms_dbfs
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import GenerationError, SynthesisError, TranscriptionError
from edge_assistant.llm.protocol import GenerationStats, Message
from edge_assistant.stt.protocol import Segment, Transcript
from edge_assistant.tts.protocol import SpeechChunk, WordMark

SPEECH_DBFS = -45.0

NO_STATS = GenerationStats(
    prompt_tokens=0,
    reused_tokens=0,
    generated_tokens=0,
    ttft_s=0.0,
    evaluated_tokens=0,
    dropped_tokens=0,
)


def pause(seconds: float, token: CancelToken) -> None:
    """Work for so long, as a native call that can be stopped."""
    done = threading.Event()
    unsubscribe = token.on_cancel(done.set)
    done.wait(seconds)
    unsubscribe()
    token.raise_if_cancelled()


class FakeVad:
    """Loud is speech."""

    window_frames = BLOCK_FRAMES

    def speech_prob(self, window: Samples) -> float:
        if window.shape != (self.window_frames,):
            raise ValueError(f"a window has {self.window_frames} frames, not {window.shape}")
        return 1.0 if rms_dbfs(window) > SPEECH_DBFS else 0.0

    def reset(self) -> None:
        """It remembers nothing."""


class FakeTurnDetector:
    """Always equally sure."""

    def __init__(self, probability: float = 1.0) -> None:
        self.probability = probability
        self.asked: list[int] = []

    def end_probability(self, audio: Samples, token: CancelToken) -> float:
        token.raise_if_cancelled()
        self.asked.append(len(audio))
        return self.probability

    def close(self) -> None:
        """Nothing to give back."""


class FakeRecognizer:
    """Says the next of `texts`, the last one again and again; an exception is raised instead."""

    def __init__(self, *texts: str | Exception, seconds: float = 0.0) -> None:
        self._texts: deque[str | Exception] = deque(texts or ("hello there",))
        self.seconds = seconds
        self.heard: list[Samples] = []
        self.is_closed = False

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        token.raise_if_cancelled()
        pause(self.seconds, token)
        self.heard.append(audio)
        if rms_dbfs(audio) <= SPEECH_DBFS:
            return Transcript(text="")
        text = self._texts.popleft() if len(self._texts) > 1 else self._texts[0]
        if isinstance(text, Exception):
            raise text
        return Transcript(text=text, segments=(Segment(text=text, start_s=0.0, end_s=1.0),))

    def close(self) -> None:
        self.is_closed = True


class FakeLlm:
    """Answers with the next of `replies`, word by word. Words are its tokens, and it keeps a cache
    of them."""

    def __init__(self, *replies: str | Exception, seconds_per_word: float = 0.0) -> None:
        self._replies: deque[str | Exception] = deque(replies or ("It is three o'clock.",))
        self.seconds_per_word = seconds_per_word
        self.prompts: list[list[Message]] = []
        self.prefilled: list[list[Message]] = []
        self.is_closed = False
        self.prompt_budget = 1000
        self.ends_with = 0.9
        """What it takes every message to be finished with."""
        self.stats = NO_STATS
        self.held: list[str] = []
        """What is in the cache."""
        self.evaluated = 0
        """Tokens of all calls."""

    def prefill(self, messages: Sequence[Message], token: CancelToken) -> None:
        self.stats = NO_STATS
        token.raise_if_cancelled()
        self.prefilled.append(list(messages))
        self._hold([*_tokens(messages), "user:"])

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        self.stats = NO_STATS
        token.raise_if_cancelled()
        self.prompts.append(list(messages))
        self._hold([*_tokens(messages), "assistant:"])
        reply = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        for word in reply.split(" "):
            pause(self.seconds_per_word, token)
            self._evaluate([word])
            self.stats = replace(self.stats, generated_tokens=self.stats.generated_tokens + 1)
            yield word + " "

    def end_probability(self, messages: Sequence[Message], token: CancelToken) -> float:
        self.stats = NO_STATS
        token.raise_if_cancelled()
        self._hold(_tokens(messages))
        return self.ends_with

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return len(_tokens(messages)) + 1

    def forget(self) -> None:
        self.stats = replace(NO_STATS, dropped_tokens=len(self.held))
        self.held = []

    def _hold(self, prompt: list[str]) -> None:
        pairs = zip(self.held, prompt, strict=False)
        reused = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        dropped = len(self.held) - reused
        self.stats = replace(
            NO_STATS, prompt_tokens=len(prompt), reused_tokens=reused, dropped_tokens=dropped
        )
        del self.held[reused:]
        self._evaluate(prompt[reused:])

    def _evaluate(self, tokens: list[str]) -> None:
        self.held += tokens
        self.evaluated += len(tokens)
        evaluated = self.stats.evaluated_tokens + len(tokens)
        self.stats = replace(self.stats, evaluated_tokens=evaluated)

    def close(self) -> None:
        self.is_closed = True


def _tokens(messages: Sequence[Message]) -> list[str]:
    """The words of each message between its role and an end."""
    return [
        token
        for message in messages
        for token in (f"{message.role}:", *message.content.split(), "end")
    ]


class FakeVoice:
    """Hums each word for `word_ms`, and knows exactly when each one ends."""

    sample_rate = 16_000
    gives_word_times = True

    def __init__(self, *, word_ms: int = 200, failure: Exception | None = None) -> None:
        self._word_frames = word_ms * self.sample_rate // 1000
        self._failure = failure
        self.spoken: list[str] = []
        self.is_closed = False

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        token.raise_if_cancelled()
        if self._failure is not None:
            raise self._failure
        if not any(char.isalnum() for char in text):
            return
        self.spoken.append(text)
        marks: list[WordMark] = []
        position = 0
        for word in text.split():
            position = text.index(word, position) + len(word)
            end = (len(marks) + 1) * self._word_frames
            marks.append(WordMark(end_char=position, end_frames=end))
        hum = np.sin(np.arange(len(marks) * self._word_frames) * 0.2) * 0.3
        token.raise_if_cancelled()
        yield SpeechChunk(
            samples=hum.astype(np.float32), start_char=0, end_char=len(text), words=tuple(marks)
        )

    def close(self) -> None:
        self.is_closed = True


class HangingRecognizer(FakeRecognizer):
    """Native code that does not come back for a while, whatever the token says."""

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        time.sleep(self.seconds)
        return super().transcribe(audio, token)


def failing(stage: str) -> Exception:
    """The error that a real adapter raises when its engine fails."""
    kinds = {"stt": TranscriptionError, "llm": GenerationError, "tts": SynthesisError}
    return kinds[stage](f"{stage}-broke", "it broke", "mend it")
