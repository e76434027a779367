"""The system prompt's state on disk, with real native code: the same replies, nobody's words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import pytest

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.llm import state_file
from edge_assistant.llm.llamacpp import LlamaCpp
from edge_assistant.llm.state_file import StateFolder
from tests.engines.conftest import StarterFile
from tests.engines.llm_model import GREEDY, SYSTEM, assistant, closing, reply, user
from tests.engines.tiny_gguf import write_tiny_gguf

Architecture = Literal["llama", "mamba"]
TINY = pytest.mark.parametrize("architecture", ["llama", "mamba"])
SECRET = "My PIN is four seven one one."
QUESTION = (SYSTEM, user("What is the capital of France?"))


class CancelledAtTheModel(CancelToken):
    """Cancelled when the model is about to begin: asked for the third time."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def raise_if_cancelled(self) -> None:
        self._asked += 1
        if self._asked == 3:
            self.cancel("a reply is due")
        super().raise_if_cancelled()


class World:
    """A model file and a folder of states; every model is like that of a new process."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.model = model
        self.states = StateFolder(folder / "states")

    def start(self, *, keeps: bool = True, template: str = "chatml") -> LlamaCpp:
        states = self.states if keeps else None
        return LlamaCpp(self.model, template=template, settings=GREEDY, states=states)

    def files(self) -> list[Path]:
        return sorted(self.states.path.iterdir()) if self.states.path.exists() else []

    def keep(self) -> Path:
        """A start that leaves its state behind."""
        with closing(self.start()) as llm:
            llm.prefill([SYSTEM], CancelToken())
            assert llm.stats.evaluated_tokens == llm.stats.prompt_tokens
        (path,) = self.files()
        return path


@pytest.fixture
def world(tmp_path: Path, architecture: Architecture) -> World:
    return World(tmp_path, write_tiny_gguf(tmp_path / "tiny.gguf", architecture=architecture))


@TINY
def test_the_next_start_evaluates_nothing_and_says_the_same(world: World) -> None:
    world.keep()
    with closing(world.start()) as warm, closing(world.start(keeps=False)) as cold:
        warm.prefill([SYSTEM], CancelToken())
        assert warm.stats.evaluated_tokens == 0
        assert warm.stats.dropped_tokens == 0
        assert warm.stats.reused_tokens == warm.stats.prompt_tokens > 0
        for messages in (QUESTION, (SYSTEM, user("a"), assistant("b"), user("c")), QUESTION):
            assert reply(warm, *messages) == reply(cold, *messages)


@TINY
def test_who_speaks_before_the_prompt_is_evaluated_leaves_the_same_state(world: World) -> None:
    path = world.keep()
    untouched = path.read_bytes()
    path.unlink()
    with closing(world.start()) as llm, closing(world.start(keeps=False)) as cold:
        with pytest.raises(TurnCancelled):
            llm.prefill([SYSTEM], CancelledAtTheModel())
        assert world.files() == []
        assert reply(llm, SYSTEM, user(SECRET)) == reply(cold, SYSTEM, user(SECRET))
    assert [each.read_bytes() for each in world.files()] == [untouched]


@TINY
def test_nothing_is_kept_of_a_model_that_has_heard_somebody(world: World) -> None:
    with closing(world.start()) as llm:
        assert reply(llm, SYSTEM, user(SECRET))
        llm.prefill([SYSTEM, user(SECRET), assistant("I see.")], CancelToken())
        llm.prefill([SYSTEM, user(SECRET)], CancelToken())
        llm.prefill([SYSTEM], CancelToken())  # all of it is rolled back
        llm.prefill([SYSTEM], CancelToken())
    assert world.files() == []


@TINY
def test_what_was_kept_stays_as_it_was_whatever_is_said(world: World) -> None:
    path = world.keep()
    untouched = path.read_bytes()
    with closing(world.start()) as llm:
        llm.prefill([SYSTEM], CancelToken())
        assert reply(llm, SYSTEM, user(SECRET))
        llm.prefill([SYSTEM, user(SECRET), assistant("I see.")], CancelToken())
        llm.prefill([SYSTEM], CancelToken())
    assert world.files() == [path]
    assert path.read_bytes() == untouched


@TINY
def test_another_file_prompt_or_template_finds_nothing(world: World, tmp_path: Path) -> None:
    world.keep()
    other = SYSTEM.__class__(role="system", content="You are a lighthouse.")
    with closing(world.start()) as llm:
        llm.prefill([other], CancelToken())
        assert llm.stats.reused_tokens == 0
    with closing(world.start(template="qwen3")) as llm:
        llm.prefill([SYSTEM], CancelToken())
        assert llm.stats.reused_tokens == 0
    world.model.write_bytes(world.model.read_bytes())  # written again: perhaps it is another
    with closing(world.start()) as llm:
        llm.prefill([SYSTEM], CancelToken())
        assert llm.stats.reused_tokens == 0
    assert len(world.files()) == 4


@TINY
def test_a_spoilt_file_is_replaced(world: World) -> None:
    path = world.keep()
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with closing(world.start()) as llm, closing(world.start(keeps=False)) as cold:
        llm.prefill([SYSTEM], CancelToken())
        assert llm.stats.reused_tokens == 0
        assert reply(llm, *QUESTION) == reply(cold, *QUESTION)
    assert path.read_bytes() == sound


@TINY
def test_a_state_that_llama_cpp_refuses_is_dropped(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Sound as a file, but not what native code expects: another kind of cache, say."""
    path = world.keep()
    size = path.stat().st_size
    key = path.read_bytes()[len(state_file._MAGIC) :][:32]
    path.unlink()
    world.states.save(key, bytes(size // 2))
    with (
        caplog.at_level(logging.DEBUG, state_file.__name__),
        closing(world.start()) as llm,
        closing(world.start(keeps=False)) as cold,
    ):
        llm.prefill([SYSTEM], CancelToken())
        assert llm.stats.evaluated_tokens == llm.stats.prompt_tokens
        assert reply(llm, *QUESTION) == reply(cold, *QUESTION)
    assert "refuses" in caplog.text
    assert path.stat().st_size == size, "and kept anew"


@TINY
def test_tokens_add_up_behind_a_kept_prompt(world: World) -> None:
    world.keep()
    with closing(world.start()) as llm:
        llm.prefill([SYSTEM], CancelToken())
        kept = llm.stats.reused_tokens
        computed = dropped = 0
        for text in ("one", "two"):
            reply(llm, SYSTEM, user(text))
            computed += llm.stats.evaluated_tokens
            dropped += llm.stats.dropped_tokens
        assert kept + computed - dropped == len(llm._memory.tokens)


@pytest.mark.model
def test_the_starter_model_says_the_same_behind_a_kept_prompt(
    tmp_path: Path, starter_file: StarterFile
) -> None:
    model = starter_file("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf")
    world = World(tmp_path, model)
    world.keep()
    with closing(world.start()) as warm, closing(world.start(keeps=False)) as cold:
        warm.prefill([SYSTEM], CancelToken())
        cold.prefill([SYSTEM], CancelToken())
        assert warm.stats.evaluated_tokens == 0
        assert reply(warm, *QUESTION) == reply(cold, *QUESTION) != ""
