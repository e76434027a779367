"""Pauses inside a turn: does the system take over before the user is done?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.metrics.channels import Run, frames, seconds
from edge_assistant.bench.metrics.full_duplex_bench import takes_over
from edge_assistant.bench.metrics.turn_taking import Turn, expects_reply, starts, turns
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Trial

MIN_PAUSE_S: Final = 0.2
"""Shorter silences are stops of consonants and gaps between words (Heldner and Edlund 2010 take
0.2 s for a pause that can be perceived)."""

ROWS: Final = ((0.4, "0.3 s"), (0.6, "0.5 s"), (0.85, "0.7 s"), (1.25, "1.0 s"))
"""Lengths up to the first number belong to the row; what is longer, to `1.5 s and more`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A silence of the user between two stretches of the same turn."""

    turn: Turn
    start: int
    end: int
    until: int
    """Where the next pause begins, or the turn ends: what begins before is this pause's doing."""

    @property
    def row(self) -> str:
        """Nearest nominal length."""
        length_s = seconds(self.end - self.start)
        return next((name for bound, name in ROWS if length_s <= bound), "1.5 s and more")


def pauses(turn: Turn) -> Iterator[Pause]:
    """The pauses of a turn, by the annotation."""
    silences = [
        (end, onset)
        for (_, end), (onset, _) in zip(turn.speech, turn.speech[1:], strict=False)
        if onset - end >= frames(MIN_PAUSE_S)
    ]
    for index, (start, end) in enumerate(silences):
        until = silences[index + 1][0] if index + 1 < len(silences) else turn.end
        yield Pause(turn=turn, start=start, end=end, until=until)


def applies(trial: Trial) -> bool:
    """Some turn has a pause in it."""
    return any(
        b[0] - a[1] >= frames(MIN_PAUSE_S)
        for stimulus in trial.stimuli
        if expects_reply(stimulus)
        for a, b in zip(stimulus.speech_frames, stimulus.speech_frames[1:], strict=False)
    )


def taken(outcome: Outcome, pause: Pause) -> tuple[Run, ...]:
    """Runs of a reply that begin in the pause, or in the speech after it.

    A reply that the pause set off and that is late starts on top of the user: it counts too.
    """
    return tuple(
        run for run in starts(outcome, pause.turn) if pause.start <= run.start < pause.until
    )


def pause_any(outcome: Outcome, context: Context) -> list[Observation]:
    """1 for a pause in which, or after which within the turn, anything audible begins."""
    return _observed(outcome, lambda runs: bool(runs))


def pause_tor(outcome: Outcome, context: Context) -> list[Observation]:
    """1 for a pause whose runs take over by Full-Duplex-Bench's rule (in their full length)."""
    return _observed(outcome, lambda runs: takes_over(runs, outcome))


def _observed(outcome: Outcome, is_taken: Callable[[tuple[Run, ...]], bool]) -> list[Observation]:
    trial = outcome.trial.id
    observations: list[Observation] = [
        Sample(trial=trial, value=float(is_taken(taken(outcome, pause))), row=pause.row)
        for turn in turns(outcome)
        for pause in pauses(turn)
    ]
    return observations or [Void(trial=trial, reason="no pause was played")]
