"""The few calls of llama.cpp that we use, on plain Python values."""

from __future__ import annotations

import ctypes
import math
import os
import re
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from edge_assistant.errors import GenerationError, ModelIncompatible, ModelNotFound
from edge_assistant.llm.settings import Settings

ABORTED = 2
"""What `decode` returns when the abort switch stopped it (llama.h)."""
_ERROR_LEVEL = 3
"""GGML_LOG_LEVEL_ERROR (ggml.h)."""

PENALTY_TOKENS = 64
"""How far back a reply looks for its own words when it is penalised for saying them again."""
_LAYOUT = re.compile("[\n*#`|]|\N{LATIN CAPITAL LETTER C WITH DOT ABOVE}".encode())
"""Line breaks and the marks of markdown in a token's own spelling; the letter is how byte-level
vocabularies (GPT-2's and its heirs) write a line break."""

_log_lines: deque[str] = deque(maxlen=8)
_log_callback: Any = None
"""Kept for the life of the process: llama.cpp holds the bare pointer."""


class AbortSwitch:
    """Stops a running native call from any thread, without Python in the way.

    llama.cpp asks the callback after every node of the graph, 605 times a token on a 30-layer
    model. A Python callback costs about 5 ms a token when another Python thread is busy, so the
    callback is libc's `atoi` on a string that is "0" or "1".
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL("ucrtbase") if sys.platform == "win32" else ctypes.CDLL(None)
        self.function: int | None = ctypes.cast(libc.atoi, ctypes.c_void_p).value
        self._libc = libc
        self._text = ctypes.create_string_buffer(b"0")
        self.data = ctypes.cast(self._text, ctypes.c_void_p)

    def set(self) -> None:
        """Stop: the native call that runs, and each one after it until `clear`."""
        self._text[0] = b"1"

    def clear(self) -> None:
        """Let native calls run again."""
        self._text[0] = b"0"


class Native:
    """One model, one context, one sequence. One thread at a time, except for `abort`.

    Raises:
        ModelNotFound: there is no file at `path`.
        ModelIncompatible: llama.cpp cannot load it or cannot generate with it.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._lib = _library()
        self._model: Any = None
        self._context: Any = None
        self._sampler: Any = None
        self._batch: Any = None
        self.abort = AbortSwitch()
        with ExitStack() as undo:
            undo.callback(self.close)
            self._load(path, settings)
            self._open_context(path, settings)
            self._sampler = self._new_sampler(settings)
            self._batch = self._new_batch()
            undo.pop_all()

    def _load(self, path: Path, settings: Settings) -> None:
        if not path.is_file():
            raise ModelNotFound(
                "model-file-missing",
                f"there is no language model at {path}",
                f"edge-assistant models pull {settings.model}",
            )
        lib = self._lib
        params = lib.llama_model_default_params()
        params.n_gpu_layers = 0x7FFF_FFFF if settings.gpu_layers < 0 else settings.gpu_layers
        _log_lines.clear()
        self._model = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            raise _incompatible(path, "llama.cpp cannot load it")
        if not lib.llama_model_has_decoder(self._model):
            raise _incompatible(path, "it is not a model that generates text")
        self._vocab = lib.llama_model_get_vocab(self._model)
        self._num_tokens: int = lib.llama_vocab_n_tokens(self._vocab)
        self.is_recurrent = bool(
            lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model)
        )
        """The state of such a model cannot be cut at a token, only cleared."""

    def _open_context(self, path: Path, settings: Settings) -> None:
        lib = self._lib
        trained = lib.llama_model_n_ctx_train(self._model)
        params = lib.llama_context_default_params()
        params.n_ctx = min(settings.n_ctx, trained) if trained > 0 else settings.n_ctx
        params.n_batch = params.n_ubatch = settings.n_batch
        params.n_threads = _threads(settings.num_threads)
        params.n_threads_batch = _threads(settings.num_threads_batch)
        # With the small cache, sliding-window models (Gemma 3) could not be rolled back past the
        # window.
        params.swa_full = True
        params.n_outputs_max = 1  # a row of logits for each token of a batch would be 100 MB
        params.no_perf = True
        params.abort_callback = lib.ggml_abort_callback(self.abort.function)
        params.abort_callback_data = self.abort.data
        self._params = params
        self._context = lib.llama_init_from_model(self._model, params)
        if not self._context:
            raise _incompatible(path, "llama.cpp cannot make a context for it")
        self._memory = lib.llama_get_memory(self._context)
        if not self._memory:
            raise _incompatible(path, "it keeps no memory of a conversation")
        self.n_ctx: int = lib.llama_n_ctx(self._context)
        self.n_batch: int = lib.llama_n_batch(self._context)

    def _new_batch(self) -> Any:
        batch = self._lib.llama_batch_init(self.n_batch, 0, 1)
        for index in range(self.n_batch):
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
        return batch

    def _new_sampler(self, settings: Settings) -> Any:
        """Bias first, so that what may not be said takes no place among the likeliest."""
        lib = self._lib
        links = []
        if settings.plain_speech and (silenced := self._unspeakable()):
            biases = (lib.llama_logit_bias * len(silenced))(*((t, -math.inf) for t in silenced))
            links.append(lib.llama_sampler_init_logit_bias(self._num_tokens, len(biases), biases))
        links.append(
            lib.llama_sampler_init_penalties(
                self._num_tokens, PENALTY_TOKENS, settings.repeat_penalty, 0.0, 0.0
            )
        )
        if settings.temperature == 0.0:
            links.append(lib.llama_sampler_init_greedy())
        else:
            if settings.top_k:
                links.append(lib.llama_sampler_init_top_k(settings.top_k))
            links += [
                lib.llama_sampler_init_top_p(settings.top_p, 1),
                lib.llama_sampler_init_min_p(settings.min_p, 1),
                lib.llama_sampler_init_temp(settings.temperature),
                lib.llama_sampler_init_dist(settings.seed),
            ]
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for link in links:
            lib.llama_sampler_chain_add(chain, link)
        return chain

    def _unspeakable(self) -> list[int]:
        """Tokens of layout; 20 ms for a vocabulary of 49,000."""
        spelling = self._lib.llama_vocab_get_text
        return [
            token
            for token in range(self._num_tokens)
            if _LAYOUT.search(spelling(self._vocab, token) or b"")
            and not self.is_control(token)
            and not self.is_end(token)
        ]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Tokens of `text`, without a BOS token; control tokens are parsed only if `special`.

        Raises:
            GenerationError: the text has no tokens in this vocabulary.
        """
        # A lone surrogate (half an emoji from a broken source) has no UTF-8 form.
        encoded = text.encode("utf-8", errors="replace")
        capacity = len(encoded) + 8
        tokens = (self._lib.llama_token * capacity)()
        count: int = self._lib.llama_tokenize(
            self._vocab, encoded, len(encoded), tokens, capacity, False, special
        )
        if count < 0:
            raise GenerationError("tokenize-failed", f"{len(encoded)} bytes could not be tokenised")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes of a token, often half a character; empty for control tokens."""
        buffer = ctypes.create_string_buffer(64)
        length = self._lib.llama_token_to_piece(self._vocab, token, buffer, 64, 0, False)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = self._lib.llama_token_to_piece(self._vocab, token, buffer, -length, 0, False)
        return buffer.raw[:length]

    def is_end(self, token: int) -> bool:
        """True for any token that ends a reply in this vocabulary."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def is_control(self, token: int) -> bool:
        """True for role and other control tokens, which no user text may contain."""
        return bool(self._lib.llama_vocab_is_control(self._vocab, token))

    def decode(self, tokens: Sequence[int], position: int, *, want_logits: bool) -> int:
        """Evaluate at most `n_batch` tokens from `position` on; logits are of the last one.

        Returns:
            0, `ABORTED`, or another status of llama.cpp's. After anything but 0, `cut` the memory.
        """
        batch = self._batch
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = position + index
            batch.logits[index] = 0
        batch.logits[len(tokens) - 1] = want_logits
        return int(self._lib.llama_decode(self._context, batch))

    def cut(self, position: int) -> bool:
        """Forget everything from `position` on; False if the memory cannot (then `clear` it)."""
        lib = self._lib
        if not lib.llama_memory_seq_rm(self._memory, 0, position, -1):
            return False
        return bool(lib.llama_memory_seq_pos_max(self._memory, 0) == position - 1)

    def clear(self) -> None:
        """Forget everything."""
        self._lib.llama_memory_clear(self._memory, True)

    @property
    def state_facts(self) -> tuple[str, ...]:
        """What a saved state depends on, besides the model's file and the tokens."""
        params = self._params
        context = ("n_batch", "type_k", "type_v", "flash_attn_type", "swa_full", "kv_unified")
        return (
            self._lib.__version__,
            self._lib.llama_print_system_info().decode(errors="replace"),
            f"n_ctx={self.n_ctx}",
            *(f"{name}={getattr(params, name)}" for name in context),
        )

    def save(self) -> Any:
        """A copy of the memory's state, for `restore` where the model and `state_facts` are the
        same."""
        size = self._lib.llama_state_seq_get_size(self._context, 0)
        state = (ctypes.c_uint8 * size)()
        self._lib.llama_state_seq_get_data(self._context, state, size, 0)
        return state

    def restore(self, state: Any) -> bool:
        """Put a saved state (any writable buffer of bytes) in place of what is held; False if
        llama.cpp refuses (then `clear`)."""
        self.clear()
        data = (ctypes.c_uint8 * len(state)).from_buffer(state)
        return bool(self._lib.llama_state_seq_set_data(self._context, data, len(data), 0))

    def restart_sampler(self) -> None:
        """Begin a reply: the seed anew, and nothing said yet that could be penalised."""
        self._lib.llama_sampler_reset(self._sampler)

    def sample(self) -> int:
        """Choose a token from the logits of the last `decode`."""
        return int(self._lib.llama_sampler_sample(self._sampler, self._context, -1))

    def accept(self, token: int) -> None:
        """Count a token that was not sampled as said."""
        self._lib.llama_sampler_accept(self._sampler, token)

    def probability(self, tokens: Sequence[int]) -> float:
        """That the next token is one of these, by the logits of the last `decode`: in [0, 1]."""
        row = self._lib.llama_get_logits_ith(self._context, -1)
        logits = np.ctypeslib.as_array(row, shape=(self._num_tokens,)).astype(np.float64)
        weights = np.exp(logits - logits.max())
        return float(weights[list(tokens)].sum() / weights.sum())

    def set_threads(self, decode: int, batch: int) -> None:
        """Threads for the calls to come."""
        self._lib.llama_set_n_threads(self._context, decode, batch)

    def close(self) -> None:
        """Free all native memory; calling it twice is fine."""
        lib = self._lib
        if self._batch is not None:
            lib.llama_batch_free(self._batch)
        if self._sampler:
            lib.llama_sampler_free(self._sampler)
        if self._context:
            lib.llama_free(self._context)
        if self._model:
            lib.llama_model_free(self._model)
        self._batch = self._sampler = self._context = self._model = None


def _threads(asked: int) -> int:
    cores = os.cpu_count() or 1
    return min(asked, cores) if asked else max(1, min(4, cores // 2))


def _library() -> Any:
    import llama_cpp

    global _log_callback
    if _log_callback is None:
        _log_callback = llama_cpp.llama_log_callback(_keep_error)
        llama_cpp.llama_log_set(_log_callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
    return llama_cpp


def _keep_error(level: int, text: bytes, _data: Any) -> None:
    """Keep what llama.cpp says of an error, for our own message; drop the chatter."""
    if level == _ERROR_LEVEL:
        _log_lines.append(text.decode("utf-8", errors="replace").strip())


def _incompatible(path: Path, what: str) -> ModelIncompatible:
    # The first error line names the cause; those after it say that loading failed.
    cause = f": {_log_lines[0]}" if _log_lines else ""
    return ModelIncompatible(
        "llm-load-failed",
        f"{path.name}: {what}{cause}",
        "check the file with `edge-assistant models verify`, or choose another model",
    )
