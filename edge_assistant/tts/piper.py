"""Neural voices of the Piper family, on our own onnxruntime session.

piper-tts (GPL-3.0-or-later) is imported in this file only, and only for turning text into phonemes.
Inference is ours because its `PiperVoice` takes every core and cannot be stopped, while
`RunOptions.terminate` returns within about 13 ms on a medium voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import Samples, sanitize
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelIncompatible, SynthesisError
from edge_assistant.onnx import InferenceFailed, open_session, stoppable
from edge_assistant.tts.harmless import harmless
from edge_assistant.tts.piper_config import PiperFile, read_piper_config
from edge_assistant.tts.protocol import SpeechChunk
from edge_assistant.tts.trim import AUDIBLE, leading_cut, with_pause

_SENTENCE: Final = re.compile(
    r".+?(?:[.!?\u2026]+[\"'\u2019\u201d)\]]*\s+|[\u3002\uff01\uff1f]+|$)", re.S
)
_HINT: Final = "look at the file: edge-assistant models verify"
_PEAK: Final = 0.9
"""Every sentence is scaled to this peak; piper-tts does the same to 1.0."""


class PiperTts:
    """One chunk for each sentence, without word times.

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
        self._scales = np.array(
            [
                self._config.inference.noise_scale,
                self._config.inference.length_scale / rate,
                self._config.inference.noise_w,
            ],
            dtype=np.float32,
        )
        self._speaker = _chosen_speaker(self._config, speaker)
        self._session: Any = open_session(model, hint=_HINT, num_threads=num_threads)
        self._inputs = _checked_inputs(self._session, model, self._config)
        self._phonemizer = _phonemizer(config, self._config)

    @property
    def sample_rate(self) -> int:
        return self._config.audio.sample_rate

    @property
    def gives_word_times(self) -> bool:
        return False

    def synthesize(self, text: str, token: CancelToken) -> Iterator[SpeechChunk]:
        """Yield one chunk for each sentence in which something can be spoken.

        Cancel: from any thread, within one graph node (13 ms on a medium voice, measured).

        Raises:
            SynthesisError: phonemes or inference failed, or gave silence; the voice stays usable.
        """
        token.raise_if_cancelled()
        if self._session is None:
            raise SynthesisError("voice-closed", "the Piper voice was closed", "build a new one")
        sentences = list(self._sentences(text))
        for index, (start, end, phoneme_ids) in enumerate(sentences):
            token.raise_if_cancelled()
            raw = _joined([self._infer(ids, token) for ids in phoneme_ids])
            samples = _levelled(raw)
            cut, kept = leading_cut(samples, self.sample_rate)
            is_last = index == len(sentences) - 1
            yield SpeechChunk(
                samples=with_pause(samples[cut:], text[start:end], self.sample_rate),
                start_char=start,
                end_char=len(text) if is_last else end,
                words=None,
                leading_silence_frames=kept,
            )

    def close(self) -> None:
        self._session = None

    def _sentences(self, text: str) -> Iterator[tuple[int, int, list[list[int]]]]:
        """(start, end, phoneme ids of each part) of every sentence that can be said; no gaps."""
        # [[ ]] would make piper-tts read phonemes; blanks keep the positions.
        plain = harmless(text).replace("[[", "  ").replace("]]", "  ")
        start = 0
        for match in _SENTENCE.finditer(plain):
            if not any(char.isalnum() for char in match[0]):
                continue
            parts = self._phoneme_ids(match[0])
            if parts:
                yield start, match.end(), parts
                start = match.end()

    def _phoneme_ids(self, sentence: str) -> list[list[int]]:
        try:
            parts = [part for part in self._phonemizer.phonemize(sentence) if part]
            return [list(self._phonemizer.phonemes_to_ids(part)) for part in parts]
        # A true border: espeakbridge raises RuntimeError, its tables KeyError, its helpers more.
        except Exception as error:
            raise SynthesisError(
                "phonemes-failed", f"Piper could not turn the text into phonemes: {error}"
            ) from error

    def _infer(self, phoneme_ids: list[int], token: CancelToken) -> NDArray[np.float32]:
        feed: dict[str, NDArray[Any]] = {
            "input": np.array([phoneme_ids], dtype=np.int64),
            "input_lengths": np.array([len(phoneme_ids)], dtype=np.int64),
            "scales": self._scales,
        }
        if "sid" in self._inputs:
            feed["sid"] = np.array([self._speaker], dtype=np.int64)
        try:
            with stoppable(token) as run_options:
                output = self._session.run(None, feed, run_options)[0]
        except InferenceFailed as error:
            raise SynthesisError("inference-failed", f"Piper could not speak: {error}") from error
        return np.asarray(output, dtype=np.float32).reshape(-1)


def _joined(parts: list[NDArray[np.float32]]) -> Samples:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _levelled(samples: Samples) -> Samples:
    """`samples` at the common peak; NaN and infinities are silence."""
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    peak = float(np.abs(finite).max(initial=0.0))
    if peak <= AUDIBLE:
        raise SynthesisError("voice-silent", "the Piper voice gave silence for a sentence")
    return sanitize(finite * np.float32(_PEAK / peak))


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


def _checked_inputs(session: Any, model: Path, config: PiperFile) -> frozenset[str]:
    names = frozenset(node.name for node in session.get_inputs())
    wanted = {"input", "input_lengths", "scales"} | ({"sid"} if config.num_speakers > 1 else set())
    if not wanted <= names <= wanted | {"sid"}:
        raise ModelIncompatible(
            "voice-unusable",
            f"{model.name} has the inputs {sorted(names)}, a Piper voice has {sorted(wanted)}",
            "edge-assistant models list shows voices that work",
        )
    return names


def _phonemizer(path: Path, config: PiperFile) -> Any:
    """piper-tts's text front end (it holds one espeak-ng of its own, behind its own lock)."""
    from piper.config import PiperConfig
    from piper.voice import PiperVoice

    # Every field that is read was checked; the session is ours, and PiperVoice only keeps it.
    voice = PiperVoice(session=None, config=PiperConfig.from_dict(msgspec.to_builtins(config)))
    try:
        voice.phonemize("a")
    except Exception as error:  # a true border, see _phoneme_ids
        raise ModelIncompatible(
            "voice-language-unknown",
            f"{path.name} asks for the espeak language {config.espeak.voice!r}: {error}",
            "edge-assistant models list shows voices that work",
        ) from error
    return voice
