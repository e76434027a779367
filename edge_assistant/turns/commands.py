"""What the floor orders. The pipeline obeys in the order given and never answers at once."""

from __future__ import annotations

from dataclasses import dataclass

from edge_assistant.turns.events import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """The user has begun a turn at `started_frames`; report it."""

    turn: int
    started_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseTurn:
    """The user fell silent at `ended_frames`; report it."""

    turn: int
    ended_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeTurn:
    """The user goes on with a turn that was paused, or taken for finished; report it."""

    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTurn:
    """The user's part of the turn is over: it ran to `ended_frames`, its pause was noticed at
    `paused_frames`."""

    turn: int
    ended_frames: int
    paused_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTurn:
    """Ask the turn detector about the audio between the two positions."""

    turn: int
    from_frames: int
    to_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribePartial:
    """Look at what was said so far, if there is time; the user is still speaking."""

    turn: int
    from_frames: int
    to_frames: int
    breaks: tuple[int, ...] = ()
    """Middles of the inner pauses, in order: before them the text may be frozen."""
    pad_frames: int = 0
    """Silence to put behind it, where the speech may just have ended: this look comes before any
    other that is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAhead:
    """Let the language model read `text`, the beginning of what the user is saying."""

    turn: int
    text: str
    is_whole: bool = False
    """It may be all of it: a draft may be due at any moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDraft:
    """Transcribe the audio between the two positions, as attempt `draft` at a reply to `turn`."""

    turn: int
    draft: int
    from_frames: int
    to_frames: int
    breaks: tuple[int, ...] = ()
    """As for `TranscribePartial`."""
    pad_frames: int = 0
    """Silence to put behind it: the pause is that short as yet."""
    is_looked_at: bool = False
    """A look at exactly this was ordered when the level fell: its text will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Let the language model answer `text` and the voice speak it; hold the audio until Commit."""

    turn: int
    draft: int
    text: str
    request: int | None = None
    """Set where a program asked for it (`ask`) and no one spoke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Speak `text` as it is; hold the audio until Commit."""

    turn: int
    draft: int
    text: str
    request: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """Speak on where the reply `after` (turn, draft) was made to yield, from the clause that was
    cut; hold the audio until Commit."""

    turn: int
    draft: int
    after: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Release the audio of this draft, what is held and what will come."""

    turn: int
    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Drop a draft that was never committed: nobody heard it."""

    turn: int
    draft: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """No more audio will come for this committed reply; play what is there and finish."""

    turn: int
    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Duck:
    """Lower the voice; playout goes on."""

    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unduck:
    """Raise the voice again."""

    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """Silence a committed reply: cancel, fade, purge, write history from what was heard, report
    Yielded."""

    turn: int
    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTurn:
    """The turn is over for good."""

    turn: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRequest:
    """A stop phrase took back what a program had asked for before its turn came; tell the
    program."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSession:
    """The user has gone: forget the conversation, and what the engines keep of it."""


Command = (
    OpenTurn
    | PauseTurn
    | ResumeTurn
    | EndTurn
    | JudgeTurn
    | TranscribePartial
    | ReadAhead
    | StartDraft
    | Answer
    | Speak
    | GoOn
    | Commit
    | Discard
    | Conclude
    | Duck
    | Unduck
    | Yield
    | FinishTurn
    | DropRequest
    | ResetSession
)
