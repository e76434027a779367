"""What becomes of replies, row by row: words, playback, failures."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import ANY

from edge_assistant.turns.commands import (
    Answer,
    Commit,
    Conclude,
    DropRequest,
    Duck,
    Speak,
    Unduck,
)
from edge_assistant.turns.events import (
    Outcome,
    PlaybackFinished,
    PlaybackStarted,
    ReplyFailed,
    Transcribed,
    Yielded,
)
from tests.turns.floor_situations import BY_WORDS
from tests.turns.floor_states import (
    ASIDE_ENDED,
    ASK,
    CHECKED,
    DRAFTED,
    DUCKED,
    HEARD,
    IDLE,
    LISTENED,
    LISTENER,
    OVERHEARD,
    OVERHEARD_USER,
    REOPENED,
    REPLY,
    SAY,
    SILENCED,
    SPEAKING,
    TALKED_OVER,
    THINKING,
    WAITING,
    WAKE,
    YIELD,
    YIELDING,
    Row,
    at,
    discard,
    finish,
    unmoved,
)


def words(text: str, turn: int = 1, draft: int = 1) -> Transcribed:
    return Transcribed(turn=turn, draft=draft, text=text)


def answer(text: str) -> Answer:
    return Answer(turn=1, draft=1, text=text)


DROPPED = (DropRequest(request=7), DropRequest(request=8))
TAKES_OVER = replace(OVERHEARD_USER, overlapped=False, interrupted=(1, 1))
ASIDE = replace(THINKING, reply=replace(REPLY, ends_in_aside=True))

WORDS = [
    Row(given=DRAFTED, fact=words("hi"), then=DRAFTED, orders=(answer("hi"),)),
    Row(given=THINKING, fact=words("hi"), then=THINKING, orders=(answer("hi"),)),
    unmoved(THINKING, words("hi", turn=2), "another turn"),
    unmoved(THINKING, words("hi", draft=2), "another draft"),
    unmoved(SPEAKING, words("stop"), "it is spoken already"),
    unmoved(REOPENED, words("stop"), "it is given up"),
    unmoved(IDLE, words("stop"), "nobody waits for it"),
    Row(
        given=DRAFTED,
        fact=words(""),
        then=replace(DRAFTED, reply=None),
        orders=(discard("nothing said"),),
        why="the turn is still the user's",
    ),
    Row(
        given=DRAFTED,
        fact=words("stop"),
        then=replace(DRAFTED, reply=None),
        orders=(discard("stop"),),
        why="the turn is still the user's",
    ),
    Row(
        given=replace(THINKING, requests=WAITING),
        fact=words(""),
        then=replace(THINKING, reply=None, requests=WAITING),
        orders=(discard("nothing said"), finish(Outcome.IGNORED)),
    ),
    Row(
        given=replace(THINKING, requests=WAITING),
        fact=words("Stop!"),
        then=replace(THINKING, reply=None),
        orders=(discard("stop"), *DROPPED, finish(Outcome.STOPPED)),
        why="what programs want to say is dropped too",
    ),
    Row(
        given=THINKING,
        fact=words("what is the time stop"),
        then=THINKING,
        orders=(answer("what is the time stop"),),
    ),
    Row(
        given=ASIDE,
        fact=words("what is the time stop"),
        then=replace(ASIDE, reply=None),
        orders=(discard("stop"), finish(Outcome.STOPPED)),
        why="the last stretch was short, after a pause",
    ),
    Row(
        given=THINKING,
        fact=words("what is new"),
        then=replace(THINKING, reply=None),
        orders=(discard("not addressed"), finish(Outcome.IGNORED)),
        rules=WAKE,
    ),
    Row(
        given=THINKING,
        fact=words(""),
        then=replace(THINKING, reply=None),
        orders=(discard("nothing said"), finish(Outcome.IGNORED)),
        rules=WAKE,
    ),
    Row(
        given=THINKING,
        fact=words("Hey assistant, what is new?"),
        then=THINKING,
        orders=(answer("what is new?"),),
        rules=WAKE,
    ),
    Row(
        given=OVERHEARD,
        fact=words("and tomorrow", turn=2),
        then=replace(OVERHEARD, check=None),
        orders=(CHECKED,),
        why="the words ask for nothing",
    ),
    Row(
        given=replace(OVERHEARD, requests=WAITING),
        fact=words("stop", turn=2),
        then=replace(OVERHEARD, check=None, user=None, reply=SILENCED),
        orders=(ASIDE_ENDED, CHECKED, YIELD, *DROPPED, finish(Outcome.STOPPED, turn=2)),
        why="what programs want to say is dropped too",
    ),
    Row(
        given=replace(OVERHEARD, reply=None),
        fact=words("stop", turn=2),
        then=replace(OVERHEARD, check=None, user=None, reply=None),
        orders=(ASIDE_ENDED, CHECKED, finish(Outcome.STOPPED, turn=2)),
        why="the reply was over",
    ),
    *(
        Row(
            given=given,
            fact=words(text, turn=2),
            then=replace(given, check=None),
            orders=(CHECKED,),
            rules=BY_WORDS,
            why=why,
        )
        for given, text, why in (
            (OVERHEARD, "Mm-hmm, yeah.", "a listener's response"),
            (OVERHEARD, "", "a noise"),
            (LISTENED, "I s", "it may become a response"),
        )
    ),
    Row(
        given=OVERHEARD,
        fact=words("and tomorrow", turn=2),
        then=replace(OVERHEARD, check=None, user=TAKES_OVER, reply=SILENCED),
        orders=(CHECKED, YIELD),
        rules=BY_WORDS,
        why="the words ask for the floor",
    ),
    Row(
        given=LISTENED,
        fact=words("Stop", turn=2),
        then=replace(
            YIELDING,
            now_frames=LISTENED.now_frames,
            user=replace(LISTENER, interrupted=(1, 1)),
        ),
        orders=(CHECKED, YIELD),
        rules=BY_WORDS,
        why="no response begins like that",
    ),
    Row(
        given=OVERHEARD,
        fact=words("hey assistant what is new", turn=2),
        then=replace(OVERHEARD, check=None, user=TAKES_OVER, reply=SILENCED),
        orders=(CHECKED, YIELD),
        rules=WAKE,
    ),
    Row(
        given=OVERHEARD,
        fact=words("hey assistant what is new", turn=2),
        then=replace(OVERHEARD, check=None),
        orders=(CHECKED,),
        why="not a phrase of this mode",
    ),
    Row(
        given=OVERHEARD,
        fact=words("what is new", turn=2),
        then=replace(OVERHEARD, check=None),
        orders=(CHECKED,),
        rules=WAKE,
        why="side talk",
    ),
    unmoved(OVERHEARD, words("stop", turn=2, draft=2), "not the words that are awaited"),
]


# --- playback --------------------------------------------------------------------------------


def started(turn: int = 1, draft: int = 1) -> PlaybackStarted:
    return PlaybackStarted(turn=turn, draft=draft, at_frames=at(2_900))


def finished(turn: int = 1, draft: int = 1) -> PlaybackFinished:
    return PlaybackFinished(turn=turn, draft=draft)


def silent(turn: int = 1, draft: int = 1) -> Yielded:
    return Yielded(turn=turn, draft=draft)


FAILED = replace(SPEAKING, reply=replace(HEARD, failed=True))

PLAYBACK = [
    Row(given=THINKING, fact=started(), then=replace(THINKING, reply=HEARD)),
    Row(
        given=replace(THINKING, onset_frames=at(2_690)),
        fact=started(),
        then=replace(THINKING, onset_frames=at(2_690), reply=HEARD, ducked=True),
        orders=(Duck(turn=1),),
        why="both start at once",
    ),
    unmoved(THINKING, started(turn=2), "another turn"),
    unmoved(THINKING, started(draft=2), "another draft"),
    unmoved(DRAFTED, started(), "it is held"),
    unmoved(replace(REOPENED, onset_frames=at(1)), started(), "it is given up"),
    unmoved(IDLE, started(), "no reply"),
    Row(
        given=SPEAKING,
        fact=finished(),
        then=replace(SPEAKING, reply=None),
        orders=(finish(Outcome.ANSWERED),),
    ),
    Row(
        given=FAILED,
        fact=finished(),
        then=replace(SPEAKING, reply=None),
        orders=(finish(Outcome.FAILED),),
        why="only a part, or a notice",
    ),
    Row(
        given=THINKING,
        fact=finished(),
        then=replace(THINKING, reply=None),
        orders=(finish(Outcome.ANSWERED),),
        why="a reply without sound",
    ),
    Row(
        given=TALKED_OVER,
        fact=finished(),
        then=replace(TALKED_OVER, reply=None, ducked=False),
        orders=(Unduck(turn=ANY), finish(Outcome.ANSWERED)),
        why="a duck ends with the reply",
    ),
    Row(
        given=DUCKED,
        fact=finished(),
        then=replace(DUCKED, reply=None, ducked=False),
        orders=(Unduck(turn=ANY), finish(Outcome.ANSWERED)),
    ),
    unmoved(SPEAKING, finished(turn=2), "another turn"),
    unmoved(SPEAKING, finished(draft=2), "another draft"),
    unmoved(YIELDING, finished(), "it ends with Yielded"),
    unmoved(IDLE, finished(), "no reply"),
    Row(
        given=YIELDING,
        fact=silent(),
        then=replace(YIELDING, reply=None),
        orders=(finish(Outcome.INTERRUPTED),),
    ),
    Row(
        given=replace(YIELDING, user=None),
        fact=silent(),
        then=replace(YIELDING, user=None, reply=None),
        orders=(finish(Outcome.INTERRUPTED),),
        why="after a stop phrase",
    ),
    Row(
        given=REOPENED,
        fact=silent(),
        then=replace(REOPENED, reply=None),
        why="its turn goes on",
    ),
    unmoved(YIELDING, silent(turn=2), "another turn"),
    unmoved(YIELDING, silent(draft=2), "another draft"),
    unmoved(SPEAKING, silent(), "it was not told to"),
    unmoved(IDLE, silent(), "no reply"),
]


# --- failures --------------------------------------------------------------------------------


def failed(
    notice: str = "sorry",
    *,
    turn: int = 1,
    draft: int = 1,
    audible: bool = False,
    pending: bool = False,
) -> ReplyFailed:
    return ReplyFailed(turn=turn, draft=draft, notice=notice, audible=audible, pending=pending)


CONCLUDE = (Conclude(turn=1, draft=1),)
NOTICE = replace(THINKING, reply=replace(REPLY, draft=2, failed=True))
CONCLUDED = replace(THINKING, reply=replace(REPLY, failed=True))

FAILURES = [
    Row(
        given=THINKING,
        fact=failed(),
        then=NOTICE,
        orders=(
            discard("failed"),
            Speak(turn=1, draft=2, text="sorry"),
            Commit(turn=1, draft=2),
        ),
    ),
    Row(
        given=THINKING,
        fact=failed(""),
        then=replace(THINKING, reply=None),
        orders=(discard("failed"), finish(Outcome.FAILED)),
        why="nothing can be said",
    ),
    Row(
        given=NOTICE,
        fact=failed(draft=2),
        then=replace(THINKING, reply=None),
        orders=(discard("failed", draft=2), finish(Outcome.FAILED)),
        why="the notice failed too",
    ),
    Row(given=THINKING, fact=failed(audible=True), then=CONCLUDED, orders=CONCLUDE),
    Row(given=THINKING, fact=failed(pending=True), then=CONCLUDED, orders=CONCLUDE),
    unmoved(CONCLUDED, failed(audible=True), "its end is known"),
    Row(
        given=CONCLUDED,
        fact=failed(pending=True),
        then=replace(THINKING, reply=None),
        orders=(discard("failed"), finish(Outcome.FAILED)),
        why="what was with the voice failed too",
    ),
    Row(given=SPEAKING, fact=failed(), then=FAILED, orders=CONCLUDE),
    unmoved(FAILED, failed(), "its end is known"),
    Row(
        given=DRAFTED,
        fact=failed(),
        then=replace(DRAFTED, reply=None),
        orders=(discard("failed"),),
        why="the next draft may not",
    ),
    unmoved(REOPENED, failed(), "it is given up"),
    unmoved(THINKING, failed(turn=2), "another turn"),
    unmoved(THINKING, failed(draft=2), "another draft"),
    unmoved(IDLE, failed(), "no reply"),
    Row(
        given=OVERHEARD,
        fact=failed(turn=2),
        then=replace(OVERHEARD, check=None),
        orders=(discard("failed", turn=2),),
        why="no words, no interruption",
    ),
    Row(given=SPEAKING, fact=SAY, then=replace(SPEAKING, requests=(SAY,))),
    Row(
        given=replace(SPEAKING, requests=(SAY,)),
        fact=ASK,
        then=replace(SPEAKING, requests=WAITING),
        why="they queue",
    ),
]
