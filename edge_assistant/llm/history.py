"""What was said so far, as both sides heard it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_assistant.llm.protocol import Message

TRIM_SHARE = 0.75
"""How full the budget is left after a trim: dropping one exchange a turn would spoil the KV prefix
each turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One turn: what the user said and what they heard of the reply."""

    user: str
    heard: str
    """The reply as far as it was heard; empty if it was cut off before its first word."""
    is_interrupted: bool = False


class History:
    """The exchanges of a conversation, oldest first. All methods may be called from any thread."""

    def __init__(self, exchanges: Sequence[Exchange] = ()) -> None:
        self._lock = threading.Lock()
        self._exchanges = tuple(exchanges)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """As of now; the tuple never changes."""
        return self._exchanges

    def append(self, exchange: Exchange) -> None:
        """Add a turn that is over."""
        with self._lock:
            self._exchanges = (*self._exchanges, exchange)

    def go_on(self, heard: str, *, is_interrupted: bool) -> None:
        """The last reply was taken up again where it had been cut, and this much more was heard."""
        with self._lock:
            if not self._exchanges:  # forgotten meanwhile
                return
            *before, last = self._exchanges
            whole = " ".join(part for part in (last.heard, heard) if part)
            last = Exchange(user=last.user, heard=whole, is_interrupted=is_interrupted)
            self._exchanges = (*before, last)

    def replace(self, exchanges: Sequence[Exchange]) -> None:
        """Put these in place of all that was there; none = forget the conversation."""
        with self._lock:
            self._exchanges = tuple(exchanges)

    def messages(self, system_prompt: str, user: str | None) -> list[Message]:
        """The conversation as the model sees it, with `user` as the message to answer.

        Roles alternate, as chat templates demand. An exchange of which nothing was heard therefore
        leaves no assistant message: what the user said in it stands at the head of their next
        message, which is also how it was meant ("what's the weather" - "in Paris"). An interrupted
        reply just ends where it did: a mark there (a dash, dots) is what a small model says next.

        Args:
            system_prompt: first message; empty = none.
            user: None for what can be evaluated before the user speaks: up to the last reply heard.
        """
        return _messages(self._exchanges, system_prompt, user)

    def fit(
        self,
        system_prompt: str,
        user: str | None,
        *,
        count: Callable[[Sequence[Message]], int],
        budget: int,
    ) -> list[Message]:
        """As `messages`, after forgetting the oldest exchanges for good where the prompt is too
        long.

        The system prompt and `user` are never cut, so the result can still be too long for the
        model, which then says so.

        Args:
            system_prompt: as for `messages`.
            user: as for `messages`.
            count: tokens of a prompt, such as `LanguageModel.count_tokens`.
            budget: most tokens of the prompt.
        """
        before = self._exchanges
        kept = before
        messages = _messages(kept, system_prompt, user)
        if count(messages) <= budget:
            return messages
        while kept and count(messages) > budget * TRIM_SHARE:
            kept = kept[1:]
            messages = _messages(kept, system_prompt, user)
        with self._lock:
            if self._exchanges[: len(before)] == before:  # otherwise it was replaced meanwhile
                self._exchanges = self._exchanges[len(before) - len(kept) :]
        return messages


def _messages(exchanges: Sequence[Exchange], system_prompt: str, user: str | None) -> list[Message]:
    messages = [Message(role="system", content=system_prompt)] if system_prompt else []
    unanswered: list[str] = []
    for exchange in exchanges:
        unanswered.append(exchange.user)
        heard = exchange.heard.strip()
        if not heard:
            continue
        messages.append(Message(role="user", content="\n".join(unanswered)))
        unanswered.clear()
        messages.append(Message(role="assistant", content=heard))
    if user is not None:
        messages.append(Message(role="user", content="\n".join([*unanswered, user])))
    return messages
