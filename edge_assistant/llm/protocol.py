"""What a language model is to us."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edge_assistant.cancel import CancelToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One entry of the conversation as the model sees it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStats:
    """What one call of `prefill` or `generate` cost."""

    prompt_tokens: int
    """0 where the model only said again how its last reply to the same messages had begun."""
    reused_tokens: int
    """Tokens of the prompt that the KV cache already held; the rest was evaluated."""
    generated_tokens: int
    ttft_s: float
    """From the call to the first token; 0.0 where none came."""
    evaluated_tokens: int
    """Tokens that were given to the model, of the prompt and of the reply. A piece whose evaluation
    was broken off counts whole: nobody knows how far it came."""
    dropped_tokens: int
    """Tokens that this call took out of the KV cache, whichever call had put them there. What all
    calls evaluated, less what they dropped, is what the cache holds."""


class LanguageModel(Protocol):
    """Completes a conversation; one call at a time, on the `llm` thread.

    The KV cache is the model's own affair: each call keeps the longest prefix that it shares
    with the call before, so cutting the history cuts the cache.
    """

    @property
    def stats(self) -> GenerationStats:
        """Of the last call, also if it was cancelled or refused; `generate` begins with the first
        `next`."""
        ...

    @property
    def prompt_budget(self) -> int:
        """Most tokens that a prompt may have, so that a whole reply fits behind it."""
        ...

    def prefill(self, messages: Sequence[Message], token: CancelToken) -> None:
        """Evaluate `messages` ahead of time, up to where the next user message opens.

        Cancel: raises TurnCancelled within milliseconds on a CPU; what was evaluated stays valid.

        Raises:
            GenerationError: the engine failed or the prompt does not fit; the instance
                stays usable.
        """
        ...

    def generate(self, messages: Sequence[Message], token: CancelToken) -> Iterator[str]:
        """Yield the reply piece by piece, valid UTF-8 each, until the model ends it or a
        limit is met.

        Cancel: as `prefill`. Closing the iterator stops the generation.

        Raises:
            GenerationError: the engine failed or the prompt does not fit; the instance
                stays usable.
        """
        ...

    def end_probability(self, messages: Sequence[Message], token: CancelToken) -> float:
        """Probability in [0, 1] that the last message, which is the user's, ends with its last
        word.

        Evaluates the words on the way to a reply: `generate` with the same messages goes on from
        there, so the answer costs one row of logits.

        Cancel: as `prefill`.

        Raises:
            GenerationError: the engine failed or the prompt does not fit; the instance
                stays usable.
        """
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt for `messages`, so that a caller can drop the oldest turns
        in time."""
        ...

    def forget(self) -> None:
        """Forget every word of every conversation; the next prompt is evaluated from its start."""
        ...

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        ...
