"""The pinned chat templates, spelt out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.errors import ModelIncompatible
from edge_assistant.llm.prompt import TEMPLATES, Part, find_template, render, render_open_user
from edge_assistant.llm.protocol import Message

CONVERSATION = (
    Message(role="system", content="S"),
    Message(role="user", content="U"),
    Message(role="assistant", content="A"),
    Message(role="user", content=" V\n"),
)

SPELT = {
    "chatml": (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "qwen3": (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    ),
    "lfm2": (
        "<|startoftext|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
        "<|im_start|>assistant\n"
    ),
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "gemma": (
        "<bos><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
        "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n"
    ),
    "granite": (
        "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>U<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>A<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>V<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>"
    ),
}

names = st.sampled_from(sorted(TEMPLATES))
contents = st.text(max_size=30)
turns = st.lists(st.tuples(contents, contents), max_size=3)


def joined(parts: list[Part]) -> str:
    return "".join(part.text for part in parts)


def conversation(system: str | None, past: list[tuple[str, str]]) -> list[Message]:
    messages = [] if system is None else [Message(role="system", content=system)]
    for asked, answered in past:
        messages.append(Message(role="user", content=asked))
        messages.append(Message(role="assistant", content=answered))
    return messages


def test_every_template_is_spelt_out_here() -> None:
    assert set(SPELT) == set(TEMPLATES)


@pytest.mark.parametrize("name", SPELT)
def test_spelling(name: str) -> None:
    assert joined(render(CONVERSATION, find_template(name))) == SPELT[name]


@given(names, st.one_of(st.none(), contents), turns, contents)
def test_what_is_evaluated_ahead_begins_every_prompt(
    name: str, system: str | None, past: list[tuple[str, str]], user: str
) -> None:
    template = find_template(name)
    messages = conversation(system, past)
    ahead = render_open_user(messages, template)
    prompt = render([*messages, Message(role="user", content=user)], template)
    assert prompt[: len(ahead)] == ahead
    assert prompt[len(ahead)] == Part(text=user.strip(), special=False)


@given(names, contents, turns, contents)
def test_nobodys_words_stand_in_a_special_part(
    name: str, system: str, past: list[tuple[str, str]], user: str
) -> None:
    template = find_template(name)
    plain = [*conversation("", [("", "") for _ in past]), Message(role="user", content="")]
    said = [*conversation(system, past), Message(role="user", content=user)]
    ours = {part.text for part in render(plain, template) if part.special} | {"\n\n"}
    assert {part.text for part in render(said, template) if part.special} <= ours


@pytest.mark.parametrize("name", SPELT)
def test_markers_are_those_of_the_spelling(name: str) -> None:
    template = find_template(name)
    assert all(marker in template.open + template.close for marker in template.markers)


def test_unknown() -> None:
    with pytest.raises(ModelIncompatible) as caught:
        find_template("vicuna")
    assert caught.value.code == "unknown-chat-template"
    assert "chatml" in caught.value.message
