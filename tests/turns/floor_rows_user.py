"""What the user does to the floor, by voice and by key, row by row."""

from __future__ import annotations

from dataclasses import replace

from edge_assistant.turns.commands import (
    Command,
    Duck,
    JudgeTurn,
    OpenTurn,
    PauseTurn,
    ResumeTurn,
    Unduck,
)
from edge_assistant.turns.events import (
    OnsetDropped,
    Outcome,
    PushPressed,
    PushReleased,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    TurnJudged,
    WordsJudged,
)
from edge_assistant.turns.state import ReplyPhase, State, UserPhase, UserTurn
from tests.turns.floor_situations import AT_PAUSE
from tests.turns.floor_states import (
    DRAFT,
    DRAFTED,
    DRAFTER,
    DUCKED,
    HELD,
    IDLE,
    IGNORED,
    INTRUDER,
    NO_BARGE_IN,
    OPEN,
    OVERHEARD,
    OVERHEARD_USER,
    OWN_REPLY,
    PAUSED,
    PAUSER,
    PUSH,
    RELEASED,
    RELEASED_HOLDER,
    REOPENED,
    RESUMED,
    SHORT,
    SILENCED,
    SPEAKING,
    TALKED_OVER,
    TALKER,
    TALKING,
    THINKING,
    UNHEARD,
    YIELD,
    YIELDING,
    Row,
    at,
    discard,
    finish,
    start_draft,
    unmoved,
)

ONSET = SpeechOnset(at_frames=at(3_050))
DROPPED = OnsetDropped(at_frames=at(3_120))
STARTED = SpeechStarted(at_frames=at(3_100), started_frames=at(3_000))
PAUSE = SpeechPaused(at_frames=at(2_100), ended_frames=at(2_000))
PAUSE_OVER = SpeechPaused(at_frames=at(3_250), ended_frames=at(3_150))
GOES_ON = replace(
    PAUSER,
    is_asked=False,
    phase=UserPhase.TALKING,
    talking_from_frames=at(3_000),
    breaks=(at(2_500),),
    resumed=True,
)


def opened(given: State, orders: tuple[Command, ...], why: str = "", **changes: object) -> Row:
    """`STARTED` opens a turn: over a reply one that goes on with the question."""
    turn = given.next_turn
    user = UserTurn(turn=turn, started_frames=at(3_000), talking_from_frames=at(3_000))
    if given.replies_in(ReplyPhase.SPEAKING):
        user = INTRUDER
    changes = {"user": user} | changes
    then = replace(given, onset_frames=None, next_turn=turn + 1, **changes)  # type: ignore[arg-type]
    return Row(given=given, fact=STARTED, then=then, orders=orders, why=why)


def paused(given: State, user: UserTurn, *orders: Command, why: str, **changes: object) -> Row:
    """`PAUSE` is a pause of the talking user."""
    then = replace(given, user=user, **changes)  # type: ignore[arg-type]
    return Row(given=given, fact=PAUSE, then=then, orders=orders, why=why)


ANEW = UserTurn(turn=2, started_frames=at(3_000), talking_from_frames=at(3_000), interrupted=(1, 1))
PAUSE_TOLD = PauseTurn(turn=1, ended_frames=at(2_000))
ASK_JUDGE = JudgeTurn(turn=1, from_frames=at(700), to_frames=at(2_100))
OPENED = OpenTurn(turn=2, started_frames=at(3_000))

SPEECH = [
    Row(given=IDLE, fact=ONSET, then=replace(IDLE, onset_frames=at(3_050)), why="not speech yet"),
    Row(given=THINKING, fact=ONSET, then=replace(THINKING, onset_frames=at(3_050))),
    Row(given=SPEAKING, fact=ONSET, then=DUCKED, orders=(Duck(turn=1),)),
    Row(
        given=replace(DUCKED, onset_frames=None),
        fact=ONSET,
        then=DUCKED,
        why="it is ducked already",
    ),
    Row(
        given=SPEAKING,
        fact=ONSET,
        then=replace(SPEAKING, onset_frames=at(3_050)),
        rules=NO_BARGE_IN,
        why="no barge-in, no duck",
    ),
    Row(given=DUCKED, fact=DROPPED, then=SPEAKING, orders=(Unduck(turn=1),), why="a click"),
    Row(
        given=replace(TALKED_OVER, onset_frames=at(3_050)),
        fact=DROPPED,
        then=TALKED_OVER,
        why="the user still speaks",
    ),
    Row(
        given=replace(OVERHEARD, ducked=True),
        fact=DROPPED,
        then=OVERHEARD,
        orders=(Unduck(turn=1),),
        why="a click in the pause",
    ),
    unmoved(SPEAKING, DROPPED, "it was not ducked"),
    opened(IDLE, (OpenTurn(turn=1, started_frames=at(3_000)),)),
    opened(replace(IDLE, onset_frames=at(2_900)), (OpenTurn(turn=1, started_frames=at(3_000)),)),
    opened(SPEAKING, (OPENED, Duck(turn=1)), ducked=True),
    opened(DUCKED, (OPENED,), "ducked by the onset"),
    opened(
        OWN_REPLY,
        (YIELD, OPENED),
        "a reply that no one asked for gives way unheard",
        user=ANEW,
        reply=replace(UNHEARD, started_frames=None, ended_frames=0),
    ),
    opened(replace(YIELDING, user=None), (OpenTurn(turn=3, started_frames=at(3_000)),)),
    replace(opened(SPEAKING, (OPENED,), "no barge-in, no duck"), rules=NO_BARGE_IN),
    Row(
        given=replace(TALKING, onset_frames=at(1_400)),
        fact=STARTED,
        then=TALKING,
        why="the turn is open",
    ),
    Row(
        given=PAUSED,
        fact=STARTED,
        then=replace(PAUSED, user=GOES_ON),
        orders=(ResumeTurn(turn=1),),
    ),
    Row(
        given=DRAFTED,
        fact=STARTED,
        then=replace(PAUSED, user=replace(GOES_ON, drafts=1)),
        orders=(ResumeTurn(turn=1), discard("resumed")),
        why="the draft is void",
    ),
    Row(
        given=replace(OVERHEARD, onset_frames=at(3_050)),
        fact=STARTED,
        then=replace(
            OVERHEARD,
            user=replace(
                OVERHEARD_USER,
                phase=UserPhase.TALKING,
                is_asked=False,
                overlapped=False,
                breaks=(at(2_500), at(3_075)),
            ),
            check=None,
            ducked=True,
        ),
        orders=(ResumeTurn(turn=2), discard("resumed", turn=2), Duck(turn=1)),
        why="more words to check",
    ),
    Row(
        given=THINKING,
        fact=STARTED,
        then=replace(
            THINKING,
            user=replace(
                TALKER,
                talking_from_frames=at(3_000),
                drafts=1,
                breaks=(at(2_500),),
                resumed=True,
            ),
            reply=UNHEARD,
        ),
        orders=(YIELD, ResumeTurn(turn=1)),
        why="a false endpoint, mended",
    ),
    paused(TALKING, PAUSER, PAUSE_TOLD, ASK_JUDGE, why="is it the end?"),
    Row(
        given=replace(TALKING, user=replace(TALKER, started_frames=at(100))),
        fact=PAUSE,
        then=replace(TALKING, user=replace(PAUSER, started_frames=at(100))),
        orders=(PAUSE_TOLD, replace(ASK_JUDGE, from_frames=0)),
        why="no audio before the first frame",
    ),
    replace(
        paused(
            TALKING,
            DRAFTER,
            PAUSE_TOLD,
            start_draft(1, 1, 700, 2_100, pad_ms=30),
            why="draft at the pause, from what is there",
            reply=DRAFT,
        ),
        rules=AT_PAUSE,
    ),
    replace(
        paused(
            replace(TALKING, user=replace(RESUMED, phase=UserPhase.TALKING, drafts=1)),
            replace(RESUMED, drafts=2, is_asked=False),
            PAUSE_TOLD,
            start_draft(1, 2, 700, 2_100, pad_ms=30),
            why="the second draft, after a short stretch",
            reply=replace(DRAFT, draft=2, ends_in_aside=True),
        ),
        rules=AT_PAUSE,
    ),
    replace(
        paused(
            replace(TALKING, reply=SILENCED),
            PAUSER,
            PAUSE_TOLD,
            ASK_JUDGE,
            why="no draft while a voice is still to be silenced",
        ),
        rules=AT_PAUSE,
    ),
    Row(
        given=TALKED_OVER,
        fact=PAUSE_OVER,
        then=replace(OVERHEARD, now_frames=at(3_110)),
        orders=(
            PauseTurn(turn=2, ended_frames=at(3_150)),
            JudgeTurn(turn=2, from_frames=at(2_700), to_frames=at(3_250)),
            start_draft(2, 1, 2_700, 3_250, INTRUDER.breaks, pad_ms=30),
            Unduck(turn=1),
        ),
        why="look at the words, at the new ones alone",
    ),
    unmoved(IDLE, PAUSE, "no turn is open"),
    unmoved(PAUSED, PAUSE_OVER, "the pause is known"),
    *(
        unmoved(replace(given, onset_frames=at(900)), fact, "deaf but for the key", rules)
        for given, rules in ((IDLE, PUSH), (HELD, OPEN))
        for fact in (ONSET, STARTED)
    ),
    unmoved(IDLE, PAUSE, "deaf but for the key", PUSH),
    *(
        Row(
            given=given,
            fact=PAUSE,
            then=replace(given, user=replace(given.user, breaks=(at(2_050),))),
            rules=rules,
            why="here the text may be parted",
        )
        for given, rules in ((HELD, PUSH), (HELD, OPEN))
        if given.user is not None
    ),
    Row(
        given=PAUSED,
        fact=TurnJudged(turn=1, paused_frames=at(2_100), probability=1.0),
        then=replace(SHORT, user=replace(PAUSER, deadline_frames=at(2_200), by_sound=1.0)),
        why="surely the end",
    ),
    Row(
        given=PAUSED,
        fact=TurnJudged(turn=1, paused_frames=at(2_100), probability=0.0),
        then=replace(PAUSED, user=replace(PAUSER, deadline_frames=at(3_200), by_sound=0.0)),
        why="surely not",
    ),
    Row(
        given=DRAFTED,
        fact=TurnJudged(turn=1, paused_frames=at(2_100), probability=1.0),
        then=replace(DRAFTED, user=replace(DRAFTER, deadline_frames=at(2_450), by_sound=1.0)),
        rules=AT_PAUSE,
        why="the words are waited for",
    ),
    Row(
        given=DRAFTED,
        fact=WordsJudged(turn=1, draft=1, probability=0.5),
        then=replace(DRAFTED, user=replace(DRAFTER, deadline_frames=at(2_200), by_words=0.5)),
        rules=AT_PAUSE,
        why="likely the end",
    ),
    Row(
        given=DRAFTED,
        fact=WordsJudged(turn=1, draft=1, probability=0.01),
        then=replace(DRAFTED, user=replace(DRAFTER, deadline_frames=at(3_200), by_words=0.01)),
        rules=AT_PAUSE,
        why="they go on",
    ),
    *(
        unmoved(given, WordsJudged(turn=1, draft=draft, probability=0.5), why)
        for given, draft, why in (
            (DRAFTED, 2, "about another draft"),
            (PAUSED, 1, "about a draft that is gone"),
            (TALKING, 1, "the user goes on"),
            (THINKING, 1, "the turn is over"),
            (SPEAKING, 1, "the turn is over"),
        )
    ),
    unmoved(PAUSED, TurnJudged(turn=2, paused_frames=at(2_100), probability=1.0), "another turn"),
    unmoved(PAUSED, TurnJudged(turn=1, paused_frames=at(2_000), probability=1.0), "another pause"),
    unmoved(IDLE, TurnJudged(turn=1, paused_frames=at(2_100), probability=1.0), "no turn"),
    unmoved(
        replace(PAUSED, user=replace(PAUSER, phase=UserPhase.TALKING)),
        TurnJudged(turn=1, paused_frames=at(2_100), probability=1.0),
        "the user goes on",
    ),
]


# --- the key --------------------------------------------------------------------------------

PRESSED = PushPressed(at_frames=at(4_000))
UP = PushReleased(at_frames=at(1_600))


def pressed(given: State, *orders: Command, why: str = "", **changes: object) -> Row:
    """`PRESSED` opens a turn that the key holds."""
    turn = given.next_turn
    user = UserTurn(turn=turn, started_frames=at(4_000), talking_from_frames=at(4_000), pushed=True)
    then = replace(given, user=user, next_turn=turn + 1, **changes)  # type: ignore[arg-type]
    opens = OpenTurn(turn=turn, started_frames=at(4_000))
    return Row(given=given, fact=PRESSED, then=then, orders=(*orders, opens), why=why)


KEY = [
    pressed(IDLE),
    pressed(
        replace(IDLE, onset_frames=at(900)),
        why="what became of the onset will not be told",
        onset_frames=None,
    ),
    pressed(REOPENED, why="its turn ends with Yielded"),
    pressed(TALKING, finish(Outcome.IGNORED), why="the key outranks the voice"),
    pressed(PAUSED, finish(Outcome.IGNORED)),
    pressed(DRAFTED, discard("push-to-talk"), finish(Outcome.IGNORED), reply=None),
    pressed(THINKING, YIELD, reply=UNHEARD),
    pressed(SPEAKING, YIELD, reply=SILENCED),
    pressed(TALKED_OVER, IGNORED, YIELD, reply=SILENCED, ducked=False),
    pressed(
        OVERHEARD,
        discard("push-to-talk", turn=2),
        IGNORED,
        YIELD,
        reply=SILENCED,
        check=None,
    ),
    pressed(YIELDING, IGNORED, why="already told"),
    unmoved(HELD, PRESSED, "it is down"),
    Row(given=HELD, fact=UP, then=RELEASED, orders=(PauseTurn(turn=1, ended_frames=at(1_600)),)),
    unmoved(RELEASED, UP, "it is up"),
    Row(
        given=RELEASED,
        fact=PRESSED,
        then=replace(
            RELEASED,
            user=replace(RELEASED_HOLDER, phase=UserPhase.TALKING, talking_from_frames=at(4_000)),
        ),
        orders=(ResumeTurn(turn=1),),
        why="down again before the turn was over",
    ),
    unmoved(TALKING, UP, "no key holds this turn"),
    unmoved(IDLE, UP, "no turn"),
]
