"""A few things that people ask an assistant aloud, with answers that a rule can check.

They are easy on purpose: a model that has lost something in the making fails where it passed
before. Twelve answers are no measure of how clever a model is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge_assistant.llm.protocol import Message

MOST_TOKENS: Final = 60
_UNSPEAKABLE: Final = re.compile(r"[*#`|_\[\]{}<>]|https?:|\n")
"""Marks and addresses that a voice cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question, and what its answer must be like."""

    name: str
    messages: tuple[Message, ...]
    """The last one is the user's; those before it lead there."""
    holds: tuple[str, ...] = ()
    """Patterns, each of which must be found, without regard to case."""
    lacks: tuple[str, ...] = ()
    """Patterns, none of which may be found."""
    most_words: int = 40

    @property
    def question(self) -> str:
        """What the user said last."""
        return self.messages[-1].content


def _asked(*turns: str) -> tuple[Message, ...]:
    """Turns of a conversation, the user's first."""
    return tuple(
        Message(role="assistant" if at % 2 else "user", content=text)
        for at, text in enumerate(turns)
    )


TASKS: Final = (
    Task(name="capital", messages=_asked("What is the capital of France?"), holds=(r"\bparis\b",)),
    Task(
        name="days",
        messages=_asked("How many days are there in a week?"),
        holds=(r"\b(seven|7)\b",),
    ),
    Task(
        name="sum",
        messages=_asked("What is two plus three?"),
        holds=(r"\b(five|5)\b",),
        lacks=(r"\b(four|six|seven|4|6|7)\b",),
    ),
    Task(
        name="next day",
        messages=_asked("Which day comes after Tuesday?"),
        holds=(r"\bwednesday\b",),
        lacks=(r"\b(thursday|friday|sunday)\b",),
    ),
    Task(
        name="colour",
        messages=_asked("What colour do you get when you mix blue and yellow?"),
        holds=(r"\bgreen\b",),
    ),
    Task(
        name="opposite",
        messages=_asked("What is the opposite of hot?"),
        holds=(r"\b(cold|cool)\b",),
    ),
    Task(
        name="larger",
        messages=_asked("Which is larger, an elephant or a mouse?"),
        holds=(r"\belephants?\b",),
        lacks=(r"\bmouse is (the )?(larger|bigger)",),
    ),
    Task(
        name="yes or no",
        messages=_asked("Answer with yes or no: is ice cold?"),
        holds=(r"^\W*yes\b",),
        most_words=12,
    ),
    Task(
        name="name",
        messages=_asked("Hello, my name is Anna.", "Hello Anna.", "What is my name?"),
        holds=(r"\banna\b",),
    ),
    Task(
        name="moved",
        messages=_asked(
            "The meeting at three was moved. It begins at four o'clock now.",
            "Understood.",
            "When does the meeting begin?",
        ),
        holds=(r"\b(four|4)\b",),
        lacks=(r"\b(at|is|begins) (three|3)\b",),
    ),
    Task(
        name="french",
        messages=_asked("How do you say hello in French?"),
        holds=(r"\b(bonjour|salut)\b",),
    ),
    Task(
        name="short",
        messages=_asked("What is a rainbow? One short sentence, please."),
        holds=(r"\b(light|colou?rs?|arc|sun\w*|rain\w*)\b",),
        most_words=30,
    ),
)
"""Those that need an answer from before (`name`, `moved`) are short: a kiosk forgets, too."""


def faults(task: Task, answer: str) -> list[str]:
    """Why an answer does not pass; empty if it does."""
    if not answer.strip():
        return ["no answer"]
    found = [
        f"lacks {_plain(pattern)}"
        for pattern in task.holds
        if not re.search(pattern, answer, re.IGNORECASE)
    ]
    found += [
        f"says {wrong[0].lower()}"
        for pattern in task.lacks
        if (wrong := re.search(pattern, answer, re.IGNORECASE))
    ]
    if len(answer.split()) > task.most_words:
        found.append(f"more than {task.most_words} words")
    if _UNSPEAKABLE.search(answer):
        found.append("not speakable")
    return found


def _plain(pattern: str) -> str:
    """A pattern as a person reads it: `four or 4`."""
    text = re.sub(r"\\[bWw][*+]?|\^|\?|\(the \)", "", pattern).strip("()")
    return " or ".join(text.split("|"))
