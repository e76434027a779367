"""A turn is spoken even if its voice fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import SynthesisError
from edge_assistant.tts.protocol import Forgetful, SpeechChunk, Voice, WordMark


class FallbackVoice:
    """`primary`, and `backup` for the rest of a turn in which `primary` failed.

    The turn is known by its token. The next turn begins with `primary` again. What the backup says
    comes at the primary's rate, with its word marks scaled, so that playout need not know.
    """

    def __init__(
        self, primary: Voice, backup: Voice, on_failure: Callable[[SynthesisError], None]
    ) -> None:
        """Args: on_failure: told once for every turn that fails over, on the calling thread."""
        self._primary = primary
        self._backup = backup
        self._on_failure = on_failure
        self._failed_token: CancelToken | None = None

    @property
    def sample_rate(self) -> int:
        """The primary's, whoever speaks."""
        return self._primary.sample_rate

    @property
    def gives_word_times(self) -> bool:
        """The primary's; chunks of the backup may carry marks all the same."""
        return self._primary.gives_word_times

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield the primary's chunks, and from the first failure on the backup's.

        Raises:
            SynthesisError: the backup failed too.
        """
        spoken_chars = 0
        if token is not self._failed_token:
            try:
                for chunk in self._primary.synthesize(text, token):
                    spoken_chars = chunk.end_char
                    yield chunk
                return
            except SynthesisError as error:
                self._failed_token = token
                self._on_failure(error)
        for chunk in self._backup.synthesize(text[spoken_chars:], token):
            yield _moved(
                at_rate(chunk, self._backup.sample_rate, self.sample_rate), by_chars=spoken_chars
            )

    def forget(self) -> None:
        """What the two keep is dropped."""
        for voice in (self._primary, self._backup):
            if isinstance(voice, Forgetful):
                voice.forget()

    def close(self) -> None:
        self._failed_token = None
        self._primary.close()
        self._backup.close()


def at_rate(chunk: SpeechChunk, from_rate: int, to_rate: int) -> SpeechChunk:
    """`chunk` resampled (soxr, high quality), its marks and leading silence scaled with it."""
    if from_rate == to_rate or len(chunk.samples) == 0:
        return chunk
    import soxr

    samples = np.clip(soxr.resample(chunk.samples, from_rate, to_rate), -1.0, 1.0)

    def scaled(frames: int) -> int:
        return min(round(frames * to_rate / from_rate), len(samples))

    marks = chunk.words and tuple(
        replace(mark, end_frames=scaled(mark.end_frames)) for mark in chunk.words
    )
    return replace(
        chunk,
        samples=samples.astype(np.float32, copy=False),
        words=marks,
        leading_silence_frames=scaled(chunk.leading_silence_frames),
    )


def _moved(chunk: SpeechChunk, *, by_chars: int) -> SpeechChunk:
    if by_chars == 0:
        return chunk
    words = chunk.words and tuple(
        WordMark(end_char=mark.end_char + by_chars, end_frames=mark.end_frames)
        for mark in chunk.words
    )
    return replace(
        chunk,
        start_char=chunk.start_char + by_chars,
        end_char=chunk.end_char + by_chars,
        words=words,
    )
