"""When a prompt's state is kept and recalled, on native code whose state is its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from edge_assistant.llm.memory import TokenMemory
from edge_assistant.llm.native import AbortSwitch, Native
from edge_assistant.llm.state_file import KeptPrompt, StateFolder

PROMPT = [5, 6, 7, 8, 9, 10]
FACTS = ("build 1", "n_ctx=256")


class Model:
    """Native code whose state is made of the tokens that it holds."""

    is_recurrent = False

    def __init__(self, *, refuses: bool = False) -> None:
        self.abort = AbortSwitch()
        self.refuses = refuses
        self.held: list[int] = []

    def decode(self, tokens: Sequence[int], position: int, *, want_logits: bool) -> int:
        self.held += tokens
        return 0

    def cut(self, position: int) -> bool:
        del self.held[position:]
        return len(self.held) == position

    def clear(self) -> None:
        self.held.clear()

    def save(self) -> Any:
        return bytearray(self.held)

    def restore(self, state: Any) -> bool:
        self.held = list(state)
        return not self.refuses


class Start:
    """A process with a model, and what it kept."""

    def __init__(self, folder: StateFolder, path: Path, *, refuses: bool = False) -> None:
        self.model = Model(refuses=refuses)
        self.memory = TokenMemory(cast(Native, self.model), chunk_tokens=4)
        self.kept = KeptPrompt(folder, path, FACTS)

    def say(self, *tokens: int) -> None:
        self.memory.roll_back(tokens, needs_logits=False)
        self.kept.keep_on_the_way(self.memory, tokens, lambda: None)
        self.memory.extend(tokens, lambda: None)

    def open(self) -> bool:
        """What every start begins with."""
        recalled = self.kept.recall(self.memory, PROMPT)
        self.say(*PROMPT)
        return recalled


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "cache" / "states")


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    return path


def test_a_prompt_is_recalled_by_the_next_start(folder: StateFolder, model_file: Path) -> None:
    first, second = Start(folder, model_file), Start(folder, model_file)
    assert not first.open()
    assert second.open()
    assert second.memory.tokens == second.model.held == PROMPT
    assert (second.memory.evaluated, second.memory.dropped) == (0, 0)
    second.say(*PROMPT[:4], 77)
    assert (second.memory.evaluated, second.memory.dropped) == (1, 2)


def test_only_an_empty_memory_recalls(folder: StateFolder, model_file: Path) -> None:
    first, second = Start(folder, model_file), Start(folder, model_file)
    first.open()
    second.say(*PROMPT[:2], 77)
    assert not second.kept.recall(second.memory, PROMPT)
    assert second.memory.tokens == [*PROMPT[:2], 77]


def test_who_speaks_before_the_prompt_is_evaluated_loses_nothing(
    folder: StateFolder, model_file: Path
) -> None:
    first, second = Start(folder, model_file), Start(folder, model_file)
    first.kept.recall(first.memory, PROMPT)
    first.say(*PROMPT[:3])  # broken off here
    first.say(*PROMPT, 77, 78)
    assert first.memory.tokens == first.model.held == [*PROMPT, 77, 78]
    assert second.open()
    assert second.model.held == PROMPT, "and no word behind it"


def test_a_memory_that_has_held_more_is_not_kept(folder: StateFolder, model_file: Path) -> None:
    start = Start(folder, model_file)
    start.say(*PROMPT, 77, 78)
    start.open()
    assert start.memory.tokens == PROMPT
    start.say(*PROMPT, 79)
    assert not folder.path.exists()


def test_another_conversation_is_not_kept(folder: StateFolder, model_file: Path) -> None:
    start = Start(folder, model_file)
    start.kept.recall(start.memory, PROMPT)
    start.say(*PROMPT[:3], 77)
    start.say(77)
    start.kept.recall(start.memory, [])
    start.say(78)
    assert not folder.path.exists()


def test_what_is_broken_off_is_kept_by_the_next_try(folder: StateFolder, model_file: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop() -> None:
        raise StoppedError

    start = Start(folder, model_file)
    start.kept.recall(start.memory, PROMPT)
    with pytest.raises(StoppedError):
        start.kept.keep_on_the_way(start.memory, PROMPT, stop)
    assert not folder.path.exists()
    start.say(*PROMPT)
    assert Start(folder, model_file).open()


def test_a_state_that_the_model_refuses_is_dropped(folder: StateFolder, model_file: Path) -> None:
    Start(folder, model_file).open()
    second = Start(folder, model_file, refuses=True)
    assert not second.kept.recall(second.memory, PROMPT)
    assert second.memory.tokens == second.model.held == []
    assert list(folder.path.iterdir()) == []


def test_another_model_file_or_build_finds_nothing(folder: StateFolder, model_file: Path) -> None:
    Start(folder, model_file).open()
    newer = KeptPrompt(folder, model_file, ("build 2", *FACTS[1:]))
    assert not newer.recall(Start(folder, model_file).memory, PROMPT)
    model_file.write_bytes(b"weighty")  # of the same size
    assert not Start(folder, model_file).open()
