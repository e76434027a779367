"""What the floor knows: one user track and one reply track."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_assistant.turns.events import Requested


class UserPhase(StrEnum):
    """Of a turn that the user has not finished."""

    TALKING = "talking"
    PAUSED = "paused"


class ReplyPhase(StrEnum):
    """Of one attempt at a reply."""

    DRAFTED = "drafted"
    """Being prepared while the user may still go on; its audio is held."""
    COMMITTED = "committed"
    """Released, nothing heard yet."""
    SPEAKING = "speaking"
    """Its first frame was played."""
    YIELDING = "yielding"
    """Told to be silent; the loudspeaker has not confirmed it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTurn:
    """The turn that the user is in."""

    turn: int
    started_frames: int
    talking_from_frames: int
    """Where the present stretch of speech began, after the last pause."""
    phase: UserPhase = UserPhase.TALKING
    ended_frames: int = 0
    """End of the last speech before the pause."""
    paused_frames: int = 0
    """When the pause was noticed; names the pause in `TurnJudged`."""
    deadline_frames: int = 0
    """The turn is over once the silence has lasted until here."""
    by_sound: float | None = None
    """Probability that the turn ends with this pause, by its sound; None until it is judged."""
    by_words: float | None = None
    """The same by its words; None without a draft."""
    drafts: int = 0
    probes: int = 0
    """How often the words of this stretch, spoken over a reply, were looked at."""
    overlapped: bool = False
    """Spoken over a reply that did not yield to it: a backchannel unless its words say
    otherwise."""
    resumed: bool = False
    """The user went on after a pause, or after the turn had been taken for finished."""
    pushed: bool = False
    """Held open by the push-to-talk key; speech facts do not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The newest attempt at a reply."""

    turn: int
    draft: int
    phase: ReplyPhase
    started_frames: int | None = None
    """Start of the user's turn, so that it can be reopened; None where a program asked for the
    reply."""
    ends_in_aside: bool = False
    """After a pause came one short stretch of speech: a stop phrase there asks for silence."""
    failed: bool = False
    """A stage failed on this turn: what is spoken is a notice, or only a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that decides who may speak. Immutable; `step` makes the next one."""

    now_frames: int = 0
    next_turn: int = 1
    user: UserTurn | None = None
    reply: Reply | None = None
    check: tuple[int, int] | None = None
    """(turn, draft) of the transcript that decides about speech over a reply."""
    onset_frames: int | None = None
    """Something voiced began here and is not yet known to be speech."""
    ducked: bool = False
    awake_until_frames: int = 0
    """Until here a turn need not begin with the wake phrase: it was said on its own just before."""
    requests: tuple[Requested, ...] = ()

    @property
    def is_idle(self) -> bool:
        """Nobody speaks and nothing is owed."""
        return self.user is None and self.reply is None and not self.requests

    def replies_in(self, *phases: ReplyPhase) -> bool:
        """Whether there is a reply in one of these phases."""
        return self.reply is not None and self.reply.phase in phases
