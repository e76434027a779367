"""What the system does by itself: interrupts itself, speaks when nobody spoke, forgets or invents
what was heard."""

from __future__ import annotations

from typing import Final

from edge_assistant.bench.metrics import log
from edge_assistant.bench.metrics.channels import audible_runs, frames, seconds
from edge_assistant.bench.metrics.overlap import bounds
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Trial

CAUSE_S: Final = 1.5
"""A yield has a cause if anything sounded so shortly before it."""

PHANTOM_MERGE_S: Final = 1.0
"""Silence within a reply that does not make two phantoms of it."""

HEARD_SLACK_S: Final = 0.5
HEARD_SLACK_SHARE: Final = 0.2
"""How far the words and the sound may be apart: a voice's pace varies from sentence to sentence."""

NO_LOG: Final = "no event log"
FIGURES: Final = "figures were heard; how they are said is unknown"


def without_user(trial: Trial) -> bool:
    """Nobody speaks to the system in it."""
    return not any(s.is_user for s in trial.stimuli)


def anything(trial: Trial) -> bool:
    """Every trial."""
    return True


def with_echo(trial: Trial) -> bool:
    """It has a room, and nothing is played into the reply: only its own echo could silence it."""
    return trial.room is not None and all(s.begins != "into_reply" for s in trial.stimuli)


def is_uncaused(outcome: Outcome, at_s: float) -> bool:
    """Nothing that the examiner played sounded in the 1.5 s before."""
    at, since = frames(at_s), frames(at_s - CAUSE_S)
    for played in outcome.played:
        onset, end = bounds(played)
        if onset <= at and end >= since:
            return False
    return True


def self_interruptions(outcome: Outcome, context: Context) -> list[Observation]:
    """Yields without a cause, by seconds of reply; from the log."""
    trial = outcome.trial.id
    if not outcome.events:
        return [Void(trial=trial, reason=NO_LOG)]
    spoken_s = sum(run.seconds for run in audible_runs(outcome.reply))
    count = sum(
        is_uncaused(outcome, log.time_s(event)) for event in log.named(outcome.events, "yielded")
    )
    return [Sample(trial=trial, value=float(count), exposure=spoken_s)]


def floor_kept_under_echo(outcome: Outcome, context: Context) -> list[Observation]:
    """1 for a reply that its own echo did not silence; from the log."""
    trial = outcome.trial.id
    if not outcome.events:
        return [Void(trial=trial, reason=NO_LOG)]
    found: list[Observation] = []
    for reply in log.replies(outcome.events):
        if reply.end_s is None:
            found.append(Void(trial=trial, reason="the log does not say how the reply ended"))
        elif reply.ended == "finished" or is_uncaused(outcome, reply.end_s):
            found.append(Sample(trial=trial, value=float(reply.ended == "finished")))
        else:
            found.append(Void(trial=trial, reason="something else sounded when it was silenced"))
    return found or [Void(trial=trial, reason="no reply")]


def phantom_replies(outcome: Outcome, context: Context) -> list[Observation]:
    """Replies to nobody, by seconds; from the channel."""
    count = len(audible_runs(outcome.reply, PHANTOM_MERGE_S))
    return [_by_length(outcome, count)]


def phantom_turns(outcome: Outcome, context: Context) -> list[Observation]:
    """Turns that were committed though nobody spoke, audible or not, by seconds; from the log."""
    if not outcome.events:
        return [Void(trial=outcome.trial.id, reason=NO_LOG)]
    events = log.named(outcome.events, "committed", "playback_started")
    return [_by_length(outcome, len({event.get("turn") for event in events}))]


def _by_length(outcome: Outcome, count: int) -> Sample:
    length_s = seconds(len(outcome.reply))
    return Sample(trial=outcome.trial.id, value=float(count), exposure=length_s)


def heard_error(outcome: Outcome, context: Context) -> list[Observation]:
    """For silenced replies: seconds that the words in `heard` take at the voice's pace, minus the
    seconds that were audible. Above 0: the history claims more than was heard."""
    if not outcome.events:
        return [Void(trial=outcome.trial.id, reason=NO_LOG)]
    yields = [r for r in log.replies(outcome.events) if r.ended == "yielded"]
    return [_time_error(outcome, reply, context) for reply in yields] or [
        Void(trial=outcome.trial.id, reason="no reply was silenced")
    ]


def _time_error(outcome: Outcome, reply: log.LoggedReply, context: Context) -> Observation:
    row = "exact" if reply.is_exact else "estimate"
    pace = context.pace.get(outcome.system)
    if reply.heard is None or not pace:
        reason = "no `heard`" if reply.heard is None else "the voice's pace is unknown"
        return Void(trial=outcome.trial.id, reason=reason, row=row)
    if log.has_figures(reply.heard):
        return Void(trial=outcome.trial.id, reason=FIGURES, row=row)
    error_s = log.letters_in(reply.heard) / pace - log.audible_s(outcome, reply)
    return Sample(trial=outcome.trial.id, value=error_s, row=row)


def heard_exact(outcome: Outcome, context: Context) -> list[Observation]:
    """1 for a reply whose `heard` agrees with what was played, by words and by time.

    Played to its end: the words of `heard` are those of its clauses. Silenced: they are the first
    words of its clauses, and `heard_error` is within 0.5 s or a fifth of what was audible. The
    clauses count as they were spoken, where the log tells it.
    """
    if not outcome.events:
        return [Void(trial=outcome.trial.id, reason=NO_LOG)]
    return [
        _agrees(outcome, reply, context) for reply in log.replies(outcome.events) if reply.ended
    ] or [Void(trial=outcome.trial.id, reason="no reply")]


def _agrees(outcome: Outcome, reply: log.LoggedReply, context: Context) -> Observation:
    trial = outcome.trial.id
    row = "finished" if reply.ended == "finished" else "exact" if reply.is_exact else "estimate"
    if reply.heard is None or not reply.spoken:
        return Void(trial=trial, reason="the log lacks `heard` or the reply's text", row=row)
    heard, spoken = log.words_of(reply.heard), log.words_of(reply.spoken)
    if log.has_figures(reply.spoken):
        return Void(
            trial=trial, reason="the text holds figures; how they are said is unknown", row=row
        )
    if reply.ended == "finished":
        return Sample(trial=trial, value=float(heard == spoken), row=row)
    if heard != spoken[: len(heard)]:
        return Sample(trial=trial, value=0.0, row=row)
    error = _time_error(outcome, reply, context)
    if isinstance(error, Void):
        return error
    slack_s = max(HEARD_SLACK_S, HEARD_SLACK_SHARE * log.audible_s(outcome, reply))
    return Sample(trial=trial, value=float(abs(error.value) <= slack_s), row=row)
