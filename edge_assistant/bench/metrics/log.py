"""Reading a system's own log, as docs/interfaces.md describes it.

The log of a stranger may lack any field: what is missing or of the wrong type is as if it had not
been said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge_assistant.bench.metrics.channels import audible_runs, frames
from edge_assistant.bench.trial import Outcome

Event = dict[str, Any]

EARLY_FRAMES: Final = frames(0.04)
"""Two blocks of the pipe: as much as a logged start may lie after the sound that it speaks of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedReply:
    """A reply that was heard, as the log tells it."""

    turn: int
    start_s: float
    """`playback_started`."""
    end_s: float | None
    """`playback_finished` or `yielded`; None where neither was logged."""
    ended: Literal["finished", "yielded", ""]
    heard: str | None
    is_exact: bool
    """The voice gave word times, so `heard` is not an estimate."""
    text: str
    """The clauses that were given to the voice before it ended, as they were written."""
    spoken: str
    """The same as the voice was to say them, numbers as words; as written where a clause does not
    tell."""
    transcript: str
    """What the turn's last final transcript before it says: the prompt holds it."""


def number(event: Event, key: str) -> float | None:
    """A finite number, or None."""
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def text_of(event: Event, key: str) -> str:
    """A string, or an empty one."""
    value = event.get(key)
    return value if isinstance(value, str) else ""


def named(events: Iterable[Event], *names: str) -> Iterator[Event]:
    """The events of these names that have a time, in the order of the log."""
    for event in events:
        if event.get("event") in names and number(event, "t") is not None:
            yield event


def time_s(event: Event) -> float:
    """When it was; only for events that `named` gave."""
    at_s = number(event, "t")
    assert at_s is not None
    return at_s


def words_of(text: str) -> list[str]:
    """Words in lower case, without punctuation; apostrophes stay, hyphens part."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("\u2019", "'"))


def has_figures(text: str) -> bool:
    """Whether a word of it is written in figures: how it is said, and how long, is unknown."""
    return not all(word.replace("'", "").isalpha() for word in words_of(text))


def letters_in(text: str) -> int:
    """Letters and digits."""
    return sum(character.isalnum() for character in text)


def replies(events: tuple[Event, ...]) -> tuple[LoggedReply, ...]:
    """All replies whose playback was logged, in order."""
    found = []
    for index, event in enumerate(events):
        if event.get("event") != "playback_started" or number(event, "t") is None:
            continue
        turn, draft = event.get("turn"), event.get("draft")
        if not isinstance(turn, int):
            continue
        later = [e for e in events[index:] if e.get("turn") == turn]
        end = next(named(later, "playback_finished", "yielded"), None)
        name = end["event"] if end else ""
        before_end = events[: index + _position(events[index:], end)]
        clauses = [
            e
            for e in named(before_end, "reply")
            if e.get("turn") == turn and e.get("draft") == draft
        ]
        transcripts = [
            text_of(e, "text")
            for e in named(events[:index], "transcript")
            if e.get("turn") == turn and e.get("final")
        ]
        found.append(
            LoggedReply(
                turn=turn,
                start_s=time_s(event),
                end_s=time_s(end) if end else None,
                ended={"playback_finished": "finished", "yielded": "yielded"}.get(name, ""),  # type: ignore[arg-type]
                heard=text_of(end, "heard") if end and isinstance(end.get("heard"), str) else None,
                is_exact=bool(end and end.get("exact")),
                text=" ".join(text_of(e, "text") for e in clauses),
                spoken=" ".join(_spoken(e) for e in clauses),
                transcript=transcripts[-1] if transcripts else "",
            )
        )
    return tuple(found)


def _spoken(clause: Event) -> str:
    return text_of(clause, "spoken" if isinstance(clause.get("spoken"), str) else "text")


def _position(events: tuple[Event, ...], end: Event | None) -> int:
    """Index of this very event; the number of events without one."""
    return next((i for i, event in enumerate(events) if event is end), len(events))


def reply_at(logged: tuple[LoggedReply, ...], at_s: float) -> LoggedReply | None:
    """The last reply that had begun at `at_s` (and perhaps ended)."""
    begun = [reply for reply in logged if reply.start_s <= at_s]
    return begun[-1] if begun else None


def start_after(logged: tuple[LoggedReply, ...], at_s: float) -> LoggedReply | None:
    """The first reply that began after `at_s`."""
    return next((reply for reply in logged if reply.start_s > at_s), None)


def audible_s(outcome: Outcome, reply: LoggedReply) -> float:
    """Seconds of this reply that were heard, pauses of half a second or less included."""
    following = start_after(replies(outcome.events), reply.start_s)
    stop = frames(following.start_s) - EARLY_FRAMES if following else len(outcome.reply)
    begin = max(0, frames(reply.start_s) - EARLY_FRAMES)
    return sum(run.seconds for run in audible_runs(outcome.reply[begin : max(begin, stop)]))


def pace(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Letters a second of each system's voice, from its replies that were played to their end."""
    letters: dict[str, int] = {}
    duration_s: dict[str, float] = {}
    for outcome in outcomes:
        if outcome.void:
            continue
        for reply in replies(outcome.events):
            if reply.ended == "finished" and reply.heard and not has_figures(reply.heard):
                name = outcome.system
                letters[name] = letters.get(name, 0) + letters_in(reply.heard)
                duration_s[name] = duration_s.get(name, 0.0) + audible_s(outcome, reply)
    return {name: letters[name] / spent for name, spent in duration_s.items() if spent > 0.0}
