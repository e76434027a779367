"""One outcome as a page shows it: envelopes, what was said, what the system logged, the sound."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.metrics import log
from edge_assistant.bench.metrics.channels import audible_runs, seconds
from edge_assistant.bench.report.envelope import LONGEST_AUDIO_S, envelope, flac
from edge_assistant.bench.report.model import Mark, Span, Timeline
from edge_assistant.bench.trial import Outcome, Played

STEP_S: Final = 0.02
"""A syllable is ten of these; 45 s of a trial are 2,250 values."""

_MOST_MARKS: Final = 400
_LONGEST_TEXT: Final = 400
_BEFORE_REPLY_S: Final = 15.0


def timeline(outcome: Outcome) -> Timeline:
    """Everything to look at and listen to."""
    length_s = max(len(outcome.user), len(outcome.reply)) / SAMPLE_RATE
    begin_s = _begin_s(outcome) if length_s > LONGEST_AUDIO_S else 0.0
    return Timeline(
        step_s=STEP_S,
        user=envelope(outcome.user, STEP_S),
        reply=envelope(outcome.reply, STEP_S),
        spans=(*_stimuli(outcome), *_replies(outcome)),
        marks=tuple(_marks(outcome)),
        audio=flac(outcome.user, outcome.reply, begin_s),
        audio_begin_s=begin_s,
    )


def _begin_s(outcome: Outcome) -> float:
    """A little before the first reply: the rest of a long trial is waiting for it."""
    runs = audible_runs(outcome.reply)
    first_s = seconds(runs[0].start) if runs else 0.0
    return max(0.0, first_s - _BEFORE_REPLY_S)


def _stimuli(outcome: Outcome) -> Iterator[Span]:
    for played in outcome.played:
        stimulus = played.stimulus
        for at, (begin, end) in enumerate(played.speech() or (_whole(played),)):
            yield Span(
                begin_s=seconds(begin),
                end_s=seconds(end),
                who="user" if stimulus.is_user else "other",
                text=_clipped(stimulus.text) if at == 0 else "",
                label=f"{stimulus.role}: {stimulus.label}" + (" (goes on)" if at else ""),
            )


def _whole(played: Played) -> tuple[int, int]:
    return played.begin_frames, played.begin_frames + len(played.stimulus.sound)


def _replies(outcome: Outcome) -> Iterator[Span]:
    """The audible runs, with the words that the log says were heard in them."""
    logged = log.replies(outcome.events)
    told: set[float] = set()
    for run in audible_runs(outcome.reply):
        reply = log.reply_at(logged, seconds(run.start) + seconds(log.EARLY_FRAMES))
        is_new = reply is not None and reply.start_s not in told
        text = (reply.heard or reply.text) if reply is not None and is_new else ""
        if reply is not None:
            told.add(reply.start_s)
        yield Span(
            begin_s=seconds(run.start),
            end_s=seconds(run.end),
            who="system",
            text=_clipped(text),
            label="reply" if is_new or not logged else "reply (goes on)",
        )


def _marks(outcome: Outcome) -> Iterator[Mark]:
    for event in outcome.events[:_MOST_MARKS]:
        at_s, name = log.number(event, "t"), event.get("event")
        if at_s is not None and math.isfinite(at_s) and isinstance(name, str):
            yield Mark(at_s=at_s, name=name, text=_clipped(_about(event)))


def _about(event: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in event.items()
        if key not in ("t", "event")
    )


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."
