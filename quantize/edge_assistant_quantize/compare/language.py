"""What a language model makes of a text, beside the reference, and of the tasks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_assistant.bench.metrics.statistics import quantile
from edge_assistant.borders import failing_as
from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.readings import Round
from edge_assistant.errors import GenerationError
from edge_assistant.llm.protocol import Message
from edge_assistant.llm.settings import SYSTEM_PROMPT
from edge_assistant_quantize.compare import engines
from edge_assistant_quantize.compare.divergence import (
    Rows,
    Span,
    agreements,
    divergences,
    log_probabilities,
    spans,
    surprises,
)
from edge_assistant_quantize.compare.messages import Answer, Answered, Order, Read, Window
from edge_assistant_quantize.compare.tasks import MOST_TOKENS, TASKS, faults
from edge_assistant_quantize.errors import WorkshopError

WINDOW: Final = 256
STRIDE: Final = 128
LEAST_TOKENS: Final = 64
MOST_BYTES: Final = 500_000_000
"""Of the reference's predictions on the disk. A longer text, or a larger vocabulary, is held
against them at every second token, every third, and so on; the perplexity is of all."""
ROWS: Final = "reference.npy"
FACTS: Final = "reference.json"


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with the reference's rows."""

    vocabulary: str
    tokens: list[int]
    step: int


_FACTS: Final = msgspec.json.Decoder(_Facts)


class Reader:
    """A GGUF whose predictions can be read at every position.

    Raises:
        WorkshopError: `compare-unreadable`.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp

        self._lib = llama_cpp
        with failing_as(lambda error: _unreadable(path, str(error))):
            self._model: Any = llama_cpp.Llama(
                str(path),
                n_ctx=WINDOW,
                n_batch=WINDOW,
                n_threads=threads or None,
                n_threads_batch=threads or None,
                logits_all=True,
                verbose=False,
            )
        self._path = path
        self._vocab = llama_cpp.llama_model_get_vocab(self._model.model)
        self.size: int = llama_cpp.llama_vocab_n_tokens(self._vocab)
        self._bos: int | None = None
        if llama_cpp.llama_vocab_get_add_bos(self._vocab):
            self._bos = llama_cpp.llama_vocab_bos(self._vocab)

    def vocabulary(self) -> str:
        """Hash of the spelling of all tokens."""
        spelling = self._lib.llama_vocab_get_text
        found = hashlib.sha256()
        for token in range(self.size):
            text = spelling(self._vocab, token) or b""
            found.update(len(text).to_bytes(4, "little") + text)
        return found.hexdigest()

    def tokens(self, text: str) -> list[int]:
        """The text's tokens, behind a BOS where the model wants one."""
        begin = [] if self._bos is None else [self._bos]
        found = self._model.tokenize(text.encode(), add_bos=False, special=False)
        return [*begin, *found]

    def size_bytes(self, tokens: list[int]) -> int:
        """UTF-8 bytes of tokens."""
        return sum(len(self._model.detokenize([token])) for token in tokens)

    def predictions(self, tokens: list[int], span: Span) -> Rows:
        """Log probabilities before each scored token of the span, from an empty cache.

        Raises:
            GenerationError: the model failed, or what it says is not a number.
        """
        window = tokens[span.begin : span.end]
        if self._bos is not None:
            window[0] = self._bos  # of the context, never scored
        with failing_as(lambda error: GenerationError("compare-read-failed", str(error))):
            self._model.reset()
            self._model.eval(window)
        logits = self._model.scores[span.first - 1 - span.begin : span.end - 1 - span.begin]
        if not np.isfinite(logits).all():
            raise GenerationError(
                "compare-not-finite",
                f"{self._path.name} predicts what is not a number",
                "the file is broken: make it anew",
            )
        return log_probabilities(logits)

    def close(self) -> None:
        """Give the memory back."""
        self._model.close()


def read(order: Order) -> Answer:
    """Let a model read the text, then answer the tasks.

    The reference leaves its predictions in the shared folder; the others are held against them.

    Raises:
        EdgeAssistantError: the model cannot be loaded, failed, or the text is too short.
    """
    windows, vocabulary, is_comparable, found = _read_text(order)
    answer = Answer(round=Round(index=order.index))
    answer.read = Read(
        vocabulary=vocabulary,
        is_comparable=is_comparable,
        windows=windows,
        kl_high=quantile(found, 0.99) if len(found) else None,
        answers=_answers(order),
    )
    return answer


@dataclass(slots=True, kw_only=True)
class _Side:
    """The reference's rows: being written, or being read."""

    rows: NDArray[np.float32]
    step: int
    is_written: bool
    at: int = 0
    found: list[float] = field(default_factory=list)

    def hold(self, span: Span, predictions: Rows) -> tuple[float, int, int]:
        """Sum of divergences, positions, and agreements of one span."""
        kept = [at for at in range(span.first, span.end) if at % self.step == 0]
        mine = predictions[[at - span.first for at in kept]]
        rows = self.rows[self.at : self.at + len(kept)]
        self.at += len(kept)
        if self.is_written:
            rows[:] = mine
        kl = divergences(np.asarray(rows), mine)
        self.found += kl.tolist()
        return float(kl.sum()), len(kept), int(agreements(np.asarray(rows), mine).sum())


def _read_text(order: Order) -> tuple[list[Window], str, bool, list[float]]:
    reader = Reader(order.candidate.file(""), order.threads)
    try:
        tokens = reader.tokens(order.text)
        if len(tokens) < LEAST_TOKENS:
            raise WorkshopError(
                "compare-text-short",
                f"the text has {len(tokens)} tokens, {LEAST_TOKENS} are needed",
                "give a longer one: --text FILE",
            )
        vocabulary = reader.vocabulary()
        side = _side(order, reader, tokens, vocabulary)
        windows = []
        for span in spans(len(tokens), WINDOW, STRIDE):
            predictions = reader.predictions(tokens, span)
            scored = tokens[span.first : span.end]
            kl, rows, same = side.hold(span, predictions) if side else (0.0, 0, 0)
            windows.append(
                Window(
                    nll=float(surprises(predictions, scored).sum()),
                    tokens=len(scored),
                    size_bytes=reader.size_bytes(scored),
                    kl=kl,
                    rows=rows,
                    same=same,
                )
            )
    finally:
        reader.close()
    return windows, vocabulary, side is not None, side.found if side else []


def _side(order: Order, reader: Reader, tokens: list[int], vocabulary: str) -> _Side | None:
    """None where the model has other tokens than the reference."""
    shared = Path(order.shared)
    if order.is_reference:
        step = max(1, -(-len(tokens) * reader.size * 4 // MOST_BYTES))
        facts = _Facts(vocabulary=vocabulary, tokens=tokens, step=step)
        (shared / FACTS).write_bytes(msgspec.json.encode(facts))
        count = sum(1 for at in range(1, len(tokens)) if at % step == 0)
        rows = np.lib.format.open_memmap(
            shared / ROWS, mode="w+", dtype=np.float32, shape=(count, reader.size)
        )
        return _Side(rows=rows, step=step, is_written=True)
    facts = _FACTS.decode((shared / FACTS).read_bytes())
    if facts.vocabulary != vocabulary or facts.tokens != tokens:
        return None
    rows = np.load(shared / ROWS, mmap_mode="r")
    return _Side(rows=rows, step=facts.step, is_written=False)


def _answers(order: Order) -> list[Answered]:
    """Always the likeliest token, so that nothing is left to chance."""
    model = engines.language_model(
        order.candidate,
        order.threads,
        temperature=0.0,
        max_tokens=MOST_TOKENS,
        wrap_up_tokens=MOST_TOKENS,
    )
    try:
        found = []
        for task in TASKS:
            messages = [Message(role="system", content=SYSTEM_PROMPT), *task.messages]
            text = "".join(model.generate(messages, CancelToken())).strip()
            found.append(Answered(task=task.name, text=text, faults=faults(task, text)))
        return found
    finally:
        model.close()


def _unreadable(path: Path, reason: str) -> WorkshopError:
    return WorkshopError(
        "compare-unreadable",
        f"{path.name} cannot be read for comparison: {reason}",
        f"edge-assistant models verify {path}",
    )
