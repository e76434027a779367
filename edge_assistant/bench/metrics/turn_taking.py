"""After the user's turn: how long until the reply, and whether there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge_assistant.bench.metrics.channels import Run, audible_runs, seconds
from edge_assistant.bench.metrics.values import Context, Observation, Sample, Void
from edge_assistant.bench.trial import Outcome, Role, Stimulus, Trial

TURN_ROLES: Final[frozenset[Role]] = frozenset({"question", "pause", "monologue"})
"""A turn of the user that nothing was said into and that expects a reply."""

SPEAKING_ROLES: Final[frozenset[Role]] = TURN_ROLES | {"interruption", "stop"}
"""All turns of the user; a backchannel is none."""

SPOKEN: Final = ("under 2 s", "2 to 4 s", "over 4 s")
"""Rows of `gap_by_length`, in order."""

NO_REPLY: Final = "no reply (counted in takeover)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A turn of the user on the clock, by the annotation, and what belongs to it."""

    stimulus: Stimulus
    speech: tuple[tuple[int, int], ...]
    """(onset, end) of each stretch of its speech."""
    until: int
    """Where the next turn of the user begins, or the recording ends."""

    @property
    def onset(self) -> int:
        """First frame of speech."""
        return self.speech[0][0]

    @property
    def end(self) -> int:
        """End of the last speech."""
        return self.speech[-1][1]

    @property
    def row(self) -> str:
        """Utterance length class. Our own bounds: a command, a sentence, more than that."""
        length_s = seconds(self.end - self.onset)
        if length_s < 1.5:
            return "under 1.5 s"
        return "1.5 to 4 s" if length_s < 4.0 else "4 s and more"

    @property
    def spoken(self) -> str:
        """Class of its speech alone, without the pauses in it. Our own bounds."""
        spoken_s = seconds(sum(end - onset for onset, end in self.speech))
        if spoken_s < 2.0:
            return SPOKEN[0]
        return SPOKEN[1] if spoken_s <= 4.0 else SPOKEN[2]


def turns(outcome: Outcome) -> tuple[Turn, ...]:
    """The user's turns that expect a reply, in time."""
    spoken = sorted(
        (
            (played.speech(), played.stimulus)
            for played in outcome.played
            if played.stimulus.is_user
            and played.stimulus.role in SPEAKING_ROLES
            and played.stimulus.speech_frames
        ),
        key=lambda item: item[0][0][0],
    )
    onsets = [speech[0][0] for speech, _ in spoken] + [len(outcome.reply)]
    return tuple(
        Turn(stimulus=stimulus, speech=speech, until=onsets[index + 1])
        for index, (speech, stimulus) in enumerate(spoken)
        if expects_reply(stimulus)
    )


def expects_reply(stimulus: Stimulus) -> bool:
    """A turn of the user, not spoken into a reply."""
    return stimulus.is_user and stimulus.role in TURN_ROLES and stimulus.begins != "into_reply"


def applies(trial: Trial) -> bool:
    """Some turn in it expects a reply."""
    return any(expects_reply(stimulus) for stimulus in trial.stimuli)


def starts(outcome: Outcome, turn: Turn) -> tuple[Run, ...]:
    """Runs of the reply that begin in this turn: from its onset until the next one's."""
    return tuple(run for run in audible_runs(outcome.reply) if turn.onset <= run.start < turn.until)


def gap_s(outcome: Outcome, turn: Turn) -> float | None:
    """Signed: the first audible sample of a reply that begins in this turn, minus its end."""
    found = starts(outcome, turn)
    return seconds(found[0].start - turn.end) if found else None


def response_gap(outcome: Outcome, context: Context) -> list[Observation]:
    """Seconds, by utterance length. A turn without reply is listed, and counts in `takeover`."""
    return _gaps(outcome, lambda turn: turn.row)


def gap_by_length(outcome: Outcome, context: Context) -> list[Observation]:
    """The same, by the seconds of speech in the request."""
    return _gaps(outcome, lambda turn: turn.spoken)


def _gaps(outcome: Outcome, row_of: Callable[[Turn], str]) -> list[Observation]:
    observations: list[Observation] = []
    for turn in turns(outcome):
        gap = gap_s(outcome, turn)
        trial, row = outcome.trial.id, row_of(turn)
        observations.append(
            Void(trial=trial, reason=NO_REPLY, row=row)
            if gap is None
            else Sample(trial=trial, value=gap, row=row)
        )
    return observations or unplayed(outcome)


def false_start(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where the gap is below 0."""
    return [
        Sample(trial=o.trial, value=float(o.value < 0.0), row=o.row) if isinstance(o, Sample) else o
        for o in response_gap(outcome, context)
    ]


def takeover(outcome: Outcome, context: Context) -> list[Observation]:
    """1 where a reply that began in this turn is still audible after the end of the speech."""
    observations: list[Observation] = [
        Sample(
            trial=outcome.trial.id,
            value=float(any(run.end > turn.end for run in starts(outcome, turn))),
            row=turn.row,
        )
        for turn in turns(outcome)
    ]
    return observations or unplayed(outcome)


def unplayed(outcome: Outcome) -> list[Observation]:
    """The trial was to have a turn, and none was played."""
    return [Void(trial=outcome.trial.id, reason="no turn of the user was played")]
