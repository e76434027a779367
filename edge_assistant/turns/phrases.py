"""Words that the floor itself understands: stop phrases and the wake phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

_NOT_WORD = re.compile(r"[^\w\s']+")
_CLAUSE_END = re.compile(r"[.!?,;:]+")
_WORD = re.compile(r"\w[\w'\u2019]*")
_AROUND_STOP = {
    "please",
    "now",
    "ok",
    "okay",
    "hey",
    "just",
    "thanks",
    "thank",
    "you",
    "oh",
    "no",
    "wait",
}
"""Words that people put around a stop phrase and that change nothing in it."""

ALIKE = 0.8
"""How much of the wake phrase must be there, letter by letter (difflib's ratio). A small recogniser
hears "He's assistant" (0.92) and "Hey, as aistent" (0.83) for "hey assistant"; "this instant"
(0.70), which it hears too, stays out, since people say it."""


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
    content = tuple(word for word in words if word not in _AROUND_STOP)
    return any(
        said == phrase * (len(said) // len(phrase))
        for said in (words, content)
        for phrase in phrases
        if said and phrase
    )


def is_backchannel(text: str, backchannels: Iterable[str], *, is_whole: bool = True) -> bool:
    """Whether `text` only shows that somebody listens: some of these, one or several, or nothing.

    Where it is not `is_whole`, the last word may be the beginning of one.
    """
    phrases = [words_of(phrase) for phrase in backchannels]
    rest = words_of(text)
    while rest:
        fitting = [phrase for phrase in phrases if rest[: len(phrase)] == phrase]
        if fitting:
            rest = rest[max(len(phrase) for phrase in fitting) :]
            continue
        begun = " ".join(rest)
        return not is_whole and any(" ".join(phrase).startswith(begun) for phrase in phrases)
    return True


def repeats(text: str, spoken: str) -> bool:
    """Whether two or more words are, one after the other, among those just `spoken`: an echo may
    lose a word or get one wrong, so four in five are enough."""
    words, own = words_of(text), words_of(spoken)
    if len(words) < 2:
        return False
    longest = SequenceMatcher(None, words, own, autojunk=False).find_longest_match()
    begin = max(0, longest.b - longest.a - 1)
    near = own[begin : begin + len(words) + 2]  # common words are everywhere
    blocks = SequenceMatcher(None, words, near, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) >= ALIKE * len(words)


def after_wake_phrase(text: str, wake_phrase: str) -> str | None:
    """The rest of `text` after the wake phrase at its start, or after what sounds like it; None
    where it does not start so."""
    wake = "".join(words_of(wake_phrase))
    words = list(_WORD.finditer(text))
    count = len(words_of(wake_phrase))
    for taken in (count, count - 1, count + 1):
        said = "".join(words_of(" ".join(word[0] for word in words[:taken])))
        if 0 < taken <= len(words) and SequenceMatcher(None, wake, said).ratio() >= ALIKE:
            return text[words[taken - 1].end() :].lstrip(" ,.!?;:-").strip()
    return None
