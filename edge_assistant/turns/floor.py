"""The floor: the only place that decides who may speak.

`step` is a pure function. It has no clock, no thread and no engine; time reaches it as `Tick`, and
every deadline is a field of the state, so a conversation can be replayed in microseconds and looked
at step by step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns import listening, overlap, partials, replying, session
from edge_assistant.turns.commands import Answer, Commit, EndTurn, FinishTurn, Speak
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    Outcome,
    PartialTranscribed,
    PlaybackFinished,
    PlaybackStarted,
    PushPressed,
    PushReleased,
    ReplyFailed,
    Requested,
    SpeechDipped,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    StopPressed,
    Tick,
    Transcribed,
    TurnJudged,
    WordsJudged,
    Yielded,
)
from edge_assistant.turns.grants import (
    Step,
    draft_of,
    drop_check,
    duck_if_speaking,
    start_draft,
    unduck_if_alone,
    yield_reply,
)
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserPhase, UserTurn

ONSET_GRACE_MS: Final = 200
"""How long an onset that may be the turn going on can hold back the endpoint; steady noise must not
do so for ever."""


def step(state: State, event: Event, rules: Settings) -> Step:
    """Return the next state and what to do, in order."""
    if _is_deaf(state, rules) and isinstance(
        event, SpeechOnset | OnsetDropped | SpeechStarted | SpeechDipped | SpeechPaused
    ):
        return _deaf(state, event), ()
    match event:
        case Tick():
            state, commands = _tick(replace(state, now_frames=event.at_frames), event, rules)
            state, forgotten = session.watch(state, rules)
            return state, (*commands, *forgotten)
        case SpeechOnset():
            return duck_if_speaking(replace(state, onset_frames=event.at_frames), rules)
        case OnsetDropped():
            return unduck_if_alone(replace(state, onset_frames=None))
        case SpeechStarted():
            return listening.speech_started(replace(state, onset_frames=None), event, rules)
        case SpeechDipped():
            return partials.speech_dipped(state, event, rules)
        case SpeechPaused():
            return listening.speech_paused(state, event, rules)
        case TurnJudged():
            return listening.turn_judged(state, event, rules), ()
        case WordsJudged():
            return listening.words_judged(state, event, rules), ()
        case PartialTranscribed():
            return partials.partial_transcribed(state, event)
        case Transcribed():
            state, commands = replying.transcribed(state, event, rules)
            state, asked = listening.ask_if_open(state, event, rules)
            return state, (*commands, *asked)
        case PlaybackStarted():
            return replying.playback_started(state, event, rules)
        case PlaybackFinished():
            return replying.playback_finished(state, event)
        case Yielded():
            return replying.yielded(state, event)
        case ReplyFailed():
            return replying.reply_failed(state, event)
        case Requested():
            return replace(state, requests=(*state.requests, event)), ()
        case PushPressed():
            return listening.push_pressed(state, event)
        case PushReleased():
            return listening.push_released(state, event)
        case StopPressed():
            return replying.stop_pressed(state)
        case _:
            assert_never(event)


def _is_deaf(state: State, rules: Settings) -> bool:
    pushed = state.user is not None and state.user.pushed
    return rules.listen == "push" or pushed


def _deaf(state: State, event: Event) -> State:
    """While the key is held a pause is only a place where the text may be parted."""
    user = state.user
    if user is None or not user.pushed or not isinstance(event, SpeechPaused):
        return state
    middle = (event.ended_frames + event.at_frames) // 2
    return replace(state, user=replace(user, breaks=(*user.breaks, middle)))


def _tick(state: State, tick: Tick, rules: Settings) -> Step:
    user = state.user
    if user is None:
        return _start_request(state) if state.reply is None else (state, ())
    if user.phase is UserPhase.PAUSED:
        if _is_due(state, user):
            return _endpoint(state, user, rules)
        state, asked = listening.ask_late(state, user, rules)
        state, looked = listening.look_again(state, state.user or user, rules)
        return state, (*asked, *looked)
    if tick.is_voiced and state.replies_in(ReplyPhase.SPEAKING):
        state, commands = _overlap(state, user, rules)
    else:
        state, commands = partials.look(state, user, rules)
    user = state.user or user
    if state.now_frames - user.started_frames < frames_of_ms(rules.max_utterance_ms):
        return state, commands
    if state.replies_in(ReplyPhase.YIELDING):
        return state, commands  # the endpoint waits for the loudspeaker's word
    now = state.now_frames
    over_reply = state.replies_in(ReplyPhase.SPEAKING)  # which then has the floor and keeps it
    cut = replace(user, ended_frames=now, paused_frames=now, overlapped=over_reply)
    state, ended = _endpoint(state, cut, rules)
    state, unducked = unduck_if_alone(state)
    return state, (*commands, *ended, *unducked)


def _overlap(state: State, user: UserTurn, rules: Settings) -> Step:
    """The user speaks over a reply, and goes on speaking."""
    verdict = overlap.judge(
        (state.now_frames - user.talking_from_frames) * 1000 / frames_of_ms(1000),
        barge_in_ms=rules.barge_in_ms,
        probe_ms=rules.probe_ms,
        probes=user.probes,
        is_wordless=user.is_wordless,
        is_hasty=_is_hasty(user, state.reply),
        early_barge_in_ms=rules.early_barge_in_ms if _is_early(user, state.reply) else 0,
        by_duration=rules.barge_in and rules.listen == "open",
    )
    match verdict:
        case overlap.Overlap.INTERRUPTION:
            state, dropped = drop_check(state)
            state, yielded = yield_reply(state)
            return state, (*dropped, *yielded)
        case overlap.Overlap.PROBE if state.check is None:
            now = state.now_frames
            heard = replace(user, ended_frames=now, paused_frames=now)
            probe = draft_of(heard, now, rules, alone=True)
            user = replace(user, drafts=probe.draft, probes=user.probes + 1)
            return replace(state, user=user, check=(probe.turn, probe.draft)), (probe,)
        case _:
            return state, ()


def _is_hasty(user: UserTurn, reply: Reply | None) -> bool:
    if reply is None or user.heard_from_frames is None:
        return False
    return user.started_frames - reply.ended_frames <= frames_of_ms(overlap.HASTY_MS)


def _is_early(user: UserTurn, reply: Reply | None) -> bool:
    if reply is None or reply.began_frames is None or user.heard_from_frames is None:
        return False
    return user.started_frames - reply.began_frames <= frames_of_ms(overlap.EARLY_MS)


def _is_due(state: State, user: UserTurn) -> bool:
    if state.replies_in(ReplyPhase.YIELDING) or (user.overlapped and state.check is not None):
        return False
    grace = 0 if state.onset_frames is None else frames_of_ms(ONSET_GRACE_MS)
    return state.now_frames >= user.deadline_frames + grace


def _start_request(state: State) -> Step:
    if not state.requests or state.onset_frames is not None:
        return state, ()
    request, *rest = state.requests
    turn = state.next_turn
    kind = Answer if request.answer else Speak
    begin = kind(turn=turn, draft=1, text=request.text, request=request.request)
    is_announcement = not request.answer
    reply = Reply(turn=turn, draft=1, phase=ReplyPhase.COMMITTED, is_announcement=is_announcement)
    state = replace(state, next_turn=turn + 1, reply=reply, requests=tuple(rest))
    return state, (begin, Commit(turn=turn, draft=1))


def _endpoint(state: State, user: UserTurn, rules: Settings) -> Step:
    ended = EndTurn(
        turn=user.turn, ended_frames=user.ended_frames, paused_frames=user.paused_frames
    )
    if user.overlapped:
        finished = FinishTurn(turn=user.turn, outcome=Outcome.IGNORED)
        return replace(state, user=None), (ended, finished)
    if state.reply is not None and state.reply.phase is ReplyPhase.DRAFTED:
        reply = replace(state.reply, phase=ReplyPhase.COMMITTED)
        commit = Commit(turn=reply.turn, draft=reply.draft)
        return replace(state, user=None, reply=reply), (ended, commit)
    state, drafted = start_draft(state, user, rules, phase=ReplyPhase.COMMITTED)
    commit = Commit(turn=user.turn, draft=user.drafts + 1)
    return replace(state, user=None), (ended, *drafted, commit)
