"""What a model's weights are multiplied with when it reads a text.

As llama.cpp's own tool `llama-imatrix` does it: for each weight matrix of a layer, the sum of the
squares of each column of its input, over all tokens of the text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant import borders
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llm.ggml_tensor import open_ggml

CHUNK_TOKENS: Final = 512
"""How long the model may look back; what `llama-imatrix` takes. What is left over is not used."""
_BATCH_TOKENS: Final = 128
"""The logits of each token of a batch are kept: 25 MB with a vocabulary of 49,000."""


@dataclass(slots=True)
class Activations:
    """Sums over the text, by the name of the weight."""

    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of squares, a number for each column."""
    rows: dict[str, int] = field(default_factory=dict)
    """How many squares there are in each sum."""
    chunks: int = 0
    chunk_tokens: int = CHUNK_TOKENS

    def add(self, name: str, rows: NDArray[np.float32]) -> None:
        """Count what a weight was multiplied with: (num_rows, row_length)."""
        squares = np.square(rows, dtype=np.float64).sum(axis=0)
        self.sums[name] = self.sums.get(name, 0.0) + squares
        self.rows[name] = self.rows.get(name, 0) + len(rows)


def measure(
    source: Path,
    text: str,
    *,
    threads: int,
    on_share: Callable[[float], None],
    reason: Callable[[], str],
) -> Activations:
    """Run a model over a text, whole chunks of it.

    Args:
        source: a GGUF file that has been inspected.
        text: what it reads.
        threads: 0 for one a core.
        on_share: told the share done, after each chunk.
        reason: what llama.cpp last said of an error.

    Raises:
        WorkshopError: `text-too-short`, `imatrix-unsupported`, `llama-failed`, or
            `imatrix-not-finite` where the model's own numbers are not finite.
    """
    ggml = open_ggml()
    found = Activations()
    failures: list[Exception] = []

    def on_tensor(address: int, ask: bool, _data: Any) -> bool:
        """Called for each step of the graph: whether we want it, and then with it computed."""
        with borders.telling(failures.append):  # an exception cannot pass through C
            product = ggml.product(address)
            if product is None or not product.is_flat or not product.weight.startswith("blk."):
                return not ask
            if not ask:
                found.add(product.weight, product.rows(ggml))
            return True
        return False

    with _opened(source, threads, on_tensor, reason) as model:
        found.chunk_tokens = model.chunk_tokens
        chunks = list(model.chunks(text))
        for index, chunk in enumerate(chunks):
            status = model.read(chunk)
            if failures:
                raise failures[0]
            if status != 0:
                raise _failed(source, f"llama_decode gave {status}: {reason()}")
            on_share((index + 1) / len(chunks))
    found.chunks = len(chunks)
    if not all(np.isfinite(sums).all() for sums in found.sums.values()):
        raise WorkshopError(
            "imatrix-not-finite",
            f"{source.name} multiplies with numbers that are not finite",
            "edge-assistant models verify MODEL",
        )
    return found


class _Model:
    """A model and a context of llama.cpp's."""

    def __init__(self, lib: Any, model: Any, context: Any, chunk_tokens: int) -> None:
        self._lib, self._context = lib, context
        self._vocab = lib.llama_model_get_vocab(model)
        self._batch = lib.llama_batch_init(_BATCH_TOKENS, 0, 1)
        self.chunk_tokens = chunk_tokens

    def close(self) -> None:
        """Free the batch."""
        self._lib.llama_batch_free(self._batch)

    def chunks(self, text: str) -> Iterator[list[int]]:
        """Tokens of a text in whole chunks, each with a BOS where the model wants one.

        Raises:
            WorkshopError: `text-too-short`.
        """
        lib, data = self._lib, text.encode()
        tokens = (lib.llama_token * (len(data) + 8))()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), False, False)
        bos = [lib.llama_vocab_bos(self._vocab)] if lib.llama_vocab_get_add_bos(self._vocab) else []
        step = self.chunk_tokens - len(bos)
        if count < step:
            raise WorkshopError(
                "text-too-short",
                f"the text has {max(0, count)} tokens, an importance matrix needs {step} at least",
                "give a text of some 20,000 words or more, like those that the model will meet",
            )
        for start in range(0, count - step + 1, step):
            yield bos + tokens[start : start + step]

    def read(self, chunk: list[int]) -> int:
        """Evaluate a chunk; 0, or the status of llama.cpp's that ended it."""
        lib, batch = self._lib, self._batch
        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        for start in range(0, len(chunk), _BATCH_TOKENS):
            part = chunk[start : start + _BATCH_TOKENS]
            batch.n_tokens = len(part)
            for index, token in enumerate(part):
                batch.token[index] = token
                batch.pos[index] = start + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = 0
                # Or the last layer would be computed for the last token only.
                batch.logits[index] = True
            status = int(lib.llama_decode(self._context, batch))
            if status != 0:
                return status
        return 0


@contextmanager
def _opened(
    source: Path,
    threads: int,
    on_tensor: Callable[[int, bool, Any], bool],
    reason: Callable[[], str],
) -> Iterator[_Model]:
    """The model on the processor's cores, with `on_tensor` called for each step of its graph."""
    import llama_cpp as lib

    with ExitStack() as undo:
        params = lib.llama_model_default_params()
        params.n_gpu_layers = 0
        loaded = lib.llama_model_load_from_file(os.fsencode(source), params)
        if not loaded:
            raise _failed(source, reason())
        undo.callback(lib.llama_model_free, loaded)
        trained = lib.llama_model_n_ctx_train(loaded)
        chunk_tokens = min(CHUNK_TOKENS, trained) if trained > 0 else CHUNK_TOKENS
        options = lib.llama_context_default_params()
        options.n_ctx = chunk_tokens
        options.n_batch = options.n_ubatch = _BATCH_TOKENS
        options.n_threads = options.n_threads_batch = threads or os.cpu_count() or 1
        options.no_perf = True
        options.cb_eval = lib.llama_cpp.ggml_backend_sched_eval_callback(on_tensor)
        context = lib.llama_init_from_model(loaded, options)
        if not context:
            raise _failed(source, reason())
        undo.callback(lib.llama_free, context)
        model = _Model(lib, loaded, context, chunk_tokens)
        undo.callback(model.close)
        yield model


def _failed(source: Path, why: str) -> WorkshopError:
    return WorkshopError(
        "llama-failed",
        f"llama.cpp could not read the text with {source.name}: {why}",
        "check the file with `edge-assistant models verify`",
    )
