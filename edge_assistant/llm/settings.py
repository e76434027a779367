"""Settings of the language model."""

from __future__ import annotations

from typing import Annotated

import msgspec

SYSTEM_PROMPT = (
    "You are a helpful voice assistant. Answer the user's question in one short sentence."
)
"""Of seven tried on 22 spoken questions with SmolLM2-135M, the one with the shortest replies and no
lists; asking that model for "plain words, no lists" brings lists."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answers, at what cost, and in what manner."""

    model: str = "smollm2-135m-instruct"
    """Id in the catalog, or the path of a GGUF file."""
    template: str = ""
    """Chat template of the model's family, such as chatml or llama3, for a file of your own; empty
    = what the catalog says, or what the marks in the file tell."""
    system_prompt: str = SYSTEM_PROMPT
    """What the model is told before the conversation; evaluated once, then kept in the KV cache."""
    n_ctx: Annotated[int, msgspec.Meta(ge=256, le=131_072)] = 2048
    """Tokens of context, prompt and reply together; cut to what the model was trained with."""
    num_threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Threads for decoding, token by token; 0 = chosen for every call, by what else is at work.
    llama.cpp's threads wait for each other by spinning: on two cores with other work about, two
    threads took 71 ms a token where one took 6.6 ms."""
    num_threads_batch: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Threads for evaluating a prompt; 0 as above."""
    n_batch: Annotated[int, msgspec.Meta(ge=16, le=2048)] = 128
    """Tokens evaluated by one native call on a CPU."""
    gpu_layers: Annotated[int, msgspec.Meta(ge=-1, le=1024)] = 0
    """Layers on the GPU (Metal, CUDA, Vulkan, as the library was built); -1 = all, 0 = none."""
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 0.2
    """0 = always the likeliest token."""
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 40
    """Only the likeliest so many; 0 = no limit."""
    top_p: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 0.9
    """Only the likeliest that make up this probability; 1 = no limit."""
    min_p: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.05
    """Only what is at least this share as likely as the likeliest; 0 = no limit."""
    repeat_penalty: Annotated[float, msgspec.Meta(ge=1.0, le=2.0)] = 1.1
    """Divides the logits of what the reply said in its last 64 tokens; 1 = off."""
    plain_speech: bool = True
    """Never choose a line break or a mark of markdown: a voice cannot say them."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFE)] = 7
    """Restarted for every reply, so the same prompt gives the same reply, drafted once or twice."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 160
    """A reply is cut here."""
    wrap_up_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 45
    """From here on, a reply ends with the sentence that it is in."""
