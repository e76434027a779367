"""Neural voices of the Piper family, on our own onnxruntime session.

piper-tts (GPL-3.0-or-later) is imported in this file only, and only for turning text into phonemes.
Inference is ours because its `PiperVoice` takes every core and cannot be stopped, while
`RunOptions.terminate` returns within about 13 ms on a medium voice; and because it makes a sentence
as a whole, while ours begins to speak once the first fifth of a second is made (`piper_speech`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.borders import failing_as
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelIncompatible, SynthesisError
from edge_assistant.onnx import InferenceFailed
from edge_assistant.tts.harmless import harmless
from edge_assistant.tts.piper_config import PiperFile, read_piper_config
from edge_assistant.tts.piper_speech import Feed, Speech, open_speech
from edge_assistant.tts.protocol import SpeechChunk
from edge_assistant.tts.sentence_ends import spoken_sentences
from edge_assistant.tts.trim import audible_span, leading_cut, with_pause

_HINT: Final = "look at the file: edge-assistant models verify"
_WORD: Final = re.compile(r"(\S+)\s*")
_NEARLY_CHARS: Final = 2
"""Half a short word."""
_TRIAL: Final = "1, 2, 3, 4, 5."
"""espeak reads digits in every language."""


class PiperTts:
    """Some chunks for each sentence, without word times; the first is short and comes early.

    A chunk has the words that make its share of the sentence's characters, so that a short one may
    have no text of its own. Silence in front of a sentence is trimmed, and its pause
    is in its last chunk; chunks of a sentence meet without a gap.

    Thread: `tts`; a sentence blocks for about 0.04 of its duration (medium voice, one x86 core).
    """

    def __init__(
        self,
        model: Path,
        config: Path,
        *,
        num_threads: int = 1,
        rate: float = 1.0,
        speaker: int | None = None,
    ) -> None:
        """Load the voice.

        Args:
            model: the .onnx file, verified by the caller.
            config: its .onnx.json.
            num_threads: of one sentence's inference; they sleep while idle.
            rate: speed factor, above 1 is faster.
            speaker: 0 <= speaker < speakers of the voice; None = the voice's own choice.

        Raises:
            ModelNotFound: a file is missing.
            ModelIncompatible: the config, graph or language cannot be used; no such speaker.
        """
        self._config = read_piper_config(config)
        inference = self._config.inference
        self._scales = np.array(
            [inference.noise_scale, inference.length_scale / rate, inference.noise_w],
            dtype=np.float32,
        )
        self._speaker = _chosen_speaker(self._config, speaker)
        self._phonemizer = _phonemizer(config, self._config)
        self._speech: Speech | None = open_speech(
            model,
            [self._feed(ids) for ids in self._phoneme_ids(_TRIAL)],
            self.sample_rate,
            hint=_HINT,
            num_threads=num_threads,
        )
        _check_inputs(self._speech.inputs, model, self._config)

    @property
    def sample_rate(self) -> int:
        return self._config.audio.sample_rate

    @property
    def gives_word_times(self) -> bool:
        return False

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield the chunks of each sentence in which something can be spoken.

        Cancel: from any thread, within one graph node (13 ms on a medium voice, measured).

        Raises:
            SynthesisError: phonemes or inference failed, or gave silence; the voice stays usable.
        """
        token.raise_if_cancelled()
        sentences = list(self._sentences(text))
        for index, (start, end, phoneme_ids) in enumerate(sentences):
            token.raise_if_cancelled()
            last_char = len(text) if index == len(sentences) - 1 else end
            feeds = [self._feed(ids) for ids in phoneme_ids]
            yield from self._spoken(text[start:end], start, last_char, feeds, token)

    def close(self) -> None:
        self._speech = None

    def _spoken(
        self, sentence: str, start: int, last_char: int, feeds: list[Feed], token: CancelToken
    ) -> Iterator[SpeechChunk]:
        """The chunks of a sentence that begins at `start`; the last one ends at `last_char`."""
        is_begun = False
        given = start
        for piece, share in self._pieces(feeds, token):
            samples, kept = piece, 0
            if not is_begun and audible_span(piece) is not None:
                dropped, kept = leading_cut(piece, self.sample_rate)
                samples = piece[dropped:]
                is_begun = True
            if is_begun:
                until = start + words_within(sentence, share)
                if share == 1:
                    samples, until = with_pause(samples, sentence, self.sample_rate), last_char
                yield SpeechChunk(
                    samples=samples,
                    start_char=given,
                    end_char=until,
                    words=None,
                    leading_silence_frames=kept,
                )
                given = until
        if not is_begun:
            raise SynthesisError("voice-silent", "the Piper voice gave silence for a sentence")

    def _pieces(self, feeds: list[Feed], token: CancelToken) -> Iterator[tuple[Samples, float]]:
        if self._speech is None:
            raise SynthesisError("voice-closed", "the Piper voice was closed", "build a new one")
        try:
            yield from self._speech.pieces(feeds, token)
        except InferenceFailed as error:
            raise SynthesisError("inference-failed", f"Piper could not speak: {error}") from error

    def _sentences(self, text: str) -> Iterator[tuple[int, int, list[list[int]]]]:
        """(start, end, phoneme ids of each part) of every sentence that can be said; no gaps."""
        # [[ ]] would make piper-tts read phonemes; blanks keep the positions.
        plain = harmless(text).replace("[[", "  ").replace("]]", "  ")
        start = 0
        for first, end in spoken_sentences(plain):
            parts = self._phoneme_ids(plain[first:end])
            if parts:
                yield start, end, parts
                start = end

    def _phoneme_ids(self, sentence: str) -> list[list[int]]:
        def failed(error: Exception) -> SynthesisError:
            return SynthesisError(
                "phonemes-failed", f"Piper could not turn the text into phonemes: {error}"
            )

        with failing_as(failed):  # RuntimeError of espeakbridge, KeyError of its tables, and more
            parts = [part for part in self._phonemizer.phonemize(sentence) if part]
            return [list(self._phonemizer.phonemes_to_ids(part)) for part in parts]

    def _feed(self, phoneme_ids: list[int]) -> Feed:
        return {
            "input": np.array([phoneme_ids], dtype=np.int64),
            "input_lengths": np.array([len(phoneme_ids)], dtype=np.int64),
            "scales": self._scales,
            "sid": np.array([self._speaker], dtype=np.int64),
        }


def words_within(sentence: str, share: float) -> int:
    """Characters of the words in `share` (0..1) of the audio, with the blanks after them.

    Time is taken to go with the characters, since the engine tells no better. A word counts from
    `_NEARLY_CHARS` before its end, so that the estimate is early as often as late.
    """
    spoken_chars = share * len(sentence.rstrip()) + _NEARLY_CHARS
    ends = [word.end() for word in _WORD.finditer(sentence) if word.end(1) <= spoken_chars]
    return ends[-1] if ends else 0


def _chosen_speaker(config: PiperFile, speaker: int | None) -> int:
    if speaker is None:
        return config.default_speaker_id
    if not 0 <= speaker < config.num_speakers:
        raise ModelIncompatible(
            "speaker-not-found",
            f"the voice has {config.num_speakers} speakers and no speaker {speaker}",
            f"set tts.speaker to a number from 0 to {config.num_speakers - 1}",
        )
    return speaker


def _check_inputs(names: frozenset[str], model: Path, config: PiperFile) -> None:
    wanted = {"input", "input_lengths", "scales"} | ({"sid"} if config.num_speakers > 1 else set())
    if not wanted <= names <= wanted | {"sid"}:
        raise ModelIncompatible(
            "voice-unusable",
            f"{model.name} has the inputs {sorted(names)}, a Piper voice has {sorted(wanted)}",
            "edge-assistant models list shows voices that work",
        )


def _phonemizer(path: Path, config: PiperFile) -> Any:
    """piper-tts's text front end (it holds one espeak-ng of its own, behind its own lock)."""
    from piper.config import PiperConfig
    from piper.voice import PiperVoice

    # Every field that is read was checked; the session is ours, and PiperVoice only keeps it.
    voice = PiperVoice(session=None, config=PiperConfig.from_dict(msgspec.to_builtins(config)))

    def unknown(error: Exception) -> ModelIncompatible:
        return ModelIncompatible(
            "voice-language-unknown",
            f"{path.name} asks for the espeak language {config.espeak.voice!r}: {error}",
            "edge-assistant models list shows voices that work",
        )

    with failing_as(unknown):
        voice.phonemize("a")
    return voice
