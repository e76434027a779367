"""What a recogniser is to us, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of a transcript with its place in the audio that was given."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The words of one utterance."""

    text: str
    """Stripped; empty where nothing was said (a cough, a door, noise)."""
    segments: tuple[Segment, ...] = ()
    """In order. An engine without times gives one segment over the whole audio."""
    language: str = "en"


class Recognizer(Protocol):
    """Turns one utterance into text; one call at a time."""

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        """Transcribe the whole of `audio`.

        Audio: float32 mono, (frames,), 16000 Hz, [-1, 1]; any length, also 0. Thread: stt; blocks.
        Cancel: raises TurnCancelled within one encoder pass or one decoder step; no partial
            text is returned.

        Raises:
            TranscriptionError: the engine failed; the instance stays usable.
        """
        ...

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A recogniser that keeps some of what it has heard."""

    def forget(self) -> None:
        """Keep nothing of what was said so far; on the `stt` thread."""
        ...
