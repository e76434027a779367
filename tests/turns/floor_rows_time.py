"""What time does to the floor, row by row."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from edge_assistant.turns.commands import (
    Answer,
    Commit,
    EndTurn,
    Speak,
    StartDraft,
    Unduck,
)
from edge_assistant.turns.events import Tick
from edge_assistant.turns.state import Reply, ReplyPhase, State
from tests.turns.floor_situations import BY_WORDS
from tests.turns.floor_states import (
    ASK,
    COMMIT,
    DRAFTED,
    DUCKED,
    ENDED,
    HEARD,
    IDLE,
    IGNORED,
    INTRUDER,
    LISTENED,
    LISTENER,
    NO_BARGE_IN,
    OVERHEARD,
    OVERHEARD_USER,
    PAUSED,
    PAUSER,
    RELEASED,
    REPLY,
    RESUMED,
    SHORT,
    SILENCED,
    SPEAKING,
    TALKED_OVER,
    TALKING,
    THINKING,
    WAITING,
    WAKE,
    YIELD,
    YIELDING,
    Row,
    at,
    discard,
    start_draft,
    tick,
)

EARLY = replace(
    PAUSED,
    user=replace(PAUSER, started_frames=at(100), talking_from_frames=at(100)),
)
NOTICED_LATE = replace(PAUSED, user=replace(PAUSER, paused_frames=at(2_400)))
ONE_MORE = replace(PAUSED, user=replace(PAUSER, drafts=2))
BOTH_WAIT = replace(IDLE, requests=WAITING)
WORDLESS = replace(LISTENED, user=replace(LISTENER, is_wordless=True))
HASTY_LISTENER = replace(LISTENER, started_frames=at(2_900), talking_from_frames=at(2_900))
HASTY = replace(LISTENED, user=HASTY_LISTENER)
EARLY_BARGE_IN = structs.replace(BY_WORDS, early_barge_in_ms=160)
LONG_HEARD = replace(TALKED_OVER, reply=replace(HEARD, began_frames=at(2_199)))
LONG = replace(TALKED_OVER, now_frames=at(32_000), reply=SILENCED)


def endpoint(given: State, ms: int, draft: StartDraft, why: str, *, aside: bool = False) -> Row:
    """The wait is over, and nothing was drafted yet."""
    assert given.user is not None
    reply = replace(
        REPLY,
        draft=draft.draft,
        started_frames=given.user.started_frames,
        ended_frames=given.user.ended_frames,
        ends_in_aside=aside,
        is_padded=draft.pad_frames > 0,
    )
    ended = EndTurn(
        turn=1, ended_frames=given.user.ended_frames, paused_frames=given.user.paused_frames
    )
    return Row(
        given=given,
        fact=Tick(at_frames=at(ms)),
        then=replace(given, now_frames=at(ms), user=None, reply=reply),
        orders=(ended, draft, Commit(turn=1, draft=draft.draft)),
        why=why,
    )


TIME = [
    tick(IDLE, 1_010, "nothing is owed"),
    tick(TALKING, 30_999, "one block before the longest turn"),
    Row(
        given=TALKING,
        fact=Tick(at_frames=at(31_000), is_voiced=True),
        then=State(
            now_frames=at(31_000), next_turn=2, reply=replace(REPLY, ended_frames=at(31_000))
        ),
        orders=(
            EndTurn(turn=1, ended_frames=at(31_000), paused_frames=at(31_000)),
            start_draft(1, 1, 700, 31_000),
            COMMIT,
        ),
        why="the longest turn",
    ),
    tick(PAUSED, 2_699, "the wait is not over"),
    endpoint(PAUSED, 2_700, start_draft(1, 1, 700, 2_200), "to the end of speech and a tail"),
    endpoint(SHORT, 2_200, start_draft(1, 1, 700, 2_200), "the whole tail is there"),
    endpoint(EARLY, 2_700, start_draft(1, 1, 0, 2_200), "no audio before the first frame"),
    endpoint(NOTICED_LATE, 2_700, start_draft(1, 1, 700, 2_400), "all until the pause was noticed"),
    endpoint(ONE_MORE, 2_700, start_draft(1, 3, 700, 2_200), "drafts are numbered on"),
    endpoint(
        replace(PAUSED, user=RESUMED),
        2_700,
        start_draft(1, 1, 700, 2_200),
        "a short stretch after a pause",
        aside=True,
    ),
    endpoint(
        replace(PAUSED, user=replace(RESUMED, talking_from_frames=at(800) - 1)),
        2_700,
        start_draft(1, 1, 700, 2_200),
        "a longer stretch after a pause",
    ),
    endpoint(
        replace(RELEASED, now_frames=at(1_600)),
        1_610,
        start_draft(1, 1, 710, 1_610, pad_ms=120),
        "the key is up: no wait, and no tail that is not captured yet",
    ),
    tick(replace(PAUSED, onset_frames=at(2_690)), 2_899, "an onset may be the turn going on"),
    Row(
        given=replace(PAUSED, onset_frames=at(2_690)),
        fact=Tick(at_frames=at(2_900)),
        then=replace(PAUSED, now_frames=at(2_900), onset_frames=at(2_690), user=None, reply=REPLY),
        orders=(ENDED, start_draft(1, 1, 700, 2_200), COMMIT),
        why="but not for ever",
    ),
    Row(
        given=DRAFTED,
        fact=Tick(at_frames=at(2_700)),
        then=replace(
            DRAFTED, now_frames=at(2_700), user=None, reply=replace(REPLY, is_padded=True)
        ),
        orders=(ENDED, COMMIT),
        why="the draft is released",
    ),
    tick(OVERHEARD, 9_000, "the words decide, and are awaited"),
    Row(
        given=replace(OVERHEARD, check=None),
        fact=Tick(at_frames=at(3_850)),
        then=replace(OVERHEARD, now_frames=at(3_850), check=None, user=None),
        orders=(
            EndTurn(turn=2, ended_frames=at(3_150), paused_frames=at(3_250)),
            IGNORED,
        ),
        why="a backchannel",
    ),
    tick(THINKING, 9_000, "the reply is awaited"),
    tick(DUCKED, 9_000, "an onset alone stops nobody", is_voiced=True),
    tick(TALKED_OVER, 3_199.9, "too short to interrupt", is_voiced=True),
    tick(TALKED_OVER, 3_500, "the speech is over, the pause is not noticed"),
    tick(TALKED_OVER, 3_500, "no barge-in", is_voiced=True, rules=NO_BARGE_IN),
    tick(TALKED_OVER, 3_500, "only the wake phrase interrupts", is_voiced=True, rules=WAKE),
    Row(
        given=TALKED_OVER,
        fact=Tick(at_frames=at(3_200), is_voiced=True),
        then=YIELDING,
        orders=(YIELD,),
        why="an interruption",
    ),
    Row(
        given=TALKED_OVER,
        fact=Tick(at_frames=at(3_260), is_voiced=True),
        then=LISTENED,
        orders=(start_draft(2, 1, 2_700, 3_260, INTRUDER.breaks),),
        rules=BY_WORDS,
        why="a first look at the words, at the new ones alone",
    ),
    tick(TALKED_OVER, 3_240, "too early to look", is_voiced=True, rules=BY_WORDS),
    tick(LISTENED, 3_690, "they are still being looked at", is_voiced=True, rules=BY_WORDS),
    Row(
        given=replace(LISTENED, check=None),
        fact=Tick(at_frames=at(3_500), is_voiced=True),
        then=replace(
            LISTENED,
            now_frames=at(3_500),
            user=replace(LISTENER, drafts=2, probes=2),
            check=(2, 2),
        ),
        orders=(start_draft(2, 2, 2_700, 3_500, INTRUDER.breaks),),
        rules=BY_WORDS,
        why="a second look",
    ),
    tick(
        replace(LISTENED, check=None, user=replace(LISTENER, drafts=2, probes=2)),
        3_690,
        "too early for a third look",
        is_voiced=True,
        rules=BY_WORDS,
    ),
    Row(
        given=LISTENED,
        fact=Tick(at_frames=at(3_700), is_voiced=True),
        then=replace(YIELDING, now_frames=at(3_700), user=replace(LISTENER, interrupted=(1, 1))),
        orders=(discard("overlap decided", turn=2), YIELD),
        rules=BY_WORDS,
        why="too long for a response",
    ),
    tick(HASTY, 3_349, "he goes on soon, but not for long", is_voiced=True, rules=BY_WORDS),
    Row(
        given=HASTY,
        fact=Tick(at_frames=at(3_350), is_voiced=True),
        then=replace(
            HASTY,
            now_frames=at(3_350),
            user=replace(HASTY_LISTENER, interrupted=(1, 1)),
            reply=SILENCED,
            check=None,
            ducked=False,
        ),
        orders=(discard("overlap decided", turn=2), YIELD),
        rules=BY_WORDS,
        why="he goes on so soon that he cannot have listened",
    ),
    tick(TALKED_OVER, 3_159, "a click could be as long", is_voiced=True, rules=EARLY_BARGE_IN),
    Row(
        given=TALKED_OVER,
        fact=Tick(at_frames=at(3_160), is_voiced=True),
        then=replace(YIELDING, now_frames=at(3_160)),
        orders=(YIELD,),
        rules=EARLY_BARGE_IN,
        why="he goes on before he can have listened",
    ),
    tick(LONG_HEARD, 3_160, "he may have listened", is_voiced=True, rules=EARLY_BARGE_IN),
    tick(WORDLESS, 4_399, "no words in it: twice as long", is_voiced=True, rules=BY_WORDS),
    Row(
        given=WORDLESS,
        fact=Tick(at_frames=at(4_400), is_voiced=True),
        then=replace(
            YIELDING,
            now_frames=at(4_400),
            user=replace(LISTENER, is_wordless=True, interrupted=(1, 1)),
        ),
        orders=(discard("overlap decided", turn=2), YIELD),
        rules=BY_WORDS,
        why="but not for ever",
    ),
    tick(YIELDING, 3_500, "already told", is_voiced=True),
    tick(LONG, 33_100, "the longest turn, but the voice is not silent yet", is_voiced=True),
    Row(
        given=replace(TALKED_OVER, now_frames=at(32_000)),
        fact=Tick(at_frames=at(33_100), is_voiced=True),
        then=replace(
            LONG, now_frames=at(33_100), user=replace(INTRUDER, interrupted=(1, 1)), ducked=False
        ),
        orders=(YIELD,),
        why="the voice first, then the longest turn",
    ),
    Row(
        given=replace(TALKED_OVER, now_frames=at(32_000)),
        fact=Tick(at_frames=at(33_000), is_voiced=True),
        then=replace(SPEAKING, now_frames=at(33_000), next_turn=3),
        orders=(
            EndTurn(turn=2, ended_frames=at(33_000), paused_frames=at(33_000)),
            IGNORED,
            Unduck(turn=1),
        ),
        rules=NO_BARGE_IN,
        why="the longest turn, over a reply that keeps the floor",
    ),
    tick(
        replace(YIELDING, user=replace(OVERHEARD_USER, overlapped=False)),
        9_000,
        "the voice is not silent yet",
    ),
    Row(
        given=BOTH_WAIT,
        fact=Tick(at_frames=at(1_010)),
        then=State(
            now_frames=at(1_010),
            next_turn=2,
            reply=Reply(turn=1, draft=1, phase=ReplyPhase.COMMITTED, is_announcement=True),
            requests=(ASK,),
        ),
        orders=(Speak(turn=1, draft=1, text="tea is ready", request=7), COMMIT),
        why="first come, first served",
    ),
    Row(
        given=replace(BOTH_WAIT, next_turn=4, requests=(ASK,)),
        fact=Tick(at_frames=at(1_010)),
        then=State(
            now_frames=at(1_010),
            next_turn=5,
            reply=Reply(turn=4, draft=1, phase=ReplyPhase.COMMITTED),
        ),
        orders=(
            Answer(turn=4, draft=1, text="what is new", request=8),
            Commit(turn=4, draft=1),
        ),
        why="to be answered",
    ),
    tick(replace(BOTH_WAIT, onset_frames=at(1_000)), 1_010, "someone may be about to speak"),
    tick(replace(TALKING, requests=WAITING), 1_510, "the user speaks"),
    tick(replace(SPEAKING, requests=WAITING), 3_010, "a reply is heard"),
]
