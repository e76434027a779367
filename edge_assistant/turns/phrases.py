"""Words that the floor itself understands: stop phrases and the wake phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOT_WORD = re.compile(r"[^\w\s']+")
_CLAUSE_END = re.compile(r"[.!?,;:]+")
_POLITE = {"please", "now", "ok", "okay", "hey", "just", "thanks", "thank you"}


def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words without punctuation."""
    return tuple(_NOT_WORD.sub(" ", text.lower().replace("\u2019", "'")).split())


def is_stop(text: str, stop_phrases: Iterable[str], *, at_end: bool = False) -> bool:
    """Whether `text` asks for silence: it is a stop phrase, said once or several times, or its
    last clause is one.

    "Stop." "Stop, stop!" "No, wait, stop." and "please stop" are; "stop the timer" and "when
    does the bus stop" are not. With `at_end`, words that merely end in a stop phrase count too: for
    a short stretch of speech after a pause, which a recogniser may run together with what went
    before.
    """
    phrases = {words_of(phrase) for phrase in stop_phrases}
    if at_end and any(words_of(text)[-len(phrase) :] == phrase for phrase in phrases if phrase):
        return True
    clauses = [words_of(clause) for clause in _CLAUSE_END.split(text)]
    last = next((clause for clause in reversed(clauses) if clause), ())
    return _matches(last, phrases) or _matches(words_of(text), phrases)


def _matches(words: tuple[str, ...], phrases: set[tuple[str, ...]]) -> bool:
    content = tuple(word for word in words if word not in _POLITE)
    if not content:
        return False
    return any(
        len(content) % len(phrase) == 0 and content == phrase * (len(content) // len(phrase))
        for phrase in phrases
        if phrase
    )


def after_wake_phrase(text: str, wake_phrase: str) -> str | None:
    """The rest of `text` after the wake phrase at its start; None where it does not start with
    it."""
    wake = words_of(wake_phrase)
    heard = words_of(text)
    if heard[: len(wake)] != wake:
        return None
    rest = text
    for word in wake:
        rest = re.split(re.escape(word), rest, maxsplit=1, flags=re.IGNORECASE)[-1]
    return rest.lstrip(" ,.!?;:-").strip()
