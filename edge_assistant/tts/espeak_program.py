"""The voice of the system's own `espeak-ng` program, for who may not pass GPL libraries on.

Nothing of espeak-ng is loaded into this process, and neither `piper-tts` nor `espeakng-loader` is
needed: a child speaks each sentence. It gives no word times, so what was heard is estimated.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

import numpy as np

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelIncompatible, ModelNotFound, SynthesisError
from edge_assistant.tts.espeak_child import ChildRefused, Spoken, environment, speak
from edge_assistant.tts.harmless import harmless
from edge_assistant.tts.protocol import SpeechChunk
from edge_assistant.tts.sentence_ends import spoken_sentences
from edge_assistant.tts.trim import audible_span, leading_cut, with_pause

PROGRAM: Final = "espeak-ng"
SLOWEST_WPM: Final = 80
FASTEST_WPM: Final = 450
_HINT: Final = "sudo apt install espeak-ng"
_TRIAL: Final = "1 a"
_VERSION_WAIT_S: Final = 10.0


class EspeakProgramVoice:
    """One chunk for each sentence, made by a child that lives for that sentence (about 25 ms).

    Thread: any, one call at a time; several instances do not mind each other. POSIX systems only.
    """

    def __init__(
        self,
        voice: str = "en-us",
        *,
        words_per_minute: int = 165,
        pitch: int = 50,
        program: str = PROGRAM,
    ) -> None:
        """Find the program and let it speak once (30 ms).

        Args:
            voice: language tag ("en-gb"), "+f3" picks a variant. Checked by the caller: it becomes
                an argument of the program.
            words_per_minute: 80 to 450.
            pitch: 0 to 100, 50 is the voice's own.
            program: name on the PATH, or a path.

        Raises:
            ModelNotFound: the system has no such program, or the program no such voice.
            ModelIncompatible: it is there and does not speak.
        """
        if not SLOWEST_WPM <= words_per_minute <= FASTEST_WPM:
            raise ValueError(f"words_per_minute {words_per_minute} is not in 80..450")
        if not 0 <= pitch <= 100:
            raise ValueError(f"pitch {pitch} is not in 0..100")
        if not voice[:1].isalpha():  # it must not be read as an option
            raise ValueError(f"{voice!r} cannot name a voice")
        path = shutil.which(program)
        if path is None:
            raise ModelNotFound(
                "espeak-program-missing", f"there is no program {program} on this machine", _HINT
            )
        speed, height = str(words_per_minute), str(min(pitch, 99))  # the program takes 0 to 99
        # UTF-8, no pause at the end, text from stdin: none of it is ever an argument.
        flags = ("-b", "1", "-z", "--stdin", "--stdout", "-s", speed, "-p", height, "-v", voice)
        self._arguments = (path, *flags)
        self._closed = False
        self._sample_rate = self._tried(voice).sample_rate

    @property
    def program(self) -> str:
        """Its path."""
        return self._arguments[0]

    @property
    def sample_rate(self) -> int:
        """22050 Hz with espeak-ng's own voices."""
        return self._sample_rate

    @property
    def gives_word_times(self) -> bool:
        return False

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield one chunk for each sentence with a letter or digit; nothing where there is none.

        Cancel: the child is killed by whoever cancels, and the call ends with it.

        Raises:
            SynthesisError: the program failed, or gave silence; the voice stays usable.
        """
        token.raise_if_cancelled()
        if self._closed:
            raise SynthesisError("voice-closed", "the espeak voice was closed", "build a new one")
        # [[ ]] would make the program read phonemes; blanks keep the positions.
        plain = harmless(text).replace("[[", "  ").replace("]]", "  ")
        sentences = list(spoken_sentences(plain))
        start = 0
        for index, (first, end) in enumerate(sentences):
            spoken = self._spoken(plain[first:end], token)
            until = len(text) if index == len(sentences) - 1 else end
            yield self._chunk(spoken, plain[first:end], start, until)
            token.raise_if_cancelled()
            start = until

    def close(self) -> None:
        """There is no child between two calls; this one refuses to speak."""
        self._closed = True

    def _spoken(self, sentence: str, token: CancelToken) -> Spoken:
        # An unknown letter is spelled out, with its name or number: seconds for one character.
        max_s = min(30.0 + 4.0 * len(sentence), 900.0)
        return speak(self._arguments, sentence, max_s=max_s, token=token)

    def _chunk(self, spoken: Spoken, sentence: str, start: int, end: int) -> SpeechChunk:
        audio = spoken.samples.astype(np.float32) / 32768.0
        if audible_span(audio) is None:
            raise SynthesisError("voice-silent", f"{PROGRAM} gave silence for a sentence", _HINT)
        if spoken.sample_rate != self._sample_rate:
            raise SynthesisError(
                "voice-changed", f"{PROGRAM} now speaks at {spoken.sample_rate} Hz", "start again"
            )
        cut, kept = leading_cut(audio, self._sample_rate)
        return SpeechChunk(
            samples=with_pause(audio[cut:], sentence, self._sample_rate),
            start_char=start,
            end_char=end,
            words=None,
            leading_silence_frames=kept,
        )

    def _tried(self, voice: str) -> Spoken:
        """Speak a little: that tells the rate, and that the voice is there."""
        try:
            spoken = self._spoken(_TRIAL, CancelToken())
        except ChildRefused as error:
            raise ModelNotFound(
                "voice-not-found",
                f"{self.program} cannot speak as {voice!r}: {error.message}",
                f"{PROGRAM} --voices lists what it has",
            ) from error
        except SynthesisError as error:
            raise ModelIncompatible("voice-unusable", error.message, error.hint) from error
        if audible_span(spoken.samples.astype(np.float32) / 32768.0) is None:
            raise ModelIncompatible(
                "voice-unusable", f"{self.program} gives no sound for {voice!r}", _HINT
            )
        return spoken


def program_version(program: str = PROGRAM) -> str:
    """What the program says of itself, e.g. `1.51`; empty where it does not say."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        told = subprocess.run(
            [path, "--version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_WAIT_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = told.partition(":")[2].split()
    return words[0][:20] if words else ""
