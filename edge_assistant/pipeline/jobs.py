"""What the engine threads are given to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edge_assistant.cancel import CancelToken
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.pipeline.attempt import Attempt
from edge_assistant.pipeline.channel import Channel
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.tts.protocol import Voice
from edge_assistant.turns.events import Event

Post = Callable[[Event], None]
"""Takes a fact for the floor; never blocks."""

Engine = TypeVar("Engine", Recognizer, LanguageModel, Voice)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeJob:
    turn: int
    from_frames: int
    to_frames: int
    token: CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeJob:
    attempt: Attempt
    from_frames: int
    to_frames: int
    breaks: tuple[int, ...] = ()
    pad_frames: int = 0

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialJob:
    """Transcribe what was said so far, while the user goes on."""

    turn: int
    from_frames: int
    to_frames: int
    breaks: tuple[int, ...]
    token: CancelToken
    pad_frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJob:
    """Evaluate the beginning of what the user is saying."""

    turn: int
    text: str
    is_whole: bool
    token: CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerJob:
    attempt: Attempt

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillJob:
    """Evaluate the conversation so far while nobody waits."""

    token: CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakJob:
    """Speak `text`; None says that the reply is complete."""

    attempt: Attempt
    text: str | None

    @property
    def token(self) -> CancelToken:
        return self.attempt.token


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapJob(Generic[Engine]):
    """Put another engine in place of the present one, between two jobs."""

    engine: Engine
    language: str = ""
    """Of a voice."""
    system_prompt: str = ""
    """Of a language model."""

    @property
    def token(self) -> CancelToken:
        """Nobody's: a swap is not cancelled, so that the new engine gets an owner who closes it."""
        return CancelToken()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetJob:
    """Forget what anybody said: the user has gone."""

    @property
    def token(self) -> CancelToken:
        """Nobody's, as for `SwapJob`: what is to be forgotten is forgotten."""
        return CancelToken()


SttJob = TranscribeJob | PartialJob | SwapJob[Recognizer] | ForgetJob
LlmJob = AnswerJob | PrefillJob | ReadJob | SwapJob[LanguageModel] | ForgetJob
TtsJob = SpeakJob | SwapJob[Voice] | ForgetJob

SttChannel = Channel[SttJob]
LlmChannel = Channel[LlmJob]
TtsChannel = Channel[TtsJob]
