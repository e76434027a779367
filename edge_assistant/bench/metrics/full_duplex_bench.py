"""The figures of Full-Duplex-Bench v1.0 and v1.5, as near as they come without its recogniser.

Formulae: DanielLin94144/Full-Duplex-Bench at d7336bd, v1_v1.5/evaluation. Where it counts words of
a NeMo transcript and segments of Silero, audible runs of the loudspeaker's channel stand in, and
the number of words is known only where the system's log says what was heard. Its flaws are kept on
purpose, so that numbers can be compared; docs/bench-metrics.md names them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.bench.metrics import log
from edge_assistant.bench.metrics.channels import MERGE_S, Run, audible_runs, frames, seconds
from edge_assistant.bench.metrics.turn_taking import turns, unplayed
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Played, Trial

TOR_S: Final = 1.0
TOR_WORDS: Final = 3
"""Shorter than so many seconds and at most so many words: no take-over."""

USER_MERGE_S: Final = 0.6
"""Gaps of the user that v1.5 closes; those of the system are `MERGE_S`."""

LONG_S: Final = 3.0
"""A longer segment is never a backchannel."""

SILERO_MERGE_S: Final = 0.1
"""Silero's default shortest silence between two segments."""

BIN_S: Final = 0.2
EPSILON: Final = 1e-10


def takes_over(runs: tuple[Run, ...], outcome: Outcome) -> bool:
    """TOR: from the first word to the end of the last, 1 s or longer, or more than 3 words."""
    if not runs:
        return False
    if seconds(runs[-1].end - runs[0].start) >= TOR_S:
        return True
    words = words_in(runs, outcome)
    return words is not None and words > TOR_WORDS


def words_in(runs: tuple[Run, ...], outcome: Outcome) -> int | None:
    """Words heard in these runs; None where the log does not tell."""
    counted = 0
    logged = log.replies(outcome.events)
    for run in runs:
        reply = log.reply_at(logged, seconds(run.end))
        if reply is None or reply.heard is None or reply.start_s < seconds(run.start) - MERGE_S:
            return None
        counted += len(log.words_of(reply.heard))
    return counted


# --- v1.0 ------------------------------------------------------------------------------------


def applies_to_pauses(trial: Trial) -> bool:
    """The user pauses in it."""
    return any(s.role == "pause" for s in trial.stimuli)


def pause_tor(outcome: Outcome, context: Context) -> list[Observation]:
    """One value a file: everything that begins before the user's end. (Its files end there.)"""
    trial = outcome.trial.id
    observations: list[Observation] = []
    for turn in turns(outcome):
        if turn.stimulus.role == "pause":
            runs = tuple(run for run in audible_runs(outcome.reply) if run.start < turn.end)
            observations.append(Sample(trial=trial, value=float(takes_over(runs, outcome))))
    return observations or unplayed(outcome)


def applies_to_turns(trial: Trial) -> bool:
    """A finished question, nothing else: the rule looks at the whole file."""
    spoken = [s for s in trial.stimuli if s.is_user]
    return len(spoken) == 1 and spoken[0].role == "question"


def turn_tor(outcome: Outcome, context: Context) -> list[Observation]:
    """TOR over the whole file."""
    if not turns(outcome):
        return unplayed(outcome)
    value = takes_over(audible_runs(outcome.reply), outcome)
    return [Sample(trial=outcome.trial.id, value=float(value))]


def turn_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """First sound of the file minus the user's end, below 0 taken as 0, where TOR is 1."""
    runs, trial = audible_runs(outcome.reply), outcome.trial.id
    if not turns(outcome):
        return unplayed(outcome)
    if not takes_over(runs, outcome):
        return [Void(trial=trial, reason="TOR is 0")]
    end = turns(outcome)[0].end
    return [Sample(trial=trial, value=max(0.0, seconds(runs[0].start - end)))]


def applies_to_interruptions(trial: Trial) -> bool:
    """The user interrupts in it."""
    return any(s.role == "interruption" for s in trial.stimuli)


def _after_interruption(outcome: Outcome) -> tuple[Run, ...] | None:
    """Runs after the interruption's end, counted from there: what sounds on begins at 0."""
    played = _played(outcome, "interruption")
    if not played:
        return None
    return audible_runs(outcome.reply[played[0].speech()[-1][1] :])


def interruption_tor(outcome: Outcome, context: Context) -> list[Observation]:
    """TOR of what is audible after the interruption."""
    runs = _after_interruption(outcome)
    if runs is None:
        return [Void(trial=outcome.trial.id, reason="the interruption was not played")]
    # Positions are counted from the cut, so the log's words do not fit: length alone decides.
    value = bool(runs) and seconds(runs[-1].end - runs[0].start) >= TOR_S
    return [Sample(trial=outcome.trial.id, value=float(value))]


def interruption_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """First sound after the interruption's end, where TOR is 1."""
    runs, trial = _after_interruption(outcome), outcome.trial.id
    if runs is None:
        return [Void(trial=trial, reason="the interruption was not played")]
    if not runs or seconds(runs[-1].end - runs[0].start) < TOR_S:
        return [Void(trial=trial, reason="TOR is 0")]
    return [Sample(trial=trial, value=seconds(runs[0].start))]


def applies_to_monologues(trial: Trial) -> bool:
    """The user speaks at length: what the benchmark's ICC recordings are."""
    return any(s.role == "monologue" for s in trial.stimuli)


def backchannels(reply: NDArray[np.float32]) -> tuple[bool, tuple[Run, ...]]:
    """(take-over, short segments seen) as published: a segment over 3 s ends the search with a
    take-over, and among the others the last one decides."""
    is_taken = False
    short: list[Run] = []
    for run in audible_runs(reply, SILERO_MERGE_S):
        if run.seconds > LONG_S:
            return True, tuple(short)
        is_taken = run.seconds >= TOR_S
        short.append(run)
    return is_taken, tuple(short)


def backchannel_tor(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where the system took the floor during the monologue's file."""
    return [Sample(trial=outcome.trial.id, value=float(backchannels(outcome.reply)[0]))]


def backchannel_frequency(outcome: Outcome, context: Context) -> list[Observation]:
    """Short segments per second of the file."""
    length_s = seconds(len(outcome.reply))
    if not length_s:
        return [Void(trial=outcome.trial.id, reason="an empty recording")]
    short = backchannels(outcome.reply)[1]
    return [Sample(trial=outcome.trial.id, value=len(short) / length_s)]


def backchannel_jsd(outcome: Outcome, context: Context) -> list[Observation]:
    """Distance of when backchannels came from when people gave them; 1 without any."""
    trial = outcome.trial.id
    if context.backchannel_reference is None:
        return [Void(trial=trial, reason="no reference histogram of backchannels was given")]
    short = backchannels(outcome.reply)[1]
    if not short:
        return [Sample(trial=trial, value=1.0)]
    bins = max(1, int(np.ceil(seconds(len(outcome.reply)) / BIN_S)))
    histogram = np.zeros(bins)
    for run in short:
        first, last = int(seconds(run.start) / BIN_S), int(seconds(run.end - 1) / BIN_S)
        histogram[first : last + 1] += 1.0
    return [Sample(trial=trial, value=js_distance(histogram, context.backchannel_reference))]


def js_distance(histogram: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Square root of the Jensen-Shannon divergence, natural logarithm; the reference is resized
    linearly to the histogram's bins, both get +1e-10 and are normalised."""
    places = np.linspace(0.0, len(reference) - 1.0, len(histogram))
    p = histogram + EPSILON
    q = np.interp(places, np.arange(len(reference)), reference) + EPSILON
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2.0
    divergence = (np.sum(p * np.log(p / middle)) + np.sum(q * np.log(q / middle))) / 2.0
    return float(np.sqrt(max(0.0, divergence)))


# --- v1.5 ------------------------------------------------------------------------------------


def applies_to_overlaps(trial: Trial) -> bool:
    """Somebody speaks into a reply. (A noise is no speech and not part of v1.5.)"""
    return any(s.begins == "into_reply" and s.role != "noise" for s in trial.stimuli)


def user_segments(outcome: Outcome) -> tuple[Run, ...]:
    """All speech in the input channel by the annotation, gaps of 0.6 s or less closed."""
    spans = sorted(span for played in outcome.played for span in played.speech())
    merged: list[Run] = []
    for start, end in spans:
        if merged and start - merged[-1].end <= frames(USER_MERGE_S):
            merged[-1] = Run(start=merged[-1].start, end=max(merged[-1].end, end))
        else:
            merged.append(Run(start=start, end=end))
    return tuple(merged)


def stop_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """Length of every overlap of a user segment with a system segment.

    The original keeps the shortest of several that end in the same millisecond; there cannot be
    several here, since the segments of each side are apart.
    """
    runs = audible_runs(outcome.reply)
    found: list[Observation] = []
    for user in user_segments(outcome):
        for run in runs:
            overlap = min(user.end, run.end) - max(user.start, run.start)
            if overlap > 0:
                found.append(Sample(trial=outcome.trial.id, value=seconds(overlap)))
    return found or [Void(trial=outcome.trial.id, reason="nothing overlapped")]


def response_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """From each user segment's end to the next start of a system segment; of several that wait
    for the same start the latest end."""
    latest: dict[int, int] = {}
    starts = [run.start for run in audible_runs(outcome.reply)]
    for user in user_segments(outcome):
        following = [start for start in starts if start >= user.end]
        if following:
            latest[following[0]] = max(latest.get(following[0], 0), user.end)
    return [
        Sample(trial=outcome.trial.id, value=seconds(start - end)) for start, end in latest.items()
    ] or [Void(trial=outcome.trial.id, reason="no system segment after a user segment")]


def _played(outcome: Outcome, role: str) -> list[Played]:
    return [p for p in outcome.played if p.stimulus.role == role and p.stimulus.speech_frames]
