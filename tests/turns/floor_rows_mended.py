"""What mends a mistake of the floor, row by row: a false endpoint, a reply that gave way to
nothing."""

from __future__ import annotations

from dataclasses import replace

from edge_assistant.turns.commands import (
    Answer,
    Commit,
    Discard,
    Duck,
    FinishTurn,
    GoOn,
    OpenTurn,
    PauseTurn,
    ResumeTurn,
    Yield,
)
from edge_assistant.turns.events import (
    Outcome,
    PlaybackStarted,
    SpeechPaused,
    SpeechStarted,
    Transcribed,
)
from edge_assistant.turns.state import Reply, ReplyPhase, UserPhase, UserTurn
from tests.turns.floor_situations import AT_PAUSE, BY_WORDS
from tests.turns.floor_states import (
    CHECKED,
    HEARD,
    INTERRUPTED,
    INTRUDER,
    LISTENED,
    LISTENER,
    OVERHEARD,
    SPEAKING,
    TAKEN_UP,
    THINKING,
    YIELDING,
    Row,
    at,
    discard,
    start_draft,
)

# --- a false endpoint ------------------------------------------------------------------------


def goes_on(reply: Reply, start_ms: int, why: str, **changes: object) -> Row:
    """The user speaks again, so long after a reply to him began."""
    user = UserTurn(turn=2, started_frames=at(start_ms), talking_from_frames=at(start_ms))
    user = replace(user, **changes)  # type: ignore[arg-type]
    given = replace(SPEAKING, reply=reply)
    return Row(
        given=given,
        fact=SpeechStarted(at_frames=at(start_ms + 100), started_frames=at(start_ms)),
        then=replace(given, user=user, next_turn=3, ducked=True),
        orders=(OpenTurn(turn=2, started_frames=at(start_ms)), Duck(turn=1)),
        why=why,
    )


WHOLE = replace(INTRUDER, interrupted=(1, 1))
STOPPED = replace(YIELDING, user=None)

FALSE_ENDPOINT = [
    goes_on(
        HEARD,
        3_500,
        "so soon: the rest of his sentence",
        heard_from_frames=at(1_000),
        breaks=(at(2_750),),
        resumed=True,
    ),
    goes_on(HEARD, 3_501, "later: something new"),
    goes_on(HEARD, 2_000, "not after his own last word"),
    goes_on(
        replace(HEARD, whole_frames=at(400), breaks=(at(800),)),
        2_800,
        "for the second time",
        heard_from_frames=at(400),
        breaks=(at(800), at(2_400)),
        resumed=True,
    ),
    goes_on(replace(HEARD, started_frames=None), 2_800, "nobody had asked for that reply"),
    Row(
        given=STOPPED,
        fact=SpeechStarted(at_frames=at(3_300), started_frames=at(3_200)),
        then=replace(
            STOPPED,
            user=UserTurn(turn=3, started_frames=at(3_200), talking_from_frames=at(3_200)),
            next_turn=4,
        ),
        orders=(OpenTurn(turn=3, started_frames=at(3_200)),),
        why="that one was stopped, so this is something new",
    ),
    Row(
        given=replace(YIELDING, reply=None, user=replace(WHOLE, drafts=2)),
        fact=SpeechPaused(at_frames=at(3_600), ended_frames=at(3_500)),
        then=replace(
            YIELDING,
            user=replace(
                WHOLE,
                phase=UserPhase.PAUSED,
                ended_frames=at(3_500),
                paused_frames=at(3_600),
                deadline_frames=at(4_200),
                drafts=3,
            ),
            reply=replace(TAKEN_UP, draft=3, phase=ReplyPhase.DRAFTED, is_padded=True),
        ),
        orders=(
            PauseTurn(turn=2, ended_frames=at(3_500)),
            start_draft(2, 3, 700, 3_600, INTRUDER.breaks, pad_ms=30),
        ),
        rules=AT_PAUSE,
        why="both halves are answered",
    ),
    Row(
        given=INTERRUPTED,
        fact=SpeechStarted(at_frames=at(4_300), started_frames=at(4_250)),
        then=replace(
            INTERRUPTED,
            user=replace(
                INTRUDER,
                talking_from_frames=at(4_250),
                drafts=1,
                breaks=(at(2_500), at(3_875)),
                interrupted=(1, 1),
            ),
            reply=replace(TAKEN_UP, phase=ReplyPhase.YIELDING),
        ),
        orders=(Yield(turn=2, draft=1), ResumeTurn(turn=2)),
        why="mended again; what gave way to it is not forgotten",
    ),
]

# --- words over a reply, and a reply that gave way to nothing --------------------------------

NEXT = replace(TAKEN_UP, draft=2, started_frames=None, whole_frames=None, interrupted=None)
GONE_ON = replace(INTERRUPTED, reply=NEXT)
HEARD_OF = replace(LISTENED, check=None)
SAID_NOTHING = Transcribed(turn=2, draft=1, text="")
RESPONSE = Transcribed(turn=2, draft=1, text="Yeah, okay.")
ECHO = Transcribed(turn=2, draft=1, text="it is three", is_echo=True)
WORDS = Transcribed(turn=2, draft=1, text="and tomorrow")
ON = (
    Discard(turn=2, draft=1, reason="nothing said"),
    GoOn(turn=2, draft=2, after=(1, 1)),
    Commit(turn=2, draft=2),
)

FALSE_YIELD = [
    *(
        Row(
            given=LISTENED,
            fact=fact,
            then=replace(HEARD_OF, user=replace(LISTENER, is_wordless=is_wordless)),
            orders=(CHECKED,),
            rules=BY_WORDS,
            why=why,
        )
        for fact, is_wordless, why in (
            (SAID_NOTHING, True, "a noise"),
            (ECHO, True, "no words of the user's"),
            (RESPONSE, False, "a response"),
        )
    ),
    Row(
        given=replace(LISTENED, user=replace(LISTENER, is_wordless=True)),
        fact=RESPONSE,
        then=HEARD_OF,
        orders=(CHECKED,),
        rules=BY_WORDS,
        why="there are words in it after all",
    ),
    Row(
        given=OVERHEARD,
        fact=ECHO,
        then=replace(OVERHEARD, check=None),
        orders=(CHECKED,),
        rules=BY_WORDS,
        why="the loudspeaker's words are not the user's",
    ),
    *(
        Row(given=INTERRUPTED, fact=fact, then=GONE_ON, orders=ON, why=why)
        for fact, why in (
            (SAID_NOTHING, "a reply gave way to a noise"),
            (RESPONSE, "to a response"),
            (ECHO, "to its own echo"),
        )
    ),
    Row(
        given=replace(INTERRUPTED, reply=replace(TAKEN_UP, phase=ReplyPhase.DRAFTED)),
        fact=RESPONSE,
        then=replace(INTERRUPTED, reply=None),
        orders=(discard("nothing said", turn=2),),
        why="the turn is still the user's",
    ),
    Row(
        given=INTERRUPTED,
        fact=WORDS,
        then=INTERRUPTED,
        orders=(Answer(turn=2, draft=1, text="and tomorrow"),),
        why="it was meant to give way",
    ),
    Row(
        given=INTERRUPTED,
        fact=Transcribed(turn=2, draft=1, text="Stop."),
        then=replace(INTERRUPTED, reply=None),
        orders=(discard("stop", turn=2), FinishTurn(turn=2, outcome=Outcome.STOPPED)),
        why="it was meant to be silent",
    ),
    *(
        Row(
            given=THINKING,
            fact=replace(fact, turn=1),
            then=THINKING,
            orders=(Answer(turn=1, draft=1, text=fact.text),),
            rules=BY_WORDS,
            why="nothing gave way to it",
        )
        for fact in (RESPONSE, ECHO)
    ),
    Row(
        given=GONE_ON,
        fact=PlaybackStarted(turn=2, draft=2, at_frames=at(4_300)),
        then=replace(
            GONE_ON, reply=replace(NEXT, phase=ReplyPhase.SPEAKING, began_frames=at(4_300))
        ),
        why="it is heard again",
    ),
    Row(
        given=GONE_ON,
        fact=SpeechStarted(at_frames=at(4_300), started_frames=at(4_250)),
        then=replace(
            GONE_ON,
            user=UserTurn(
                turn=3,
                started_frames=at(4_250),
                talking_from_frames=at(4_250),
                interrupted=(2, 2),
            ),
            reply=replace(NEXT, phase=ReplyPhase.YIELDING),
            next_turn=4,
        ),
        orders=(Yield(turn=2, draft=2), OpenTurn(turn=3, started_frames=at(4_250))),
        why="it gives way again, before it is heard",
    ),
]

MENDED = [*FALSE_ENDPOINT, *FALSE_YIELD]
