"""What a voice is to us, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMark:
    """A word has been heard once `end_frames` frames of its chunk have been played."""

    end_char: int
    """Exclusive end of the word in the text given to `synthesize`."""
    end_frames: int
    """Counted from the first frame of the chunk, at the voice's `sample_rate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChunk:
    """A piece of synthesised speech: the audio of `text[start_char:end_char]`.

    The spans of all chunks tile the text. A short slice of a sentence may hold no whole word: then
    its span is empty.
    """

    samples: Samples
    """Float32, (frames,), at the voice's `sample_rate`; leading silence already trimmed."""
    start_char: int
    end_char: int
    words: tuple[WordMark, ...] | None
    """In order; None where the voice gives no word times, and what was heard can only be
    estimated."""
    leading_silence_frames: int = 0
    """Silence left at the front (a few milliseconds, so that no onset is clipped)."""


class Voice(Protocol):
    """Speaks text; one call at a time, on the `tts` thread."""

    @property
    def sample_rate(self) -> int:
        """Hz of the chunks."""
        ...

    @property
    def gives_word_times(self) -> bool:
        """Whether chunks carry exact word marks."""
        ...

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield the speech for `text` in order; nothing for text without a speakable character.

        `text` is plain, speakable text (see `normalise`). Cancel: raises TurnCancelled
        within about 15 ms.

        Raises:
            SynthesisError: the engine failed; the instance stays usable.
        """
        ...

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A voice that keeps some of what it has spoken."""

    def forget(self) -> None:
        """Keep nothing of what was spoken so far; on the `tts` thread."""
        ...
