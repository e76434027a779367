"""Short phrases that were spoken before, kept as audio."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from edge_assistant.cancel import CancelToken
from edge_assistant.tts.protocol import SpeechChunk, Voice

MOST_CHARS: Final = 80
"""Longer texts hardly come twice."""


class CachedVoice:
    """A voice that remembers its short phrases: notices, openers, "one moment".

    It belongs to one voice, so the text alone is the key, and it goes when the voice goes. What was
    not used for longest leaves first. Put it inside a `FallbackVoice`, not around it: else the
    backup's speech would be remembered as this voice's.
    """

    def __init__(self, voice: Voice, max_bytes: int) -> None:
        """Args: voice: what speaks; max_bytes: of samples kept in memory, 0 keeps nothing."""
        self._voice = voice
        self._max_bytes = max_bytes
        self._phrases: OrderedDict[str, tuple[SpeechChunk, ...]] = OrderedDict()
        self.size_bytes = 0
        """Bytes of samples that are kept."""

    @property
    def sample_rate(self) -> int:
        return self._voice.sample_rate

    @property
    def gives_word_times(self) -> bool:
        return self._voice.gives_word_times

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield the kept chunks, or the voice's, which are kept once all of them were made.

        Samples are read-only, kept or not: they may be handed out again.
        """
        token.raise_if_cancelled()
        kept = self._phrases.get(text)
        if kept is not None:
            self._phrases.move_to_end(text)
            for chunk in kept:
                token.raise_if_cancelled()
                yield chunk
            return
        made: list[SpeechChunk] = []
        for chunk in self._voice.synthesize(text, token):
            chunk.samples.flags.writeable = False
            made.append(chunk)
            yield chunk
        if len(text) <= MOST_CHARS:
            self._keep(text, tuple(made))

    def forget(self) -> None:
        """Drop all phrases: one may hold what somebody said of himself."""
        self._phrases.clear()
        self.size_bytes = 0

    def close(self) -> None:
        self._phrases.clear()
        self.size_bytes = 0
        self._voice.close()

    def _keep(self, text: str, chunks: tuple[SpeechChunk, ...]) -> None:
        size = _size_bytes(chunks)
        if not chunks or size > self._max_bytes or text in self._phrases:
            return
        self._phrases[text] = chunks
        self.size_bytes += size
        while self.size_bytes > self._max_bytes:
            _, oldest = self._phrases.popitem(last=False)
            self.size_bytes -= _size_bytes(oldest)


def _size_bytes(chunks: tuple[SpeechChunk, ...]) -> int:
    return sum(chunk.samples.nbytes for chunk in chunks)
