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
    is_asked: bool = False
    """The turn detector was asked about this pause."""
    by_words: float | None = None
    """The same by its words; None without a draft."""
    is_closed: bool = True
    """Those words are closed like a sentence."""
    drafts: int = 0
    breaks: tuple[int, ...] = ()
    """Middles of the pauses that the turn has gone on after, in order."""
    partial_frames: int = 0
    """When the look at what was said so far was ordered; 0 while none is under way."""
    partial_due_frames: int = 0
    """Not before may it be looked at again."""
    dipped_frames: int = 0
    """Where a dip in the level was last looked up to."""
    ahead: str = ""
    """Its beginning that the language model has been given to read."""
    probes: int = 0
    """How often the words of this stretch, spoken over a reply, were looked at."""
    overlapped: bool = False
    """Spoken over a reply that did not yield to it: a backchannel unless its words say
    otherwise."""
    interrupted: tuple[int, int] | None = None
    """(turn, draft) of the reply that yielded to it."""
    heard_from_frames: int | None = None
    """Start of the turn before, where this one only goes on with it: the reply came too soon."""
    is_wordless: bool = False
    """What was spoken over a reply so far holds no words that the recogniser could find."""
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
    ended_frames: int = 0
    """End of the user's speech that it answers."""
    began_frames: int | None = None
    """When its first frame was played."""
    whole_frames: int | None = None
    """Start of the turn that the user's turn went on with, if it did."""
    breaks: tuple[int, ...] = ()
    """Of the user's turn."""
    interrupted: tuple[int, int] | None = None
    """(turn, draft) of the reply that yielded to the user's turn."""
    ends_in_aside: bool = False
    """After a pause came one short stretch of speech: a stop phrase there asks for silence."""
    is_padded: bool = False
    """Its transcript was made so soon that silence was put behind the last word."""
    failed: bool = False
    """A stage failed on this turn: what is spoken is a notice, or only a part."""
    is_announcement: bool = False
    """Spoken for a program, and in answer to nobody: it keeps no session alive."""


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
    session_frames: int | None = None
    """When somebody was last answered, or began to speak at all; None where there is nothing to
    forget, or nothing is ever forgotten."""

    @property
    def is_idle(self) -> bool:
        """Nobody speaks and nothing is owed."""
        return self.user is None and self.reply is None and not self.requests

    def replies_in(self, *phases: ReplyPhase) -> bool:
        """Whether there is a reply in one of these phases."""
        return self.reply is not None and self.reply.phase in phases
