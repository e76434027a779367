"""Pinned chat templates: how a conversation is spelt for each family of models.

The template inside a model file is a program in a language with loops, written by whoever made the
file; it is never run. Ours are data, checked in, and each names where it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge_assistant.errors import ModelIncompatible
from edge_assistant.llm.protocol import Message

CLOSING: Final = ".?!,;: "
"""What a recogniser may put behind the last word."""

SENTENCE_ENDS: Final = (".", "?", "!")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of the prompt that is tokenised on its own."""

    text: str
    special: bool
    """True: ours, control tokens in it count. False: somebody's words, control tokens are
    letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The spelling of one family of models."""

    name: str
    open: str
    """Opens a message; `{role}` is replaced."""
    close: str
    """Closes a message."""
    markers: tuple[str, ...]
    """Control tokens of the spelling; each must be one token of the model's vocabulary. A reply
    that spells one out letter by letter ends there."""
    start: str = ""
    """Goes before the first message."""
    open_reply: str = ""
    """Follows the opening of the message that the model is to write."""
    assistant: str = "assistant"
    """What the family calls the assistant's role."""
    has_system: bool = True
    """False: the system prompt goes in front of the first user message."""


def _chatml(name: str, **changes: str) -> Template:
    return Template(
        name=name,
        open="<|im_start|>{role}\n",
        close="<|im_end|>\n",
        markers=("<|im_start|>", "<|im_end|>"),
        **changes,  # type: ignore[arg-type]
    )


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        # SmolLM2 (the same as the template inside the starter's file) and Qwen2.5. This and those
        # below follow the families' published formats as we know them; of these, only SmolLM2's
        # was held against its file. The markers of all are checked against the model at load.
        _chatml("chatml"),
        # Qwen3 with enable_thinking=False: the model finds its thoughts already thought.
        _chatml("qwen3", open_reply="<think>\n\n</think>\n\n"),
        # LFM2: ChatML behind a start-of-text token.
        _chatml("lfm2", start="<|startoftext|>"),
        # Llama 3.x, without the date block that the 3.1 and 3.2 files add: we know no honest date.
        Template(
            name="llama3",
            start="<|begin_of_text|>",
            open="<|start_header_id|>{role}<|end_header_id|>\n\n",
            close="<|eot_id|>",
            markers=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        ),
        # Gemma 2 and 3: no system role, the assistant is called model.
        Template(
            name="gemma",
            start="<bos>",
            open="<start_of_turn>{role}\n",
            close="<end_of_turn>\n",
            markers=("<start_of_turn>", "<end_of_turn>"),
            assistant="model",
            has_system=False,
        ),
        # Granite 3 and 4.
        Template(
            name="granite",
            open="<|start_of_role|>{role}<|end_of_role|>",
            close="<|end_of_text|>\n",
            markers=("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
        ),
    )
}


def find_template(name: str) -> Template:
    """The pinned template called `name`.

    Raises:
        ModelIncompatible: there is none.
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        known = ", ".join(sorted(TEMPLATES))
        raise ModelIncompatible(
            "unknown-chat-template",
            f"no chat template is called {name!r}; known are {known}",
            "name the one of the model's family: edge-assistant run --set llm.template=NAME",
        ) from None


def render(messages: Sequence[Message], template: Template) -> list[Part]:
    """The prompt for a reply to `messages`, ending with the opened assistant message."""
    opened = template.open.format(role=template.assistant) + template.open_reply
    return [*_history(messages, template), Part(text=opened, special=True)]


def render_open_user(messages: Sequence[Message], template: Template) -> list[Part]:
    """The prompt up to where the words of the next user message begin.

    It is, part by part, the beginning of `render([*messages, user_message], template)`, so what was
    evaluated for it is still right whatever the user says.
    """
    return list(_history(messages, template, open_user=True))


def render_unfinished(messages: Sequence[Message], template: Template) -> list[Part]:
    """The prompt up to the last word of the last message, as if it might go on.

    What closes a sentence is left out: recognisers put a full stop behind any fragment.
    """
    parts = list(_history(messages, template))[:-1]
    words = parts[-1].text.rstrip(CLOSING)
    return [*parts[:-1], Part(text=words, special=False)]


def _history(
    messages: Sequence[Message], template: Template, *, open_user: bool = False
) -> Iterator[Part]:
    if template.start:
        yield Part(text=template.start, special=True)
    preface = ""
    for message in messages:
        content = message.content.strip()
        if message.role == "system" and not template.has_system:
            preface = content
            continue
        role = template.assistant if message.role == "assistant" else message.role
        yield Part(text=template.open.format(role=role), special=True)
        if preface and message.role == "user":
            yield from _preface(preface)
            preface = ""
        yield Part(text=content, special=False)
        yield Part(text=template.close, special=True)
    if open_user:
        yield Part(text=template.open.format(role="user"), special=True)
        if preface:
            yield from _preface(preface)


def _preface(text: str) -> Iterator[Part]:
    yield Part(text=text, special=False)
    yield Part(text="\n\n", special=True)
