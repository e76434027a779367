"""Whisper through whisper.cpp: any ggml model, quantised or not, in the languages that it knows.

We call the binding under pywhispercpp's `Model`: that one would download a model that it does not
find, and keeps the parameters of one call for the next. One `whisper_full` a piece of audio; the
binding gives the GIL back for as long as it runs.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import (
    ModelCorrupt,
    ModelIncompatible,
    ModelNotFound,
    TranscriptionError,
)
from edge_assistant.stt import invention
from edge_assistant.stt.pieces import cut_at_pauses
from edge_assistant.stt.protocol import Segment, Transcript

LONGEST_S: Final = 28.0
"""Longest piece given to the model in one go: its window is 30 s."""

MIN_FRAMES: Final = SAMPLE_RATE
"""Shorter audio is padded with silence behind; whisper.cpp refuses what is below 0.1 s."""

_TOO_SHORT_FRAMES: Final = SAMPLE_RATE // 20
"""whisper.cpp takes its spectrum, drops the words before, and leaves it at that. Of less than 201
it would read beyond the end."""

MAX_AUDIO_CTX: Final = 1500
"""Encoder positions of the full 30 s window, 20 ms each."""

AUDIO_CTX_MARGIN: Final = 64
"""Positions beyond the audio at the least. Models that were not tuned for short windows fall into
loops without any (whisper.cpp discussion 1855 and the whisper-acft measurements give 64 to 128)."""

KEYS_STEP: Final = 256
"""whisper.cpp pads the keys of its flash attention to multiples of this."""

TOKENS_PER_S: Final = 6
SPARE_TOKENS: Final = 8
"""The decoder may write 6 tokens a second and 8 more: speech needs about 4."""

MIN_MEAN_LOG_PROB: Final = -1.0
"""The threshold that Whisper's authors call a failed decoding (`logprob_threshold`)."""

_LOGGER = logging.getLogger(__name__)
_ERROR_LEVEL: Final = 4
_HINT: Final = "edge-assistant models list"

_LATIN: Final = frozenset(
    {"en", "de", "es", "fr", "it", "nl", "pt", "pl", "sv", "da", "no", "fi", "cs", "ro", "hu", "tr"}
)
"""Languages in which a text in other letters is surely invented."""

_log_lines: list[tuple[int, str]] = []


class WhisperCppRecognizer:
    """`Recognizer` over one ggml file.

    Args:
        path: absolute path of the model, verified by the store. Never a name: a name would be
            downloaded.
        num_threads: threads of a pass; 0 = half the cores, until `set_threads` says otherwise.
        language: ISO 639-1 code, or `auto`; an English-only model takes everything for English.
        gpu: use Metal, CUDA or Vulkan where the binding was built with it.

    Raises:
        ValueError: `path` is not absolute.
        ModelNotFound: no such file.
        ModelCorrupt: whisper.cpp could not load it.
        ModelIncompatible: a language that Whisper does not know.
    """

    def __init__(
        self, path: Path, *, num_threads: int = 0, language: str = "en", gpu: bool = True
    ) -> None:
        if not path.is_absolute():
            raise ValueError(f"the path of a Whisper model must be absolute: {path}")
        if not path.is_file():
            raise ModelNotFound("model-not-found", f"No Whisper model at {path}", _HINT)
        self._is_fixed = num_threads > 0
        self._num_threads = num_threads or max(1, (os.cpu_count() or 1) // 2)
        self._context: Any | None = _load(path, gpu)
        self._language = self._known_language(language)
        self._is_latin = self._language in _LATIN

    def transcribe(self, audio: Samples, token: CancelToken) -> Transcript:
        """Text of the whole audio, one segment a piece. See `Recognizer.transcribe`.

        Cancel: whisper.cpp asks between the encoder and each decoder step, not inside them, so
        one encoder pass is the longest wait; the shortened `audio_ctx` keeps it short.
        """
        token.raise_if_cancelled()
        if self._context is None:
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
            text=" ".join(each.text for each in segments),
            segments=tuple(segments),
            language=self._heard_language() if segments else self._language,
        )

    def set_threads(self, num_threads: int) -> None:
        """Use this many threads from the next pass on, unless the settings name a number."""
        if not self._is_fixed:
            self._num_threads = num_threads

    def forget(self) -> None:
        """Drop the last words, and the spectrum of their sound, which whisper.cpp keeps until it
        hears more. What it computed of them stays as numbers until then."""
        if self._context is None:
            return
        silence = np.zeros(_TOO_SHORT_FRAMES, dtype=np.float32)
        _binding().whisper_full(self._context, self._params(1.0), silence, len(silence))

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        if self._context is not None:
            _binding().whisper_free(self._context)
            self._context = None

    def _text_of(self, piece: Samples, token: CancelToken) -> str:
        if invention.is_silent(piece):
            return ""
        binding = _binding()
        padded = np.zeros(max(len(piece), MIN_FRAMES), dtype=np.float32)
        padded[: len(piece)] = piece
        params = self._params(len(padded) / SAMPLE_RATE)
        # Called from C between two steps: it returns a bool and cannot raise.
        binding.assign_abort_callback(params, lambda: bool(token.is_cancelled))
        status = binding.whisper_full(self._context, params, padded, len(padded))
        token.raise_if_cancelled()
        if status != 0:
            raise TranscriptionError("stt-failed", f"whisper.cpp failed with status {status}")
        text, mean_log_prob = self._believable_text()
        if invention.is_invented(
            text,
            mean_log_prob=mean_log_prob,
            min_mean_log_prob=MIN_MEAN_LOG_PROB,
            latin=self._is_latin,
        ):
            _LOGGER.debug("left out as invented: mean log-probability %.2f", mean_log_prob)
            return ""
        return text

    def _params(self, seconds: float) -> Any:
        """Parameters made anew for every call, so that nothing of the last one sticks."""
        binding = _binding()
        params = binding.whisper_full_default_params(
            binding.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY
        )
        params.n_threads = self._num_threads
        params.language = self._language
        params.audio_ctx = audio_ctx(seconds, self._audio_positions())
        params.max_tokens = math.ceil(TOKENS_PER_S * seconds) + SPARE_TOKENS
        params.greedy = {"best_of": 1}
        params.single_segment = True
        params.no_timestamps = True
        params.no_context = True
        # No second and third decoding at a higher temperature: that costs up to ten times as much,
        # and our own rules judge the one there is.
        params.temperature = 0.0
        params.temperature_inc = 0.0
        # Whisper leaves out what it takes for no speech only where it is also unsure.
        params.no_speech_thold = 0.6
        params.logprob_thold = MIN_MEAN_LOG_PROB
        params.suppress_blank = True
        params.suppress_nst = True
        params.print_progress = False
        params.print_realtime = False
        params.print_timestamps = False
        params.print_special = False
        return params

    def _believable_text(self) -> tuple[str, float]:
        """What the last call gave, up to a loop, and the mean log-probability of its tokens."""
        binding, context = _binding(), self._context
        ids: list[int] = []
        pieces: list[bytes] = []
        total_log_prob = 0.0
        keep: int | None = None
        end_of_text = binding.whisper_token_eot(context)
        for segment in range(binding.whisper_full_n_segments(context)):
            for at in range(binding.whisper_full_n_tokens(context, segment)):
                token_id = binding.whisper_full_get_token_id(context, segment, at)
                if token_id >= end_of_text:
                    continue
                prob = binding.whisper_full_get_token_p(context, segment, at)
                total_log_prob += math.log(max(prob, 1e-10))
                ids.append(token_id)
                pieces.append(bytes(binding.whisper_token_to_bytes(context, token_id)))
                keep = invention.believable_tokens(ids) if keep is None else keep
        text = b"".join(pieces[:keep]).decode("utf-8", errors="replace").strip()
        return text, total_log_prob / max(len(ids), 1)

    def _audio_positions(self) -> int:
        return int(_binding().whisper_model_n_audio_ctx(self._context))

    def _heard_language(self) -> str:
        binding = _binding()
        return str(binding.whisper_lang_str(binding.whisper_full_lang_id(self._context)))

    def _known_language(self, language: str) -> str:
        binding = _binding()
        if not binding.whisper_is_multilingual(self._context):
            return "en"
        if language != "auto" and binding.whisper_lang_id(language) < 0:
            self.close()
            raise ModelIncompatible(
                "stt-language-unknown",
                f"Whisper does not know the language {language!r}",
                'edge-assistant config show (stt.language: a code such as "en", or "auto")',
            )
        return language


def audio_ctx(seconds: float, positions: int = MAX_AUDIO_CTX) -> int:
    """Encoder positions for audio of this length: 50 a second and a margin, at most `positions`.

    In whole steps of `KEYS_STEP`: whisper.cpp's attention computes on such steps without a mask, so
    what an earlier, longer call left behind the last position would count.
    """
    wanted = math.ceil(50 * seconds) + AUDIO_CTX_MARGIN
    return min(math.ceil(wanted / KEYS_STEP) * KEYS_STEP, positions)


def _load(path: Path, gpu: bool) -> Any:
    """A whisper context. The binding gives one even where loading failed, and using it is a crash.

    So what whisper.cpp logs while it loads decides: any line at error level is a failure, and so is
    its warning about a file that ends before the first tensor, which it takes for a test.
    """
    binding = _binding()
    options = binding.whisper_context_default_params()
    options.use_gpu = gpu
    _log_lines.clear()
    context = binding.whisper_init_from_file_with_params(str(path), options)
    errors = [
        text.strip()
        for level, text in _log_lines
        if level == _ERROR_LEVEL or "no tensors loaded" in text
    ]
    if errors:
        raise ModelCorrupt(
            "model-unreadable",
            f"{path} is no Whisper model: {'; '.join(errors)}",
            f"edge-assistant models verify {path}",
        )
    return context


@cache
def _binding() -> Any:
    """The extension module, its log led away from stderr.

    The hook is taken out again at exit: the extension lets go of it after the interpreter is gone,
    which ends the process with an abort.
    """
    import _pywhispercpp

    _pywhispercpp.whisper_log_set(_remember)
    atexit.register(_pywhispercpp.whisper_log_set, None)
    return _pywhispercpp


def _remember(level: int, text: str, *_: object) -> None:
    """Keep the last lines; called from C, so it must not raise."""
    _log_lines.append((int(level), str(text)))
    del _log_lines[:-64]
