"""What is done as soon as the level falls, and when the turn detector is asked, row by row."""

from __future__ import annotations

from dataclasses import replace

from edge_assistant.turns.commands import (
    Answer,
    JudgeTurn,
    PauseTurn,
    ReadAhead,
    TranscribePartial,
)
from edge_assistant.turns.events import (
    PartialTranscribed,
    SpeechDipped,
    SpeechPaused,
    Tick,
    Transcribed,
)
from edge_assistant.turns.state import State
from tests.turns.floor_situations import AHEAD, AT_PAUSE
from tests.turns.floor_states import (
    ALL_AT_PAUSE,
    DRAFT,
    DRAFTED,
    DRAFTER,
    HELD,
    IDLE,
    LOOKED_AT,
    PAUSED,
    TALKED_OVER,
    TALKER,
    TALKING,
    Row,
    at,
    start_draft,
    tick,
    unmoved,
)

# --- a dip in the level ----------------------------------------------------------------------

DIP = SpeechDipped(at_frames=at(1_600))
DIPPED = replace(TALKER, partial_frames=at(1_600), dipped_frames=at(1_600))
LOOK_AT_DIP = TranscribePartial(
    turn=1, from_frames=at(700), to_frames=at(1_600), pad_frames=at(130)
)
BEFORE_PAUSE = replace(TALKING, user=replace(TALKER, dipped_frames=at(2_020)))


def dipped(given: State, why: str, *, breaks: tuple[int, ...] = ()) -> Row:
    """The level falls, and what was said so far is looked at."""
    assert given.user is not None
    user = replace(given.user, partial_frames=at(1_600), dipped_frames=at(1_600))
    look = replace(LOOK_AT_DIP, breaks=breaks)
    then = replace(given, user=user)
    return Row(given=given, fact=DIP, then=then, orders=(look,), rules=AHEAD, why=why)


def paused_after(dip_ms: float | None, pause_ms: float, why: str, *, looked_to_ms: float) -> Row:
    """The pause comes; its draft takes over the look at the dip where that ends at
    `looked_to_ms`."""
    fact = SpeechPaused(
        at_frames=at(pause_ms),
        ended_frames=at(2_000),
        dipped_frames=None if dip_ms is None else at(dip_ms),
    )
    is_looked_at = dip_ms == looked_to_ms
    pad_ms = 130 if is_looked_at else max(0.0, 2_130 - looked_to_ms)
    draft = start_draft(1, 1, 700, looked_to_ms, pad_ms=pad_ms)
    reply = replace(DRAFT, is_padded=pad_ms > 0)
    user = replace(DRAFTER, paused_frames=at(pause_ms), dipped_frames=at(2_020))
    return Row(
        given=BEFORE_PAUSE,
        fact=fact,
        then=replace(DRAFTED, now_frames=BEFORE_PAUSE.now_frames, user=user, reply=reply),
        orders=(
            PauseTurn(turn=1, ended_frames=at(2_000)),
            replace(draft, is_looked_at=is_looked_at),
        ),
        rules=ALL_AT_PAUSE,
        why=why,
    )


DIPS = [
    dipped(TALKING, "perhaps it is over"),
    dipped(LOOKED_AT, "this look comes before the one under way"),
    dipped(replace(TALKING, user=replace(TALKER, dipped_frames=at(1_540))), "60 ms after another"),
    unmoved(replace(TALKING, user=replace(TALKER, dipped_frames=at(1_541))), DIP, "59 ms", AHEAD),
    unmoved(TALKING, DIP, "partials are off"),
    unmoved(PAUSED, DIP, "the pause is known", AHEAD),
    unmoved(TALKED_OVER, DIP, "over a reply the probes look", AHEAD),
    unmoved(IDLE, DIP, "no turn is open", AHEAD),
    unmoved(HELD, DIP, "deaf but for the key", AHEAD),
    paused_after(2_020, 2_060, "the look at the dip will do", looked_to_ms=2_020),
    paused_after(2_020, 2_170, "and still", looked_to_ms=2_020),
    paused_after(2_020, 2_171, "somebody may have gone on in a low voice", looked_to_ms=2_171),
    paused_after(None, 2_060, "a sound came after the dip", looked_to_ms=2_060),
    paused_after(2_040, 2_060, "nobody looked at that dip", looked_to_ms=2_060),
    Row(
        given=LOOKED_AT,
        fact=PartialTranscribed(turn=1, ahead="what is it?", is_whole=True),
        then=replace(
            LOOKED_AT,
            user=replace(TALKER, partial_due_frames=at(1_800), ahead="what is it?"),
        ),
        orders=(ReadAhead(turn=1, text="what is it?", is_whole=True),),
        rules=AHEAD,
        why="that may be all",
    ),
    Row(
        given=DRAFTED,
        fact=PartialTranscribed(turn=1, ahead="what is it?", is_whole=True),
        then=replace(
            DRAFTED,
            user=replace(DRAFTER, partial_due_frames=at(2_410), ahead="what is it?"),
        ),
        rules=ALL_AT_PAUSE,
        why="the draft is about to read it",
    ),
]

# --- when the turn detector is asked ---------------------------------------------------------

OPEN_WORDS = Transcribed(turn=1, draft=1, text="what is", is_closed=False)
ANSWER_OPEN = Answer(turn=1, draft=1, text="what is")
ASK = JudgeTurn(turn=1, from_frames=at(700), to_frames=at(2_100))
ASKED = replace(DRAFTED, user=replace(DRAFTER, is_asked=True))
JUDGED_LATE = replace(DRAFTED, user=replace(DRAFTER, deadline_frames=at(3_200)))


def asked_late(given: State, ms: float, why: str) -> Row:
    assert given.user is not None
    then = replace(given, now_frames=at(ms), user=replace(given.user, is_asked=True))
    return Row(
        given=given,
        fact=Tick(at_frames=at(ms)),
        then=then,
        orders=(ASK,),
        rules=ALL_AT_PAUSE,
        why=why,
    )


ASKS = [
    Row(
        given=DRAFTED,
        fact=OPEN_WORDS,
        then=ASKED,
        orders=(ANSWER_OPEN, ASK),
        rules=AT_PAUSE,
        why="does it sound like an end?",
    ),
    Row(
        given=DRAFTED,
        fact=replace(OPEN_WORDS, is_closed=True),
        then=DRAFTED,
        orders=(ANSWER_OPEN,),
        rules=AT_PAUSE,
        why="it reads like one: what it sounds like does not count",
    ),
    Row(
        given=ASKED,
        fact=OPEN_WORDS,
        then=ASKED,
        orders=(ANSWER_OPEN,),
        rules=AT_PAUSE,
        why="it was asked",
    ),
    tick(JUDGED_LATE, 2_399, "the words may come", rules=ALL_AT_PAUSE),
    asked_late(JUDGED_LATE, 2_400, "the words are long in coming"),
    tick(
        replace(JUDGED_LATE, user=replace(JUDGED_LATE.user or DRAFTER, by_words=0.2)),
        2_400,
        "they are there",
        rules=ALL_AT_PAUSE,
    ),
    tick(
        replace(ASKED, user=replace(DRAFTER, is_asked=True, deadline_frames=at(3_200))),
        2_400,
        "it was asked",
        rules=ALL_AT_PAUSE,
    ),
]

DIP_ROWS = [*DIPS, *ASKS]
