"""What the language model's work cost, by turn, until an event tells it."""

from __future__ import annotations

import threading
from collections import Counter

from edge_assistant.llm.protocol import GenerationStats


class TokenLedger:
    """Every token is told once: what was done for a turn, with that turn.

    The rest (taking in the history between two turns, a reply that was still being broken off when
    its turn was over) is told with the next turn that ends, or when all is over. All methods may be
    called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[int, Counter[str]] = {}
        self._rest = _nothing()

    def open(self, turn: int) -> None:
        """Work for `turn` may come, until `close`."""
        with self._lock:
            self._turns.setdefault(turn, _nothing())

    def book(self, turn: int | None, stats: GenerationStats) -> None:
        """Note what a call cost; `turn` None: it was done for nobody in particular."""
        with self._lock:
            account = self._rest if turn is None else self._turns.get(turn, self._rest)
            account.update(
                tokens_computed=stats.evaluated_tokens, tokens_discarded=stats.dropped_tokens
            )

    def close(self, turn: int) -> dict[str, int]:
        """The fields of the event that tells of the turn's end."""
        with self._lock:
            account = self._turns.pop(turn, _nothing())
            account.update(self._rest)
            self._rest = _nothing()
            return dict(account)

    def close_all(self) -> dict[str, int]:
        """The fields of the last event: what was not told yet."""
        with self._lock:
            account = self._rest
            for each in self._turns.values():
                account.update(each)
            self._turns, self._rest = {}, _nothing()
            return dict(account)


def _nothing() -> Counter[str]:
    return Counter(tokens_computed=0, tokens_discarded=0)
