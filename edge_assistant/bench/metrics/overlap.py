"""While the system speaks: does it yield to the user, and only to the user?

An overlap is a sound whose onset falls into an audible reply. Latencies count from that onset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.metrics import log
from edge_assistant.bench.metrics.channels import (
    Run,
    audible_runs,
    duck_frame,
    frames,
    reference_dbfs,
    run_at,
    seconds,
)
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Played, Role, Stimulus, Trial

INTERRUPTIONS: Final[frozenset[Role]] = frozenset({"interruption", "stop"})
NOT_FOR_THE_FLOOR: Final[frozenset[Role]] = frozenset({"backchannel", "noise"})
OTHERS: Final[frozenset[Role]] = frozenset({"tv", "side_talk"})
"""Speech that is not meant for the system. Reported, not judged: what is right is not settled."""

MIN_LEFT_S: Final = 2.0
"""A reply that would have ended sooner by itself shows nothing."""

STOP_WITHIN_S: Final = 1.5
DUCK_WITHIN_S: Final = 2.0
ANSWER_WITHIN_S: Final = 3.0
KEEP_WITHIN_S: Final = 1.0
TRANSCRIPT_SHARE: Final = 0.5
"""Of the interruption's words that the prompt must hold: recognisers err, and a first word is often
lost under the reply."""

NOT_DUCKED: Final = "no lasting attenuation within 2 s (counted in ducked)"
QUIET_ALREADY: Final = "the reply was that quiet at the onset already (counted in ducked)"
NEVER_STOPPED: Final = "never stopped (counted in stopped)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A sound that began while a reply was audible."""

    stimulus: Stimulus
    onset: int
    end: int
    run: Run
    reply: log.LoggedReply | None
    """The reply as the log tells it; None where it does not."""
    new_reply: int
    """Frame before which nothing belongs to a newer reply, by the log; else the recording's end."""


def bounds(played: Played) -> tuple[int, int]:
    """Onset and end: of its speech by the annotation, else of the sound."""
    speech = played.speech()
    if speech:
        return speech[0][0], speech[-1][1]
    return played.begin_frames, played.begin_frames + len(played.stimulus.sound)


def overlaps(outcome: Outcome, roles: frozenset[Role]) -> Iterator[Overlap | Void]:
    """The overlaps by sounds of these roles, and a void for each that was planned and is none."""
    runs, logged = audible_runs(outcome.reply), log.replies(outcome.events)
    trial = outcome.trial.id
    planned = [s for s in outcome.trial.stimuli if s.role in roles and s.begins == "into_reply"]
    played = [p for p in outcome.played if p.stimulus.role in roles]
    missing = len(planned) - sum(p.stimulus.begins == "into_reply" for p in played)
    for _ in range(missing):
        yield Void(trial=trial, reason="not played: no reply, or too short a one")
    for one in played:
        onset, end = bounds(one)
        run = run_at(runs, onset)
        if run is not None:
            newer = log.start_after(logged, seconds(onset))
            limit = frames(newer.start_s) - log.EARLY_FRAMES if newer else len(outcome.reply)
            yield Overlap(
                stimulus=one.stimulus,
                onset=onset,
                end=end,
                run=run,
                reply=log.reply_at(logged, seconds(onset)),
                new_reply=max(limit, onset + 1),
            )
        elif one.stimulus.begins == "into_reply":
            yield Void(trial=trial, reason="no reply was audible at its onset")


def has_role(roles: frozenset[Role]) -> Callable[[Trial], bool]:
    """Whether a trial plans a sound of these roles into a reply."""
    return lambda trial: any(s.role in roles and s.begins == "into_reply" for s in trial.stimuli)


def silent_from(outcome: Outcome, overlap: Overlap) -> int | None:
    """Just after the last audible sample of the reply that was talked over; None: it never ended.

    Sound that begins again before the user is done is still that reply, unless the log says that
    a new one began. After "stop" nothing is expected, so there the bound is at least 1.5 s.
    """
    horizon = overlap.end
    if overlap.stimulus.role == "stop":
        horizon = max(horizon, overlap.onset + frames(STOP_WITHIN_S))
    runs = audible_runs(outcome.reply[: overlap.new_reply])
    last = max(
        (
            run.end
            for run in runs
            if run.end > overlap.onset and run.start < max(horizon, overlap.onset + 1)
        ),
        default=overlap.onset,
    )
    never = last >= len(outcome.reply) - frames(0.02)
    return None if never else last


def too_short(outcome: Outcome, overlap: Overlap, context: Context) -> bool:
    """Whether the reply had less than 2 s left at the onset, as far as anyone can tell.

    It had them if it sounded so long. Else the log decides: it finished by itself, or, if it was
    silenced, its clauses at the voice's usual pace would have been over. Without log, or pace,
    it is taken to have been long enough.
    """
    stop, reply = silent_from(outcome, overlap), overlap.reply
    needed = overlap.onset + frames(MIN_LEFT_S)
    if stop is None or stop >= needed or reply is None:
        return False
    if reply.ended == "finished":
        return True
    pace = context.pace.get(outcome.system)
    if reply.ended != "yielded" or not pace or not reply.text:
        return False
    whole_s = log.letters_in(reply.text) / pace
    return reply.start_s + whole_s < seconds(needed)


def interruptions(outcome: Outcome, context: Context) -> list[Overlap | Void]:
    """Interruptions of a reply that was long enough; the others as voids."""
    found: list[Overlap | Void] = []
    for one in overlaps(outcome, INTERRUPTIONS):
        if isinstance(one, Overlap) and too_short(outcome, one, context):
            found.append(_void(outcome, one, "the reply had less than 2 s left"))
        else:
            found.append(one)
    return found


def ducked(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where the reply was attenuated for good within 2 s: ducked or silent."""
    found: list[Observation] = []
    for one in duck_latency(outcome, context):
        is_ducked = isinstance(one, Sample) or one.reason == QUIET_ALREADY
        is_measured = is_ducked or (isinstance(one, Void) and one.reason == NOT_DUCKED)
        value = float(is_ducked)
        found.append(Sample(trial=one.trial, value=value, row=one.row) if is_measured else one)
    return found


def duck_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds until the first attenuation by 12 dB that lasts, from the channel alone."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
        elif reference_dbfs(outcome.reply, one.onset) is None:
            found.append(_void(outcome, one, "too little reply before the onset to compare with"))
        else:
            heard = outcome.reply[: one.new_reply]
            low = duck_frame(heard, one.onset, DUCK_WITHIN_S)
            # A pause of the reply ran into the duck: nobody can tell where one became the other.
            is_unclear = low == one.onset
            reason = QUIET_ALREADY if is_unclear else NOT_DUCKED
            found.append(_sample(outcome, one, None if is_unclear else low, reason))
    return found


def duck_latency_logged(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds until the log says `ducked`, or `yielded` if it did not duck first."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
            continue
        times = [
            log.time_s(event)
            for event in log.named(outcome.events, "ducked", "yielded")
            if seconds(one.onset) <= log.time_s(event) <= seconds(one.onset) + DUCK_WITHIN_S
        ]
        at = frames(min(times)) if times else None
        reason = "the log says nothing of it" if outcome.events else "no event log"
        found.append(_sample(outcome, one, at, reason))
    return found


def stop_latency(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds until the last audible sample of the reply that was talked over."""
    return [
        one
        if isinstance(one, Void)
        else _sample(
            outcome,
            one,
            silent_from(outcome, one),
            NEVER_STOPPED,
        )
        for one in interruptions(outcome, context)
    ]


def stop_after_word(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds from the end of a "stop" to the last audible sample of the reply. Signed."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
        elif one.stimulus.role == "stop":
            silent = silent_from(outcome, one)
            found.append(
                _void(outcome, one, NEVER_STOPPED)
                if silent is None
                else Sample(trial=outcome.trial.id, value=seconds(silent - one.end))
            )
    return found


def stopped(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where the reply was silent within 1.5 s."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
            continue
        stop = silent_from(outcome, one)
        is_quick = stop is not None and seconds(stop - one.onset) <= STOP_WITHIN_S
        found.append(_truth(outcome, one, is_quick))
    return found


def answered_audibly(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where a new reply is audible within 3 s of the interruption's end. Two channels only."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
        elif one.stimulus.role != "stop":
            found.append(_truth(outcome, one, _has_new_sound(outcome, one)))
    return found


def answered(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where it is audible and the log's transcript of its turn holds the interruption."""
    found: list[Observation] = []
    for one in interruptions(outcome, context):
        if isinstance(one, Void):
            found.append(one)
        elif one.stimulus.role == "stop":
            continue
        elif not outcome.events:
            found.append(_void(outcome, one, "no event log"))
        else:
            is_answer = _has_new_sound(outcome, one) and any(
                holds(reply.transcript, one.stimulus.text)
                for reply in log.replies(outcome.events)
                if seconds(one.onset) < reply.start_s <= seconds(one.end) + ANSWER_WITHIN_S
            )
            found.append(_truth(outcome, one, is_answer))
    return found


def holds(transcript: str, text: str) -> bool:
    """Half of the words of `text`, or more, are in `transcript`; any word if `text` is unknown."""
    heard, said = set(log.words_of(transcript)), log.words_of(text)
    if not said:
        return bool(heard)
    return sum(word in heard for word in said) / len(said) >= TRANSCRIPT_SHARE


def _has_new_sound(outcome: Outcome, one: Overlap) -> bool:
    stop = silent_from(outcome, one)
    if stop is None:
        return False
    until = one.end + frames(ANSWER_WITHIN_S)
    after = audible_runs(outcome.reply[stop:])
    return bool(after) and stop + after[0].start <= until


def floor_kept(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where the reply goes on within 1 s of the end of a sound that was not for it."""
    return [
        one if isinstance(one, Void) else kept(outcome, one)
        for one in overlaps(outcome, NOT_FOR_THE_FLOOR)
    ]


def floor_kept_over_others(outcome: Outcome, context: Context) -> list[Observation]:
    """The same under a television or talk to somebody else: reported, not judged."""
    return [
        one if isinstance(one, Void) else kept(outcome, one) for one in overlaps(outcome, OTHERS)
    ]


def kept(outcome: Outcome, one: Overlap) -> Observation:
    """Audible within 1 s after the sound's end, and no `yielded` in the log until then.

    A reply that the log says was played to its end kept the floor as well, unless it ended within
    1 s of the onset: that shows nothing.
    """
    until = one.end + frames(KEEP_WITHIN_S)
    reply = one.reply
    if reply is not None and reply.end_s is not None and reply.end_s <= seconds(until):
        if reply.ended == "yielded" and reply.end_s >= seconds(one.onset):
            return _truth(outcome, one, False)
        if reply.ended == "finished":
            if reply.end_s - seconds(one.onset) < KEEP_WITHIN_S:
                return _void(outcome, one, "the reply ended by itself within 1 s")
            return _truth(outcome, one, True)
    return _truth(outcome, one, bool(audible_runs(outcome.reply[one.end : until])))


def others_answered(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where a new reply begins between the onset of such talk and 3 s after its end."""
    found: list[Observation] = []
    for played in outcome.played:
        if played.stimulus.role not in OTHERS:
            continue
        onset, end = bounds(played)
        until = end + frames(ANSWER_WITHIN_S)
        if outcome.events:
            begun = [frames(reply.start_s) for reply in log.replies(outcome.events)]
        else:  # a pause within the reply must not look like a new one
            begun = [run.start for run in audible_runs(outcome.reply, KEEP_WITHIN_S)]
        value = any(onset < start <= until for start in begun)
        row = played.stimulus.role
        found.append(Sample(trial=outcome.trial.id, value=float(value), row=row))
    return found or [Void(trial=outcome.trial.id, reason="none was played")]


def _sample(outcome: Outcome, one: Overlap, at: int | None, reason: str) -> Observation:
    if at is None:
        return _void(outcome, one, reason)
    row = one.stimulus.role
    return Sample(trial=outcome.trial.id, value=seconds(at - one.onset), row=row)


def _truth(outcome: Outcome, one: Overlap, value: bool) -> Observation:
    return Sample(trial=outcome.trial.id, value=float(value), row=one.stimulus.role)


def _void(outcome: Outcome, one: Overlap, reason: str) -> Void:
    return Void(trial=outcome.trial.id, reason=reason, row=one.stimulus.role)
