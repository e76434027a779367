"""What llama.cpp computes from a GGUF file: tokens of texts, and logits at every position."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge_assistant.errors import ModelIncompatible
from edge_assistant.llm.native import _library as quiet_library
from edge_assistant.store.headers import inspect

_N_CTX = 512


class GgufLogits:
    """One file, opened for exactness and not for speed: keys and values are kept in float32.

    One thread of llama.cpp's, because several wait for each other by spinning, and then other work
    on the machine holds up all of them. One caller at a time.

    It is a context manager; native memory is freed at its end.

    Raises:
        ModelCorrupt: the header does not hold.
        ModelIncompatible: `gguf-unusable`: llama.cpp cannot load it.
    """

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        inspect(path, "gguf")
        self._lib = quiet_library()
        self._path = path
        with ExitStack() as undo:
            self._model = self._open_model()
            undo.callback(self._lib.llama_model_free, self._model)
            self._vocab = self._lib.llama_model_get_vocab(self._model)
            self.vocab_size = int(self._lib.llama_vocab_n_tokens(self._vocab))
            self._context = self._open_context(num_threads)
            undo.callback(self._lib.llama_free, self._context)
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        self._undo.close()

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Tokens of a text without what is put around it; added tokens are found if `special`."""
        encoded = text.encode("utf-8", "replace")
        capacity = len(encoded) + 8
        tokens = (self._lib.llama_token * capacity)()
        count = self._lib.llama_tokenize(
            self._vocab, encoded, len(encoded), tokens, capacity, False, special
        )
        return list(tokens[: max(0, count)])

    def ends(self, token: int) -> bool:
        """Whether a reply is over at this token."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits after every token, from position 0 on: (tokens, vocab_size).

        Raises:
            ValueError: more tokens than the context holds.
            ModelIncompatible: `gguf-unusable`.
        """
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)
        return self._decode(tokens, 0)

    def greedy(self, text: Sequence[int], count: int) -> list[int]:
        """The likeliest `count` tokens after a text, each chosen with those before it.

        Raises:
            ValueError, ModelIncompatible: as `logits` does.
        """
        chosen: list[int] = []
        row = self.logits(text)[-1]
        while len(chosen) < count:
            chosen.append(int(row.argmax()))
            row = self._decode(chosen[-1:], len(text) + len(chosen) - 1)[-1]
        return chosen

    def _decode(self, tokens: Sequence[int], position: int) -> NDArray[np.float32]:
        if not 1 <= len(tokens) <= _N_CTX - position:
            raise ValueError(f"{len(tokens)} tokens at {position}; the context holds {_N_CTX}")
        lib = self._lib
        batch = lib.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for index, token in enumerate(tokens):
                batch.token[index] = token
                batch.pos[index] = position + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = 0
                batch.logits[index] = 1
            if lib.llama_decode(self._context, batch) != 0:
                raise self._unusable("it cannot be computed")
        finally:
            lib.llama_batch_free(batch)
        row = lib.llama_get_logits(self._context)
        pointer = ctypes.cast(row, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, (len(tokens), self.vocab_size)).copy()

    def _open_model(self) -> Any:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = 0
        params.check_tensors = True
        model = self._lib.llama_model_load_from_file(os.fsencode(self._path), params)
        if not model:
            raise self._unusable("llama.cpp cannot load it")
        return model

    def _open_context(self, num_threads: int) -> Any:
        params = self._lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = _N_CTX
        params.n_threads = params.n_threads_batch = num_threads
        params.type_k = params.type_v = self._lib.GGML_TYPE_F32
        params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        context = self._lib.llama_init_from_model(self._model, params)
        if not context:
            raise self._unusable("llama.cpp cannot make a context for it")
        return context

    def _unusable(self, what: str) -> ModelIncompatible:
        return ModelIncompatible(
            "gguf-unusable", f"{self._path.name}: {what}", "edge-assistant models verify FILE"
        )
