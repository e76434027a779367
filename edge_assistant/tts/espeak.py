"""The voice that needs no download: espeak-ng, with the exact time of every word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelIncompatible, SynthesisError
from edge_assistant.tts.espeak_library import EspeakVoiceInfo, espeak_library
from edge_assistant.tts.espeak_marks import chunks_of_events
from edge_assistant.tts.harmless import harmless
from edge_assistant.tts.protocol import SpeechChunk

SLOWEST_WPM: Final = 80
FASTEST_WPM: Final = 450
"""Words per minute that espeak-ng takes (speak_lib.h, espeakRATE)."""


class EspeakVoice:
    """Formant speech at an `rtf` of about 0.001, so a whole text is made in one call.

    Thread: any, one call at a time; the library is global, so several voices take turns.
    """

    def __init__(
        self, voice: str = "en-us", *, words_per_minute: int = 165, pitch: int = 50
    ) -> None:
        """Load the library (20 ms, once for the process) and find the voice.

        Args:
            voice: language tag ("en-gb"), identifier ("gmw/en-US") or name; "+f3" picks a variant.
            words_per_minute: 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.

        Raises:
            ModelNotFound: no espeak-ng on this machine, or no such voice.
            ModelIncompatible: the library is there and its data cannot be used.
        """
        if not SLOWEST_WPM <= words_per_minute <= FASTEST_WPM:
            raise ValueError(f"words_per_minute {words_per_minute} is not in 80..450")
        if not 0 <= pitch <= 100:
            raise ValueError(f"pitch {pitch} is not in 0..100")
        self._library = espeak_library()
        self._identifier = self._library.resolve(voice)
        # All of them every time: the values are global, and another voice may have set them.
        self._parameters = {
            "rate": words_per_minute,
            "pitch": pitch,
            "range": 50,
            "volume": 100,
            "wordgap": 0,
        }
        self._closed = False
        self._check()

    @staticmethod
    def voices() -> tuple[EspeakVoiceInfo, ...]:
        """Every voice that can be asked for."""
        return espeak_library().voices

    @property
    def sample_rate(self) -> int:
        """22050 Hz with the data of espeak-ng 1.52."""
        return self._library.sample_rate

    @property
    def gives_word_times(self) -> bool:
        return True

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield one chunk for each sentence, with exact word marks; nothing where no word is.

        The same text may differ between calls by one period of the voice (10 ms) in each clause:
        espeak-ng carries its wave phase on.
        Cancel: within 60 ms of synthesised audio, which is well below 1 ms of work.

        Raises:
            SynthesisError: espeak-ng refused the text, or the voice is closed.
        """
        token.raise_if_cancelled()
        if self._closed:
            raise SynthesisError("voice-closed", "the espeak voice was closed", "build a new one")
        plain = harmless(text)
        if not plain.strip():
            return
        with self._library.lock:
            token.raise_if_cancelled()
            audio, events = self._library.synthesize(
                plain, self._identifier, self._parameters, lambda: token.is_cancelled
            )
        token.raise_if_cancelled()
        for chunk in chunks_of_events(text, audio, events, self.sample_rate):
            token.raise_if_cancelled()
            yield chunk

    def _check(self) -> None:
        """Speak a little: 1.52 lists fo, kaa and xex, and has no dictionary for them."""
        with self._library.lock:
            speaks = self._library.select(self._identifier) and any(
                self._library.synthesize("1 a", self._identifier, self._parameters, lambda: False)[
                    1
                ]
            )
        if not speaks:
            raise ModelIncompatible(
                "voice-unusable",
                f"espeak-ng lists the voice {self._identifier} and cannot speak with it",
                "use another voice, e.g. en-us",
            )

    def close(self) -> None:
        """The library stays loaded for other voices; this one refuses to speak."""
        self._closed = True
