"""A language model: how fast it reads and writes, and when the first token comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.probe import Job, Sheet
from edge_assistant.llm.protocol import LanguageModel, Message

REPLY_TOKENS: Final = 48
"""Longest reply; the model may end earlier."""

EXCHANGES: Final = (
    ("What is the capital of France?", "The capital of France is Paris."),
    (
        "How long does it take to boil an egg?",
        "A soft egg takes about six minutes in boiling water, and a hard egg about ten.",
    ),
)
QUESTION: Final = "Tell me a long story about a fox and a crow who live by the sea."


class LlmProbe:
    """Asks one question after a short conversation, with the cache in four different states."""

    def __init__(self, model: LanguageModel, system_prompt: str) -> None:
        self._model = model
        self._history = [Message(role="system", content=system_prompt)]
        for asked, answered in EXCHANGES:
            self._history.append(Message(role="user", content=asked))
            self._history.append(Message(role="assistant", content=answered))
        self._prompt = [*self._history, Message(role="user", content=QUESTION)]

    def first_call(self, token: CancelToken) -> None:
        """To the first token of a reply."""
        self._first_token_s(token)

    def measure(self, sheet: Sheet, token: CancelToken) -> None:
        """Rates, and first tokens from cold to exact hit."""
        self._forget(token)
        began_s = time.perf_counter()
        self._model.prefill(self._prompt, token)
        took_s = time.perf_counter() - began_s
        stats = self._model.stats
        sheet.put("prompt_tokens", stats.prompt_tokens)
        sheet.put("prefill_rate", (stats.prompt_tokens - stats.reused_tokens) / took_s)
        self._reply(sheet, token)
        # It remembers how its last reply to the same prompt had begun.
        sheet.put("ttft_again_s", self._first_token_s(token))
        self._forget(token)
        sheet.put("ttft_cold_s", self._first_token_s(token))
        self._model.prefill(self._history, token)
        sheet.put("ttft_prefix_s", self._first_token_s(token))
        stats = self._model.stats
        sheet.put("new_tokens", stats.prompt_tokens - stats.reused_tokens)

    def jobs(self) -> tuple[Job, ...]:
        """The prompt from cold, and a reply to it."""

        def prefill(token: CancelToken, begin: Callable[[], None]) -> None:
            self._forget(token)
            begin()
            self._model.prefill(self._prompt, token)

        def decode(token: CancelToken, begin: Callable[[], None]) -> None:
            self._model.prefill(self._prompt, token)
            for count, _ in enumerate(self._model.generate(self._prompt, token)):
                if count == 0:
                    begin()

        return Job(name="llm_prefill", run=prefill), Job(name="llm_decode", run=decode)

    def close(self) -> None:
        """Give the memory back."""
        self._model.close()

    def _forget(self, token: CancelToken) -> None:
        """Empty the cache, but for the few control tokens that begin every prompt."""
        self._model.prefill((), token)

    def _reply(self, sheet: Sheet, token: CancelToken) -> None:
        """A whole reply to the prompt that has just been evaluated."""
        times_s: list[float] = []
        counts: list[int] = []
        for _ in self._model.generate(self._prompt, token):
            times_s.append(time.perf_counter())
            counts.append(self._model.stats.generated_tokens)
        sheet.put("ttft_exact_s", self._model.stats.ttft_s)
        if len(counts) > 1:  # from the first piece to the last; one alone has no rate
            sheet.put("decode_rate", (counts[-1] - counts[0]) / (times_s[-1] - times_s[0]))

    def _first_token_s(self, token: CancelToken) -> float:
        for _ in self._model.generate(self._prompt, token):
            break  # letting go of the iterator stops the reply
        return self._model.stats.ttft_s
