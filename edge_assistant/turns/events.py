"""Facts that reach the floor. Positions are frames on the sample clock (16 kHz, captured
frames)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a turn ended; every turn ends in exactly one of these."""

    ANSWERED = "answered"
    INTERRUPTED = "interrupted"
    """The user talked over the reply; what was heard is in the history."""
    STOPPED = "stopped"
    """The user said a stop phrase."""
    IGNORED = "ignored"
    """Nothing was said, it was not meant for us, or it was a backchannel."""
    FAILED = "failed"
    """An engine failed and not even the notice could be spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Another 10 ms block was captured: the only way in which time reaches the floor."""

    at_frames: int
    is_voiced: bool = False
    """The newest window holds speech. Speech runs on for the length of a pause before that is one,
    so this tells a listener's short "mhm" from the beginning of an interruption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechOnset:
    """Something voiced began: too early to call it speech, early enough to duck."""

    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetDropped:
    """What began voiced did not become speech."""

    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """The user is speaking, and has been since `started_frames`."""

    at_frames: int
    started_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechDipped:
    """The level has fallen far below the speech: perhaps the user has just fallen silent."""

    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPaused:
    """The user has been silent since `ended_frames`, for the length of a pause by now."""

    at_frames: int
    ended_frames: int
    dipped_frames: int | None = None
    """Where the dip was noticed that the silence began with; None where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnJudged:
    """The turn detector's answer about the pause that was reported at `paused_frames`."""

    turn: int
    paused_frames: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsJudged:
    """The language model's answer whether the words of a draft are all of the message."""

    turn: int
    draft: int
    probability: float
    is_closed: bool = True
    """The recogniser put a full stop, a question mark or the like behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialTranscribed:
    """What the user has said so far was looked at while he went on speaking."""

    turn: int
    ahead: str
    """All words but the last, which the next sound may still change; behind a dip all of them.
    Empty where there are none yet, or nobody had the time to look."""
    is_whole: bool = False
    """It was a dip: these words may be all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribed:
    """The final transcript of a draft; empty where nothing was said."""

    turn: int
    draft: int
    text: str
    is_echo: bool = False
    """These are words that the assistant itself has just spoken."""
    is_closed: bool = True
    """The recogniser put a full stop, a question mark or the like behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackStarted:
    """The first frame of a committed reply has left (or will leave) the loudspeaker."""

    turn: int
    draft: int
    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackFinished:
    """The whole reply was played."""

    turn: int
    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Yielded:
    """A committed reply has been silenced (perhaps before its first frame) and its history is
    written."""

    turn: int
    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFailed:
    """A stage failed on this draft."""

    turn: int
    draft: int
    notice: str
    """What to say instead; empty where nothing can be said."""
    audible: bool = False
    """Some of the reply's audio is in playout already: it will be heard."""
    pending: bool = False
    """Some of its text is with the voice: audio may come, or one more failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """The program asks for a reply of its own: to speak `text`, or to answer it as if it had
    been said."""

    request: int
    text: str
    answer: bool
    """True for `ask`, False for `say`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushPressed:
    """The push-to-talk key went down."""

    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReleased:
    """The push-to-talk key went up."""

    at_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPressed:
    """The stop button: silence, whatever is being said or waits to be."""


SpeechFact = SpeechOnset | OnsetDropped | SpeechStarted | SpeechDipped | SpeechPaused
Event = (
    Tick
    | SpeechFact
    | TurnJudged
    | WordsJudged
    | PartialTranscribed
    | Transcribed
    | PlaybackStarted
    | PlaybackFinished
    | Yielded
    | ReplyFailed
    | Requested
    | PushPressed
    | PushReleased
    | StopPressed
)
