"""Moonshine through our own onnxruntime sessions: our threads, and stoppable between two operators.

A pass encodes the whole audio (there is no 30 s window as in Whisper: short audio costs little),
then decodes one token at a time, greedily, with a key-value cache.

Compared once with the library that ships the model (moonshine-voice 0.0.45, segmentation off) on
212 recordings of commands and read speech, the same frames given to both: on the library's
onnxruntime 1.23.2 all 212 texts are identical, on 1.31.1 it is 182, with nothing else changed.
Padding short audio is ours.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import ModelIncompatible, TranscriptionError
from edge_assistant.onnx import InferenceFailed, open_session, stoppable
from edge_assistant.stt import invention
from edge_assistant.stt.moonshine_decoder import MoonshineDecoder
from edge_assistant.stt.pieces import cut_at_pauses
from edge_assistant.stt.protocol import Segment, Transcript
from edge_assistant.stt.tokenizer import Tokenizer

MIN_FRAMES: Final = SAMPLE_RATE
"""Shorter audio is padded with silence behind. The encoder needs 0.06 s; with 1 s it gets single
words right more often (30 spoken digits cut tightly: 26 instead of 22)."""

LONGEST_S: Final = 28.0
"""Longest piece given to the model in one go; it was trained on up to 30 s."""

LONGEST_GUESS: Final = 48
"""Tokens taken over from the pass before as a guess, which is 8 s of speech and more than a piece
of a running transcript has: a longer guess that is wrong costs more than it could save."""

SAME_FRAMES: Final = SAMPLE_RATE // 2
"""Two pieces of a microphone's sound that begin with the same half second are the same piece."""

_LOGGER = logging.getLogger(__name__)

_HINT: Final = "edge-assistant models pull moonshine-tiny-en"


class MoonshineRecognizer:
    """`Recognizer` over Moonshine's `encoder_model.ort` and `decoder_model_merged.ort`.

    Args:
        encoder: absolute path of the encoder, verified by the store, as the other two.
        decoder: the merged decoder (with and without cache in one graph).
        tokenizer: `tokenizer.bin`.
        num_threads: threads of each session, for good; 1 leaves the other core to the LLM.

    Raises:
        ModelNotFound: a file is missing.
        ModelCorrupt: a file cannot be read.
        ModelIncompatible: ONNX models, but not these two.
    """

    def __init__(
        self, *, encoder: Path, decoder: Path, tokenizer: Path, num_threads: int = 1
    ) -> None:
        self._tokenizer = Tokenizer.read(tokenizer)
        self._encoder: Any | None = open_session(encoder, hint=_HINT, num_threads=num_threads)
        self._decoder: MoonshineDecoder | None = MoonshineDecoder(
            open_session(decoder, hint=_HINT, num_threads=num_threads)
        )
        encoder_inputs = {each.name for each in self._encoder.get_inputs()}
        if "input_values" not in encoder_inputs or not self._decoder.is_known:
            raise ModelIncompatible(
                "stt-model-unknown", f"{encoder} and {decoder} are not a Moonshine model", _HINT
            )
        self._encoder_wants_mask = "attention_mask" in encoder_inputs
        self._last: tuple[Samples, list[int]] = (np.zeros(0, dtype=np.float32), [])
        """Audio and tokens of the pass before."""

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        """Text of the whole audio, one segment a piece. See `Recognizer.transcribe`.

        Audio longer than `LONGEST_S` is cut where it is quietest. What the model made of silence,
        noise or a loop is left out (`stt.invention` has the rules).
        """
        token.raise_if_cancelled()
        if self._encoder is None:
            raise TranscriptionError("stt-closed", "The recogniser is closed")
        audio = sanitize(audio)
        segments: list[Segment] = []
        for start, end in cut_at_pauses(audio, longest_s=LONGEST_S):
            text = self._text_of(audio[start:end], token)
            if text:
                times = {"start_s": start / SAMPLE_RATE, "end_s": end / SAMPLE_RATE}
                segments.append(Segment(text=text, **times))
        token.raise_if_cancelled()
        return Transcript(
            text=" ".join(each.text for each in segments), segments=tuple(segments), language="en"
        )

    def forget(self) -> None:
        """Guess nothing from what was said before."""
        self._last = (np.zeros(0, dtype=np.float32), [])

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        self._encoder = None
        self._decoder = None

    def _text_of(self, piece: Samples, token: CancelToken) -> str:
        if invention.is_silent(piece):
            return ""
        try:
            with stoppable(token) as run_options:
                assert self._decoder is not None
                hidden, mask = self._encode(piece, run_options)
                decoded = self._decoder.decode(
                    hidden, mask, guess=self._guess(piece), run_options=run_options, token=token
                )
        except InferenceFailed as error:
            raise TranscriptionError("stt-failed", f"Moonshine failed: {error}") from error
        self._last = (piece[:SAME_FRAMES].copy(), decoded.ids[:LONGEST_GUESS])
        text = self._tokenizer.text(decoded.ids)
        if invention.is_invented(text, mean_log_prob=decoded.mean_log_prob):
            _LOGGER.debug("left out as invented: mean log-probability %.2f", decoded.mean_log_prob)
            return ""
        return text

    def _guess(self, piece: Samples) -> list[int]:
        """What the pass before heard, if this piece begins as that one did: somebody is still
        speaking."""
        beginning, ids = self._last
        is_same = len(beginning) > 0 and np.array_equal(beginning, piece[: len(beginning)])
        return ids if is_same else []

    def _encode(self, piece: Samples, run_options: Any) -> tuple[Any, Any]:
        """Hidden states and the mask of the (padded) audio that they belong to."""
        assert self._encoder is not None
        padded = np.zeros((1, max(len(piece), MIN_FRAMES)), dtype=np.float32)
        padded[0, : len(piece)] = piece
        mask = np.ones(padded.shape, dtype=np.int64)
        feed: dict[str, Any] = {"input_values": padded}
        if self._encoder_wants_mask:
            feed["attention_mask"] = mask
        (hidden,) = self._encoder.run(None, feed, run_options)
        return hidden, mask
