"""Where the time goes: the stages of the gap, the tokens, the machine."""

from __future__ import annotations

from typing import Final

from edge_assistant.bench.metrics import log
from edge_assistant.bench.metrics.channels import seconds
from edge_assistant.bench.metrics.turn_taking import SPEAKING_ROLES, gap_s, turns
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Trial

STAGES: Final = ("detect_s", "wait_s", "not_ready_s", "out_s", "leading_silence_s")
SUM_SLACK_S: Final = 0.001
"""Five stages and their sum, each rounded to 0.1 ms in the log, are apart by 0.3 ms at most."""

SAME_START_S: Final = 0.1
"""A logged start and an audible one so near to each other are the same."""


def latencies(outcome: Outcome) -> list[dict[str, float]] | Void:
    """The `latency` events, or why they do not count; one that does not add up spoils the trial."""
    trial = outcome.trial.id
    if not outcome.events:
        return Void(trial=trial, reason="no event log")
    found: list[dict[str, float]] = []
    for event in log.named(outcome.events, "latency"):
        values = {key: log.number(event, key) for key in (*STAGES, "gap_s", "t")}
        known = {key: value for key, value in values.items() if value is not None}
        if len(known) < len(values):
            missing = ", ".join(sorted(set(values) - set(known)))
            return Void(trial=trial, reason=f"`latency` lacks {missing}")
        off_s = abs(sum(known[stage] for stage in STAGES) - known["gap_s"])
        if off_s > SUM_SLACK_S:
            return Void(trial=trial, reason=f"the stages miss the gap by {off_s:.4f} s")
        found.append(known)
    return found or Void(trial=trial, reason="no `latency` in the log")


def gap_stage(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds of each stage, one row for each."""
    found = latencies(outcome)
    if isinstance(found, Void):
        return [found]
    return [
        Sample(trial=outcome.trial.id, value=values[stage], row=stage.removesuffix("_s"))
        for values in found
        for stage in STAGES
    ]


def gap_logged(outcome: Outcome, context: Context) -> list[Observation]:
    """The gap by the system's own account."""
    found = latencies(outcome)
    if isinstance(found, Void):
        return [found]
    return [Sample(trial=outcome.trial.id, value=values["gap_s"]) for values in found]


def gap_logged_error(outcome: Outcome, context: Context) -> list[Observation]:
    """The log's gap minus the measured one: its end of speech is its VAD's, ours is the truth."""
    found, trial = latencies(outcome), outcome.trial.id
    if isinstance(found, Void):
        return [found]
    observations: list[Observation] = []
    for turn in turns(outcome):
        measured = gap_s(outcome, turn)
        if measured is None:
            continue
        start_s = seconds(turn.end) + measured
        same = [
            values["gap_s"]
            for values in found
            if abs(values["t"] + values["leading_silence_s"] - start_s) <= SAME_START_S
        ]
        observations.append(
            Sample(trial=trial, value=same[0] - measured)
            if same
            else Void(trial=trial, reason="no `latency` belongs to the audible start")
        )
    return observations or [Void(trial=trial, reason="no audible reply")]


def user_turns(outcome: Outcome) -> int:
    """Turns that the user took."""
    return sum(p.stimulus.is_user and p.stimulus.role in SPEAKING_ROLES for p in outcome.played)


def has_user_turn(trial: Trial) -> bool:
    """The user takes a turn in it."""
    return any(s.is_user and s.role in SPEAKING_ROLES for s in trial.stimuli)


def tokens_computed(outcome: Outcome, context: Context) -> list[Observation]:
    """Tokens that the language model evaluated; the sum of `tokens_computed` in the log."""
    return _tokens(outcome, "tokens_computed")


def tokens_discarded(outcome: Outcome, context: Context) -> list[Observation]:
    """Those that it took out of its memory again; the sum of `tokens_discarded` in the log."""
    return _tokens(outcome, "tokens_discarded")


def _tokens(outcome: Outcome, key: str) -> list[Observation]:
    trial = outcome.trial.id
    told = [value for e in outcome.events if (value := log.number(e, key)) is not None]
    taken = user_turns(outcome)
    if not told or not taken:
        reason = "no turn was played" if told else f"the log tells no `{key}`"
        return [Void(trial=trial, reason=reason)]
    return [Sample(trial=trial, value=sum(told), exposure=float(taken))]


# --- the machine -----------------------------------------------------------------------------


def is_silence(trial: Trial) -> bool:
    """Nothing is played in it but a background."""
    return not trial.stimuli


def is_talk(trial: Trial) -> bool:
    """The user speaks in it."""
    return any(s.is_user for s in trial.stimuli)


def cpu(outcome: Outcome, context: Context) -> list[Observation]:
    """CPU seconds by minutes of the trial."""
    minutes = seconds(len(outcome.user)) / 60.0
    if outcome.cpu_s <= 0.0 or not minutes:
        return [_unmeasured(outcome)]
    return [Sample(trial=outcome.trial.id, value=outcome.cpu_s, exposure=minutes)]


def peak_rss(outcome: Outcome, context: Context) -> list[Observation]:
    """Bytes, all processes of the system together."""
    return [_positive(outcome, float(outcome.peak_rss_bytes))]


def time_to_listening(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds from the start of the process until block 0 came back."""
    return [_positive(outcome, outcome.listening_s)]


def lateness(outcome: Outcome, context: Context) -> list[Observation]:
    """Longest that a block of the trial came back late; not disturbed enough to void it."""
    return [Sample(trial=outcome.trial.id, value=outcome.lateness_s)]


def xruns(outcome: Outcome, context: Context) -> list[Observation]:
    """Breaks in the sound, by seconds: what the log's `xrun` events count and what the examiner
    counted, each where there is one."""
    noted = outcome.notes.get("xruns")
    if noted is None and not outcome.events:
        return [_unmeasured(outcome)]
    told = (log.number(event, "count") for event in log.named(outcome.events, "xrun"))
    count = (noted or 0.0) + sum(1.0 if each is None else max(0.0, each) for each in told)
    return [Sample(trial=outcome.trial.id, value=count, exposure=seconds(len(outcome.user)))]


def _positive(outcome: Outcome, value: float) -> Observation:
    return Sample(trial=outcome.trial.id, value=value) if value > 0 else _unmeasured(outcome)


def _unmeasured(outcome: Outcome) -> Void:
    return Void(trial=outcome.trial.id, reason="not measured")
