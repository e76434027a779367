"""The language models that the tests of this folder run on, and what is said to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edge_assistant.cancel import CancelToken
from edge_assistant.llm.llamacpp import LlamaCpp
from edge_assistant.llm.protocol import LanguageModel, Message
from edge_assistant.llm.settings import Settings
from tests.engines.conftest import StarterFile
from tests.engines.tiny_gguf import write_tiny_gguf
from tests.fakes.engines import FakeLlm

GREEDY = Settings(temperature=0.0, max_tokens=24, num_threads=1, num_threads_batch=1)
SYSTEM = Message(role="system", content="You are a helpful voice assistant.")

Build = Callable[[Path, StarterFile], LanguageModel]


def user(text: str) -> Message:
    """What the user says."""
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    """What the user heard."""
    return Message(role="assistant", content=text)


def tiny_llm(path: Path, settings: Settings = GREEDY, *, template: str = "chatml") -> LlamaCpp:
    """A tiny model of random weights that was written to `path`."""
    return LlamaCpp(path, template=template, settings=settings)


def starter_llm(starter_file: StarterFile, settings: Settings = GREEDY, **changes: int) -> LlamaCpp:
    """The language model of the starter pack; `changes` are of the settings."""
    path = starter_file("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf")
    settings = msgspec.structs.replace(settings, **changes)
    return LlamaCpp(path, template="chatml", settings=settings)


def tiny_attention(folder: Path, _starter: StarterFile) -> LanguageModel:
    """A model that can be rolled back to any token."""
    return tiny_llm(write_tiny_gguf(folder / "tiny-llama.gguf"))


def tiny_recurrent(folder: Path, _starter: StarterFile) -> LanguageModel:
    """A model that cannot."""
    return tiny_llm(write_tiny_gguf(folder / "tiny-mamba.gguf", architecture="mamba"))


def starter(_folder: Path, starter_file: StarterFile) -> LanguageModel:
    """The real one."""
    return starter_llm(starter_file)


def fake(_folder: Path, _starter: StarterFile) -> LanguageModel:
    """The stand-in of the screenplays: its tokens are words, and it has no limits."""
    return FakeLlm("It is three o'clock in the afternoon.")


def reply(llm: LanguageModel, *messages: Message, token: CancelToken | None = None) -> str:
    """The whole reply."""
    return "".join(llm.generate(messages, token or CancelToken()))


@contextmanager
def closing(llm: LlamaCpp) -> Iterator[LlamaCpp]:
    """Close it afterwards."""
    try:
        yield llm
    finally:
        llm.close()
