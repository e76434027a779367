"""The floor's answer to what the user does: speech, pauses, the push-to-talk key."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import (
    Command,
    Discard,
    FinishTurn,
    JudgeTurn,
    OpenTurn,
    PauseTurn,
    ResumeTurn,
)
from edge_assistant.turns.endpoint import wait_ms, wait_of_all_ms
from edge_assistant.turns.events import (
    Outcome,
    PushPressed,
    PushReleased,
    SpeechPaused,
    SpeechStarted,
    Transcribed,
    TurnJudged,
    WordsJudged,
)
from edge_assistant.turns.grants import (
    HEARD_OUT_MS,
    Step,
    draft_of,
    drop_check,
    duck_if_speaking,
    heard_from,
    start_draft,
    unduck_if_alone,
    yield_reply,
)
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserPhase, UserTurn

WORDS_MS: Final = 250
"""How much longer than the shortest wait a draft may take to its words: recognition and prompt of a
short turn take 150 to 250 ms on two cores."""

WORDLESS_MS: Final = 300
"""So long after a pause was noticed the words of its draft are there, if anybody has the time."""

LOW_MS: Final = 150
"""Longest time from a dip to the pause that it announced: 88 ms in nine of ten
of 21 recordings."""

GOES_ON_MS: Final = 1_500
"""Whoever speaks on so soon after his own last word, when a reply has begun, says the rest of his
sentence. People who interrupt have listened for longer."""


def speech_started(state: State, event: SpeechStarted, rules: Settings) -> Step:
    user, reply = state.user, state.reply
    if user is not None:
        if user.phase is UserPhase.TALKING:
            return state, ()
        return _resume(state, user, event, rules)
    if (
        reply is not None
        and reply.phase is ReplyPhase.COMMITTED
        and reply.started_frames is not None
    ):
        return _reopen(state, reply, reply.started_frames, event)
    turn = state.next_turn
    user = UserTurn(
        turn=turn,
        started_frames=event.started_frames,
        talking_from_frames=event.started_frames,
    )
    state = replace(state, user=_going_on(user, reply), next_turn=turn + 1)
    commands: tuple[Command, ...] = ()
    if state.replies_in(ReplyPhase.COMMITTED):
        state, commands = yield_reply(state)
    state, ducked = duck_if_speaking(state, rules)
    opened = OpenTurn(turn=turn, started_frames=event.started_frames)
    return state, (*commands, opened, *ducked)


def _going_on(user: UserTurn, reply: Reply | None) -> UserTurn:
    """The turn, joined with the one before where the reply to that has only just begun: whoever
    goes on so soon had not finished."""
    if (
        reply is None
        or reply.started_frames is None
        or reply.phase is not ReplyPhase.SPEAKING  # told to be silent
    ):
        return user
    pause = user.started_frames - reply.ended_frames
    if not 0 < pause <= frames_of_ms(GOES_ON_MS):
        return user
    middle = reply.ended_frames + pause // 2
    whole = reply.started_frames if reply.whole_frames is None else reply.whole_frames
    breaks = (*reply.breaks, middle)
    return replace(user, heard_from_frames=whole, breaks=breaks, resumed=True)


def _resume(state: State, user: UserTurn, event: SpeechStarted, rules: Settings) -> Step:
    commands: list[Command] = [ResumeTurn(turn=user.turn)]
    if state.check is not None:
        commands.append(Discard(turn=state.check[0], draft=state.check[1], reason="resumed"))
    if state.reply is not None and state.reply.phase is ReplyPhase.DRAFTED:
        commands.append(Discard(turn=user.turn, draft=state.reply.draft, reason="resumed"))
        state = replace(state, reply=None)
    user = replace(
        user,
        phase=UserPhase.TALKING,
        talking_from_frames=event.started_frames,
        breaks=(*user.breaks, (user.ended_frames + event.started_frames) // 2),
        by_sound=None,
        is_asked=False,
        by_words=None,
        probes=0,
        is_wordless=False,
        overlapped=False,
        resumed=True,
    )
    state, ducked = duck_if_speaking(replace(state, user=user, check=None), rules)
    return state, (*commands, *ducked)


def _reopen(state: State, reply: Reply, started_frames: int, event: SpeechStarted) -> Step:
    """The user goes on before anything was heard: a false endpoint, mended without a trace."""
    state, commands = yield_reply(state)
    user = UserTurn(
        turn=reply.turn,
        started_frames=started_frames,
        talking_from_frames=event.started_frames,
        drafts=reply.draft,
        heard_from_frames=reply.whole_frames,
        breaks=(*reply.breaks, (reply.ended_frames + event.started_frames) // 2),
        interrupted=reply.interrupted,
        resumed=True,
    )
    return replace(state, user=user), (*commands, ResumeTurn(turn=reply.turn))


def _is_reopened(state: State, user: UserTurn) -> bool:
    """Whether the reply to this very turn is being silenced: the turn then ends with Yielded."""
    return state.reply is not None and (state.reply.turn, state.reply.phase) == (
        user.turn,
        ReplyPhase.YIELDING,
    )


def speech_paused(state: State, event: SpeechPaused, rules: Settings) -> Step:
    user = state.user
    if user is None or user.phase is not UserPhase.TALKING:
        return state, ()
    over_reply = state.replies_in(ReplyPhase.SPEAKING)
    looked_to = _looked_to(user, event)
    user = replace(
        user,
        phase=UserPhase.PAUSED,
        ended_frames=event.ended_frames,
        paused_frames=event.at_frames,
        partial_frames=0,
        is_asked=False,
        overlapped=over_reply,
    )
    user = _waiting(user, rules)
    state, dropped = drop_check(replace(state, user=user))  # of some words: now there are all
    paused = PauseTurn(turn=user.turn, ended_frames=event.ended_frames)
    if rules.draft_at == "pause" and state.reply is None and user.drafts < rules.max_drafts:
        user = _waiting(user, rules, is_drafted=True)
        state, drafted = start_draft(
            state, user, rules, phase=ReplyPhase.DRAFTED, looked_to=looked_to
        )
        return state, (paused, *dropped, *drafted)
    state, asked = _ask(state, user, rules)
    user = state.user or user
    commands = (paused, *asked, *dropped)
    if over_reply:
        check = draft_of(user, event.at_frames, rules, alone=True)
        user = replace(user, drafts=check.draft)
        state = replace(state, user=user, check=(check.turn, check.draft))
        state, unducked = unduck_if_alone(state)
        return state, (*commands, check, *unducked)
    return state, commands


def _looked_to(user: UserTurn, event: SpeechPaused) -> int | None:
    """What the look at a dip has covered, if that was all: no sound came after it, and it was not
    so long before the pause that somebody may have gone on in a low voice."""
    dipped = event.dipped_frames
    is_all = dipped == user.dipped_frames and (
        event.at_frames - user.dipped_frames <= frames_of_ms(LOW_MS)
    )
    return dipped if is_all else None


def _ask(state: State, user: UserTurn, rules: Settings) -> Step:
    """Ask the turn detector about this pause."""
    command = JudgeTurn(
        turn=user.turn,
        from_frames=heard_from(user, rules, alone=True),
        to_frames=user.paused_frames,
    )
    return replace(state, user=replace(user, is_asked=True)), (command,)


def ask_if_open(state: State, event: Transcribed, rules: Settings) -> Step:
    """Ask the turn detector where the words do not read like an end: only there it is listened to,
    and it would take a core from the draft."""
    user = state.user
    if (
        user is None
        or user.turn != event.turn
        or user.phase is not UserPhase.PAUSED
        or user.is_asked
        or event.is_closed
        or not state.replies_in(ReplyPhase.DRAFTED)
    ):
        return state, ()
    return _ask(state, user, rules)


def ask_late(state: State, user: UserTurn, rules: Settings) -> Step:
    """Ask it too where the words are long in coming, on a slow or busy machine."""
    is_early = state.now_frames < user.paused_frames + frames_of_ms(WORDLESS_MS)
    if user.is_asked or user.pushed or user.by_words is not None or is_early:
        return state, ()
    return _ask(state, user, rules)


def turn_judged(state: State, event: TurnJudged, rules: Settings) -> State:
    user = state.user
    if (
        user is None
        or user.phase is not UserPhase.PAUSED
        or (user.turn, user.paused_frames) != (event.turn, event.paused_frames)
    ):
        return state  # about a pause that is over
    is_drafted = state.replies_in(ReplyPhase.DRAFTED)
    user = _waiting(replace(user, by_sound=event.probability), rules, is_drafted=is_drafted)
    return replace(state, user=user)


def words_judged(state: State, event: WordsJudged, rules: Settings) -> State:
    user, reply = state.user, state.reply
    if (
        user is None
        or user.phase is not UserPhase.PAUSED
        or reply is None
        or reply.phase is not ReplyPhase.DRAFTED
        or (reply.turn, reply.draft) != (event.turn, event.draft)
    ):
        return state  # about words that are out of date
    user = replace(user, by_words=event.probability, is_closed=event.is_closed)
    return replace(state, user=_waiting(user, rules))


def look_again(state: State, user: UserTurn, rules: Settings) -> Step:
    """Transcribe once more what does not read like an end, now that its last word has died away:
    the first look had to do without its last 30 to 50 ms, and a recogniser then hears a comma. Not
    where it is taken for an end all the same: that draft is just about to be heard."""
    reply = state.reply
    soonest_frames = user.ended_frames + frames_of_ms(rules.min_wait_ms)
    if (
        reply is None
        or reply.phase is not ReplyPhase.DRAFTED
        or not reply.is_padded
        or user.by_words is None
        or user.is_closed
        or user.deadline_frames <= soonest_frames
        or user.drafts >= rules.max_drafts
        or state.now_frames < user.ended_frames + frames_of_ms(HEARD_OUT_MS)
    ):
        return state, ()
    dropped = Discard(turn=reply.turn, draft=reply.draft, reason="heard out")
    state, drafted = start_draft(state, user, rules, phase=ReplyPhase.DRAFTED)
    return state, (dropped, *drafted)


def _waiting(user: UserTurn, rules: Settings, *, is_drafted: bool = False) -> UserTurn:
    """The turn with the deadline that the judgements of this pause give it.

    While a draft is being made its words are waited for, though not for long: what the sound alone
    says is worth much less.
    """
    if user.by_words is not None:
        wait = wait_of_all_ms(
            by_sound=user.by_sound, by_words=user.by_words, is_closed=user.is_closed, rules=rules
        )
    else:
        wait = wait_ms(user.by_sound, min_wait_ms=rules.min_wait_ms, max_wait_ms=rules.max_wait_ms)
        if is_drafted:
            wait = max(wait, rules.min_wait_ms + WORDS_MS)
    return replace(user, deadline_frames=user.ended_frames + frames_of_ms(wait))


def push_pressed(state: State, event: PushPressed) -> Step:
    if state.user is not None and state.user.pushed:
        return _press_on(state, state.user, event)
    commands: list[Command] = []
    if state.check is not None:
        commands.append(Discard(turn=state.check[0], draft=state.check[1], reason="push-to-talk"))
    if state.reply is not None and state.reply.phase is ReplyPhase.DRAFTED:
        commands.append(
            Discard(turn=state.reply.turn, draft=state.reply.draft, reason="push-to-talk")
        )
        state = replace(state, reply=None)
    if state.user is not None and not _is_reopened(state, state.user):
        commands.append(FinishTurn(turn=state.user.turn, outcome=Outcome.IGNORED))
    if state.replies_in(ReplyPhase.COMMITTED, ReplyPhase.SPEAKING):
        state, yielded = yield_reply(state)
        commands.extend(yielded)
    turn, at = state.next_turn, event.at_frames
    user = UserTurn(turn=turn, started_frames=at, talking_from_frames=at, pushed=True)
    commands.append(OpenTurn(turn=turn, started_frames=at))
    # Deaf from here on: nobody would tell what became of the onset.
    state = replace(state, user=user, check=None, onset_frames=None, next_turn=turn + 1)
    return state, tuple(commands)


def _press_on(state: State, user: UserTurn, event: PushPressed) -> Step:
    """The key goes down again before the turn was taken as over: the turn goes on."""
    if user.phase is UserPhase.TALKING:
        return state, ()
    user = replace(user, phase=UserPhase.TALKING, talking_from_frames=event.at_frames)
    return replace(state, user=user), (ResumeTurn(turn=user.turn),)


def push_released(state: State, event: PushReleased) -> Step:
    user = state.user
    if user is None or not user.pushed or user.phase is UserPhase.PAUSED:
        return state, ()
    at = event.at_frames
    user = replace(
        user, phase=UserPhase.PAUSED, ended_frames=at, paused_frames=at, deadline_frames=at
    )
    return replace(state, user=user), (PauseTurn(turn=user.turn, ended_frames=at),)
