"""What the memory of a language model counts, on native code that does as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import pytest

from edge_assistant.errors import GenerationError
from edge_assistant.llm.memory import TokenMemory
from edge_assistant.llm.native import ABORTED, AbortSwitch, Native

OK, FAILED = 0, -3
PROMPT = list(range(10))


class StoppedError(Exception):
    """What `check` raises."""


class Scripted:
    """Native code that gives the next of `statuses`, then always 0."""

    def __init__(self, *statuses: int, is_recurrent: bool = False) -> None:
        self._statuses = deque(statuses)
        self.is_recurrent = is_recurrent
        self.abort = AbortSwitch()

    def decode(self, tokens: Sequence[int], position: int, *, want_logits: bool) -> int:
        return self._statuses.popleft() if self._statuses else OK

    def cut(self, position: int) -> bool:
        return not self.is_recurrent

    def clear(self) -> None:
        """Nothing is kept."""

    def save(self) -> Any:
        return "state"

    def restore(self, state: Any) -> bool:
        return True


def memory_on(native: Scripted) -> TokenMemory:
    return TokenMemory(cast(Native, native), chunk_tokens=4)


def go_on() -> None:
    """Nobody wants it to stop."""


def counts(memory: TokenMemory) -> tuple[int, int, int]:
    return memory.evaluated, memory.dropped, len(memory.tokens)


def test_what_is_rolled_back_was_evaluated_in_vain() -> None:
    memory = memory_on(Scripted())
    memory.extend(PROMPT, go_on)
    assert counts(memory) == (10, 0, 10)
    assert memory.roll_back([0, 1, 2, 77], needs_logits=True) == 3
    assert counts(memory) == (10, 7, 3)
    memory.extend([0, 1, 2, 77], go_on)
    assert counts(memory) == (11, 7, 4)


def test_a_piece_that_is_broken_off_counts_whole_and_is_dropped() -> None:
    asked = 0

    def stop_after_the_abort() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise StoppedError

    memory = memory_on(Scripted(OK, ABORTED))
    with pytest.raises(StoppedError):
        memory.extend(PROMPT, stop_after_the_abort)
    assert counts(memory) == (8, 4, 4)


def test_a_piece_that_is_done_twice_counts_twice() -> None:
    memory = memory_on(Scripted(OK, ABORTED))  # by the token of an earlier call
    memory.extend(PROMPT, go_on)
    assert counts(memory) == (14, 4, 10)


def test_a_piece_that_fails_counts_too() -> None:
    memory = memory_on(Scripted(OK, OK, FAILED))
    with pytest.raises(GenerationError):
        memory.extend(PROMPT, go_on)
    assert counts(memory) == (10, 2, 8)


def test_a_state_that_cannot_be_cut_is_dropped_down_to_its_checkpoint() -> None:
    memory = memory_on(Scripted(is_recurrent=True))
    memory.extend(PROMPT[:6], go_on)
    memory.checkpoint()
    memory.extend(PROMPT, go_on)
    assert memory.roll_back([*PROMPT[:8], 77], needs_logits=True) == 6
    assert counts(memory) == (10, 4, 6)
    assert memory.roll_back([77], needs_logits=True) == 0
    assert counts(memory) == (10, 10, 0)
