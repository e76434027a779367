"""Rows about the floor: states written down by hand, and how a row is written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msgspec import structs

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import (
    Command,
    Commit,
    Discard,
    EndTurn,
    FinishTurn,
    StartDraft,
    Yield,
)
from edge_assistant.turns.events import Event, Outcome, Requested, Tick
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserPhase, UserTurn
from tests.turns.floor_situations import AT_PAUSE, BY_LENGTH, name_of


def at(ms: float) -> int:
    """A position on the sample clock."""
    return frames_of_ms(ms)


# --- the states, written down; the situations of `floor_table` must lead to the same ones --------

IDLE = State(now_frames=at(1_000))
TALKER = UserTurn(turn=1, started_frames=at(1_000), talking_from_frames=at(1_000))
TALKING = State(now_frames=at(1_500), next_turn=2, user=TALKER)
PAUSER = replace(
    TALKER,
    phase=UserPhase.PAUSED,
    ended_frames=at(2_000),
    paused_frames=at(2_100),
    deadline_frames=at(2_700),
    is_asked=True,
)
DRAFTER = replace(PAUSER, drafts=1, is_asked=False)
"""His words come first."""
PAUSED = State(now_frames=at(2_110), next_turn=2, user=PAUSER)
LOOKED_AT = replace(TALKING, user=replace(TALKER, partial_frames=at(1_500)))
SHORT = replace(PAUSED, user=replace(PAUSER, deadline_frames=at(2_200)))
RESUMED = replace(PAUSER, resumed=True, talking_from_frames=at(800))
DRAFT = Reply(
    turn=1,
    draft=1,
    phase=ReplyPhase.DRAFTED,
    started_frames=at(1_000),
    ended_frames=at(2_000),
    is_padded=True,
)
DRAFTED = replace(PAUSED, user=DRAFTER, reply=DRAFT)
HOLDER = UserTurn(turn=1, started_frames=at(1_010), talking_from_frames=at(1_010), pushed=True)
HELD = State(now_frames=at(1_500), next_turn=2, user=HOLDER)
RELEASED_HOLDER = replace(
    HOLDER,
    phase=UserPhase.PAUSED,
    ended_frames=at(1_600),
    paused_frames=at(1_600),
    deadline_frames=at(1_600),
)
RELEASED = replace(HELD, user=RELEASED_HOLDER)
REPLY = replace(DRAFT, phase=ReplyPhase.COMMITTED, is_padded=False)
THINKING = State(now_frames=at(2_700), next_turn=2, reply=REPLY)
OWN_REPLY = replace(THINKING, reply=Reply(turn=1, draft=1, phase=ReplyPhase.COMMITTED))
HEARD = replace(REPLY, phase=ReplyPhase.SPEAKING, began_frames=at(2_900))
SPEAKING = State(now_frames=at(3_000), next_turn=2, reply=HEARD)
DUCKED = replace(SPEAKING, onset_frames=at(3_050), ducked=True)
INTRUDER = UserTurn(
    turn=2,
    started_frames=at(3_000),
    talking_from_frames=at(3_000),
    heard_from_frames=at(1_000),
    breaks=(at(2_500),),
    resumed=True,
)
"""One second after the end of his question, which he goes on with."""
TALKED_OVER = State(now_frames=at(3_110), next_turn=3, user=INTRUDER, reply=HEARD, ducked=True)
OVERHEARD_USER = replace(
    INTRUDER,
    phase=UserPhase.PAUSED,
    ended_frames=at(3_150),
    paused_frames=at(3_250),
    deadline_frames=at(3_850),
    drafts=1,
    is_asked=True,
    overlapped=True,
)
OVERHEARD = State(now_frames=at(3_260), next_turn=3, user=OVERHEARD_USER, reply=HEARD, check=(2, 1))
LISTENER = replace(INTRUDER, drafts=1, probes=1)
LISTENED = replace(TALKED_OVER, now_frames=at(3_260), user=LISTENER, check=(2, 1))
SILENCED = replace(HEARD, phase=ReplyPhase.YIELDING)
UNHEARD = replace(SILENCED, began_frames=None)
INTERRUPTER = replace(INTRUDER, interrupted=(1, 1))
YIELDING = State(now_frames=at(3_200), next_turn=3, user=INTERRUPTER, reply=SILENCED)
REOPENED = State(
    now_frames=at(2_900),
    next_turn=2,
    user=replace(
        TALKER, talking_from_frames=at(2_800), drafts=1, breaks=(at(2_400),), resumed=True
    ),
    reply=UNHEARD,
)
TAKEN_UP = Reply(
    turn=2,
    draft=1,
    phase=ReplyPhase.COMMITTED,
    started_frames=at(3_000),
    ended_frames=at(3_500),
    whole_frames=at(1_000),
    breaks=(at(2_500),),
    interrupted=(1, 1),
    ends_in_aside=True,
)
"""The user spoke on one second after the end of his question, and the reply to that gave way."""
INTERRUPTED = State(now_frames=at(4_200), next_turn=3, reply=TAKEN_UP)

WRITTEN = {
    "idle": IDLE,
    "user talking": TALKING,
    "user paused": PAUSED,
    "drafted": DRAFTED,
    "looked at": LOOKED_AT,
    "key held": HELD,
    "thinking": THINKING,
    "speaking": SPEAKING,
    "ducked": DUCKED,
    "talked over": TALKED_OVER,
    "overheard": OVERHEARD,
    "listened to": LISTENED,
    "yielding": YIELDING,
    "interrupted": INTERRUPTED,
}

SAY = Requested(request=7, text="tea is ready", answer=False)
ASK = Requested(request=8, text="what is new", answer=True)
WAITING = (SAY, ASK)

OPEN = BY_LENGTH
NO_BARGE_IN = structs.replace(OPEN, barge_in=False)
WAKE = structs.replace(OPEN, listen="wake")
PUSH = Settings(listen="push", partials=False)
ALL_AT_PAUSE = structs.replace(AT_PAUSE, partials=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`given` and `fact` make `then` and `orders`."""

    given: State
    fact: Event
    then: State
    orders: tuple[Command, ...] = ()
    rules: Settings = OPEN
    why: str = ""

    def __str__(self) -> str:
        orders = ", ".join(type(order).__name__ for order in self.orders) or "nothing"
        fact = type(self.fact).__name__
        note = f"  ({self.why})" if self.why else ""
        return f"{name_of(self.given):<12} | {fact:<16} | {name_of(self.then):<12} | {orders}{note}"


def unmoved(given: State, fact: Event, why: str, rules: Settings = OPEN) -> Row:
    """The fact changes nothing."""
    return Row(given=given, fact=fact, then=given, rules=rules, why=why)


def tick(
    given: State, ms: float, why: str, *, is_voiced: bool = False, rules: Settings = OPEN
) -> Row:
    """The time goes on, and nothing else."""
    fact = Tick(at_frames=at(ms), is_voiced=is_voiced)
    return Row(given=given, fact=fact, then=replace(given, now_frames=at(ms)), rules=rules, why=why)


def start_draft(
    turn: int,
    draft: int,
    from_ms: float,
    to_ms: float,
    breaks: tuple[int, ...] = (),
    *,
    pad_ms: float = 0,
) -> StartDraft:
    return StartDraft(
        turn=turn,
        draft=draft,
        from_frames=at(from_ms),
        to_frames=at(to_ms),
        breaks=breaks,
        pad_frames=at(pad_ms),
    )


ENDED = EndTurn(turn=1, ended_frames=at(2_000), paused_frames=at(2_100))
ASIDE_ENDED = EndTurn(
    turn=2, ended_frames=OVERHEARD_USER.ended_frames, paused_frames=OVERHEARD_USER.paused_frames
)
COMMIT = Commit(turn=1, draft=1)
YIELD = Yield(turn=1, draft=1)
CHECKED = Discard(turn=2, draft=1, reason="overlap checked")
IGNORED = FinishTurn(turn=2, outcome=Outcome.IGNORED)


def finish(outcome: Outcome, turn: int = 1) -> FinishTurn:
    return FinishTurn(turn=turn, outcome=outcome)


def discard(reason: str, turn: int = 1, draft: int = 1) -> Discard:
    return Discard(turn=turn, draft=draft, reason=reason)
