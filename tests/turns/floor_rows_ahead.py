"""What is done ahead of the end of a turn, row by row: looks at the words, judges of the end."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from edge_assistant.turns.commands import (
    PauseTurn,
    ReadAhead,
    TranscribePartial,
)
from edge_assistant.turns.events import (
    PartialTranscribed,
    PushReleased,
    SpeechPaused,
    Tick,
    WordsJudged,
)
from edge_assistant.turns.state import State, UserPhase
from tests.turns.floor_situations import AHEAD, AT_PAUSE
from tests.turns.floor_states import (
    ALL_AT_PAUSE,
    DRAFT,
    DRAFTED,
    DRAFTER,
    HELD,
    HOLDER,
    IDLE,
    INTRUDER,
    LOOKED_AT,
    PAUSED,
    PAUSER,
    TALKED_OVER,
    TALKER,
    TALKING,
    THINKING,
    YIELDING,
    Row,
    at,
    discard,
    start_draft,
    tick,
    unmoved,
)

# --- looking at what was said so far ---------------------------------------------------------

EARLY = replace(TALKING, now_frames=at(1_290))
AGAIN = replace(TALKING, user=replace(TALKER, partial_due_frames=at(1_800)))
LOOK = TranscribePartial(turn=1, from_frames=at(700), to_frames=at(1_500))
READ = ReadAhead(turn=1, text="what is")


def looked(given: State, ms: int, why: str, *, from_ms: int = 700) -> Row:
    """A look at what was said so far is ordered."""
    assert given.user is not None
    look = TranscribePartial(
        turn=given.user.turn,
        from_frames=at(from_ms),
        to_frames=at(ms),
        breaks=given.user.breaks,
    )
    user = replace(given.user, partial_frames=at(ms))
    return Row(
        given=given,
        fact=Tick(at_frames=at(ms), is_voiced=True),
        then=replace(given, now_frames=at(ms), user=user),
        orders=(look,),
        rules=AHEAD,
        why=why,
    )


def read(
    given: State, ahead: str, due_ms: int, *, known: str = "", orders: tuple[ReadAhead, ...] = ()
) -> Row:
    """A look has come back."""
    assert given.user is not None
    user = replace(
        given.user, partial_frames=0, partial_due_frames=at(due_ms), ahead=ahead or known
    )
    return Row(
        given=given,
        fact=PartialTranscribed(turn=1, ahead=ahead),
        then=replace(given, user=user),
        orders=orders,
        rules=AHEAD,
        why=f"{ahead!r}, and {known!r} is known",
    )


def known(given: State, ahead: str) -> State:
    assert given.user is not None
    return replace(given, user=replace(given.user, ahead=ahead))


LOOKS = [
    tick(EARLY, 1_299, "too early for a word", is_voiced=True, rules=AHEAD),
    looked(EARLY, 1_300, "a word, about"),
    looked(replace(EARLY, user=replace(TALKER, breaks=(at(1_100),))), 1_300, "with its breaks"),
    looked(
        replace(EARLY, user=replace(TALKER, heard_from_frames=at(600))),
        1_300,
        "with the turn that it goes on with",
        from_ms=300,
    ),
    tick(replace(TALKING, now_frames=at(2_400)), 2_410, "partials are off", is_voiced=True),
    tick(LOOKED_AT, 2_500, "one look at a time", is_voiced=True, rules=AHEAD),
    tick(AGAIN, 1_799, "not due again", is_voiced=True, rules=AHEAD),
    looked(AGAIN, 1_800, "due again"),
    tick(
        replace(AGAIN, user=replace(TALKER, talking_from_frames=at(1_600))),
        1_899,
        "too early for a word after the pause",
        is_voiced=True,
        rules=AHEAD,
    ),
    looked(HELD, 1_510, "also while the key is held", from_ms=710),
    looked(
        replace(YIELDING, user=replace(INTRUDER, interrupted=(1, 1))),
        3_300,
        "while the voice goes silent",
        from_ms=700,
    ),
    tick(PAUSED, 2_120, "the user is silent", rules=AHEAD),
    tick(TALKED_OVER, 3_190, "over a reply the probes look", is_voiced=True, rules=AHEAD),
    tick(TALKED_OVER, 3_500, "and in its pauses nobody", rules=AHEAD),
    read(LOOKED_AT, "", 1_800),
    read(LOOKED_AT, "what is", 1_800, orders=(READ,)),
    read(known(LOOKED_AT, "what is"), "what is", 1_800, known="what is"),
    read(known(LOOKED_AT, "what"), "what is", 1_800, known="what", orders=(READ,)),
    read(known(LOOKED_AT, "what"), "", 1_800, known="what"),
    read(replace(LOOKED_AT, now_frames=at(1_730)), "", 1_800),
    read(replace(LOOKED_AT, now_frames=at(1_900)), "", 2_020),
    read(replace(LOOKED_AT, now_frames=at(3_500)), "", 4_100),
    read(PAUSED, "what is", 2_410, orders=(READ,)),
    unmoved(LOOKED_AT, PartialTranscribed(turn=2, ahead="no"), "another turn", AHEAD),
    unmoved(THINKING, PartialTranscribed(turn=1, ahead="what is"), "the turn is over", AHEAD),
    unmoved(IDLE, PartialTranscribed(turn=1, ahead="what is"), "no turn", AHEAD),
    Row(
        given=LOOKED_AT,
        fact=SpeechPaused(at_frames=at(2_100), ended_frames=at(2_000)),
        then=replace(DRAFTED, now_frames=at(1_500), user=DRAFTER),
        orders=(
            PauseTurn(turn=1, ended_frames=at(2_000)),
            start_draft(1, 1, 700, 2_100, pad_ms=30),
        ),
        rules=ALL_AT_PAUSE,
        why="the draft takes the place of the look",
    ),
    Row(
        given=replace(HELD, user=replace(HOLDER, partial_frames=at(1_400))),
        fact=PushReleased(at_frames=at(1_600)),
        then=replace(
            HELD,
            user=replace(
                HOLDER,
                phase=UserPhase.PAUSED,
                ended_frames=at(1_600),
                paused_frames=at(1_600),
                deadline_frames=at(1_600),
                partial_frames=at(1_400),
            ),
        ),
        orders=(PauseTurn(turn=1, ended_frames=at(1_600)),),
        rules=AHEAD,
        why="the draft comes with the next tick",
    ),
]

# --- the end of a turn, by all judges --------------------------------------------------------

CLOSED = [
    Row(
        given=DRAFTED,
        fact=WordsJudged(turn=1, draft=1, probability=0.2, is_closed=is_closed),
        then=replace(
            DRAFTED,
            user=replace(
                DRAFTER,
                by_words=0.2,
                is_closed=is_closed,
                deadline_frames=at(2_000 + wait_ms),
            ),
        ),
        rules=AT_PAUSE,
        why=why,
    )
    for is_closed, wait_ms, why in (
        (False, 1_200, "the text ends in a comma"),
        (True, 200, "a full stop"),
    )
] + [
    Row(
        given=DRAFTED,
        fact=WordsJudged(turn=1, draft=1, probability=0.1),
        then=replace(DRAFTED, user=replace(DRAFTER, by_words=0.1, deadline_frames=at(2_200))),
        rules=structs.replace(AT_PAUSE, end_weights=(9.0, 0.0, 1.0, 0.0)),
        why="other weights, another wait",
    )
]

# --- a second look, where the first one was too early to hear an end -------------------------

UNCLOSED_USER = replace(
    PAUSER,
    paused_frames=at(2_030),
    deadline_frames=at(3_200),
    drafts=1,
    by_words=0.2,
    is_closed=False,
)
UNCLOSED = replace(DRAFTED, now_frames=at(2_100), user=UNCLOSED_USER)
HEARD_OUT = replace(DRAFT, is_padded=False)
AGAIN_ONCE = [
    Row(
        given=UNCLOSED,
        fact=Tick(at_frames=at(2_130)),
        then=replace(
            UNCLOSED,
            now_frames=at(2_130),
            user=replace(UNCLOSED_USER, drafts=2),
            reply=replace(HEARD_OUT, draft=2),
        ),
        orders=(discard("heard out"), start_draft(1, 2, 700, 2_130)),
        rules=AT_PAUSE,
        why="the last word has died away, and did not read like the last",
    ),
    tick(UNCLOSED, 2_129, "it has not died away", rules=AT_PAUSE),
    tick(
        replace(UNCLOSED, user=replace(UNCLOSED_USER, is_closed=True)),
        2_130,
        "it read like the last",
        rules=AT_PAUSE,
    ),
    tick(
        replace(UNCLOSED, user=replace(UNCLOSED_USER, by_words=None)),
        2_130,
        "the words are not judged yet",
        rules=AT_PAUSE,
    ),
    tick(replace(UNCLOSED, reply=HEARD_OUT), 2_130, "that was the second look", rules=AT_PAUSE),
    tick(
        replace(UNCLOSED, user=replace(UNCLOSED_USER, deadline_frames=at(2_200))),
        2_130,
        "it is taken for the end as it is",
        rules=AT_PAUSE,
    ),
    tick(UNCLOSED, 2_130, "too many drafts", rules=structs.replace(AT_PAUSE, max_drafts=1)),
]

AHEAD_ROWS = [*LOOKS, *CLOSED, *AGAIN_ONCE]
