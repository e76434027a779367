"""The floor's answer to what becomes of a reply: words, playback, failures."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import (
    Answer,
    Command,
    Commit,
    Conclude,
    Discard,
    EndTurn,
    FinishTurn,
    GoOn,
    Speak,
)
from edge_assistant.turns.events import (
    Outcome,
    PlaybackFinished,
    PlaybackStarted,
    ReplyFailed,
    Transcribed,
    Yielded,
)
from edge_assistant.turns.grants import (
    Step,
    drop_requests,
    duck_if_speaking,
    unduck_if_alone,
    yield_reply,
)
from edge_assistant.turns.phrases import after_wake_phrase, is_backchannel, is_stop
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserPhase

AWAKE_MS: Final = 8_000
"""How long after the wake phrase on its own a turn may begin: time to think of a question."""


def transcribed(state: State, event: Transcribed, rules: Settings) -> Step:
    if state.check == (event.turn, event.draft):
        return _checked(replace(state, check=None), event, rules)
    reply = state.reply
    if (
        reply is None
        or (reply.turn, reply.draft) != (event.turn, event.draft)
        or reply.phase not in (ReplyPhase.DRAFTED, ReplyPhase.COMMITTED)
    ):
        return state, ()
    if _is_stop(event.text, rules, at_end=reply.ends_in_aside):
        return _drop(state, reply, "stop", Outcome.STOPPED)
    is_aside = event.is_echo or is_backchannel(event.text, rules.backchannels)
    if not event.text or (reply.interrupted and is_aside):
        if reply.interrupted and reply.phase is ReplyPhase.COMMITTED:
            return _go_on(state, reply, reply.interrupted)
        return _drop(state, reply, "nothing said", Outcome.IGNORED)
    if rules.listen != "wake":
        return state, (Answer(turn=event.turn, draft=event.draft, text=event.text),)
    return _if_addressed(state, reply, event, rules)


def _is_stop(text: str, rules: Settings, *, at_end: bool = False) -> bool:
    """A stop phrase needs no wake phrase, and works behind one."""
    rest = after_wake_phrase(text, rules.wake_phrase) if rules.listen == "wake" else None
    return is_stop(rest or text, rules.stop_phrases, at_end=at_end)


def _if_addressed(state: State, reply: Reply, event: Transcribed, rules: Settings) -> Step:
    """Answer what follows the wake phrase, or the turn that follows the phrase on its own."""
    text = after_wake_phrase(event.text, rules.wake_phrase)
    if text == "":
        awake_until = state.now_frames + frames_of_ms(AWAKE_MS)
        state = replace(state, awake_until_frames=awake_until)
        return _drop(state, reply, "only the wake phrase", Outcome.IGNORED)
    began = reply.started_frames
    if text is None and began is not None and began < state.awake_until_frames:
        text = event.text
    if text is None:
        return _drop(state, reply, "not addressed", Outcome.IGNORED)
    state = replace(state, awake_until_frames=0)
    return state, (Answer(turn=event.turn, draft=event.draft, text=text),)


def _go_on(state: State, reply: Reply, after: tuple[int, int]) -> Step:
    """A reply yielded to something that was not meant to stop it: speak on."""
    rest = replace(
        reply,
        draft=reply.draft + 1,
        started_frames=None,
        began_frames=None,
        whole_frames=None,
        interrupted=None,
    )
    return replace(state, reply=rest), (
        Discard(turn=reply.turn, draft=reply.draft, reason="nothing said"),
        GoOn(turn=rest.turn, draft=rest.draft, after=after),
        Commit(turn=rest.turn, draft=rest.draft),
    )


def _drop(state: State, reply: Reply, reason: str, outcome: Outcome) -> Step:
    discard = Discard(turn=reply.turn, draft=reply.draft, reason=reason)
    state = replace(state, reply=None)
    if reply.phase is ReplyPhase.DRAFTED:
        return state, (discard,)  # the turn is still the user's
    dropped: tuple[Command, ...] = ()
    if outcome is Outcome.STOPPED:
        state, dropped = drop_requests(state)
    return state, (discard, *dropped, FinishTurn(turn=reply.turn, outcome=outcome))


def _checked(state: State, event: Transcribed, rules: Settings) -> Step:
    """Words were spoken over a reply: do they ask for the floor?"""
    user = state.user
    discard = Discard(turn=event.turn, draft=event.draft, reason="overlap checked")
    if user is None or user.turn != event.turn:
        return state, (discard,)
    if user.phase is UserPhase.TALKING:
        if event.is_echo or is_backchannel(event.text, rules.backchannels, is_whole=False):
            user = replace(user, is_wordless=event.is_echo or not event.text)
            return replace(state, user=user), (discard,)
        state, yielded = yield_reply(state)
        return state, (discard, *yielded)
    if _is_stop(event.text, rules):
        state, dropped = drop_requests(replace(state, user=None))
        state, yielded = yield_reply(state)
        ended = EndTurn(
            turn=user.turn, ended_frames=user.ended_frames, paused_frames=user.paused_frames
        )
        stopped = FinishTurn(turn=event.turn, outcome=Outcome.STOPPED)
        return state, (ended, discard, *yielded, *dropped, stopped)
    if rules.listen == "wake" and after_wake_phrase(event.text, rules.wake_phrase):
        state, yielded = yield_reply(replace(state, user=replace(user, overlapped=False)))
        return state, (discard, *yielded)
    by_words = rules.probe_ms > 0 and rules.barge_in and rules.listen == "open"
    by_words = by_words and not event.is_echo
    if by_words and not is_backchannel(event.text, rules.backchannels):
        state, yielded = yield_reply(replace(state, user=replace(user, overlapped=False)))
        return state, (discard, *yielded)
    return state, (discard,)


def _is_about(reply: Reply | None, event: PlaybackStarted | PlaybackFinished | Yielded) -> bool:
    return reply is not None and (reply.turn, reply.draft) == (event.turn, event.draft)


def playback_started(state: State, event: PlaybackStarted, rules: Settings) -> Step:
    reply = state.reply
    if reply is None or not _is_about(reply, event) or reply.phase is not ReplyPhase.COMMITTED:
        return state, ()
    reply = replace(reply, phase=ReplyPhase.SPEAKING, began_frames=event.at_frames)
    state = replace(state, reply=reply)
    return duck_if_speaking(state, rules) if state.onset_frames is not None else (state, ())


def playback_finished(state: State, event: PlaybackFinished) -> Step:
    reply = state.reply
    if reply is None or not _is_about(reply, event) or reply.phase is ReplyPhase.YIELDING:
        return state, ()  # a yielding reply ends with Yielded
    outcome = Outcome.FAILED if reply.failed else Outcome.ANSWERED
    state, unducked = unduck_if_alone(replace(state, reply=None), ended=event.turn)
    return state, (*unducked, FinishTurn(turn=event.turn, outcome=outcome))


def yielded(state: State, event: Yielded) -> Step:
    reply = state.reply
    if reply is None or not _is_about(reply, event) or reply.phase is not ReplyPhase.YIELDING:
        return state, ()
    state = replace(state, reply=None)
    if state.user is not None and state.user.turn == event.turn:
        return state, ()  # reopened: the turn goes on
    return state, (FinishTurn(turn=event.turn, outcome=Outcome.INTERRUPTED),)


def stop_pressed(state: State) -> Step:
    """Silence the reply for good: also one that was to go on if nothing is said."""
    state, dropped = drop_requests(state)
    state, silenced = yield_reply(state)
    if state.user is not None:
        state = replace(state, user=replace(state.user, interrupted=None))
    return state, (*silenced, *dropped)


def reply_failed(state: State, event: ReplyFailed) -> Step:
    key = (event.turn, event.draft)
    discard = Discard(turn=event.turn, draft=event.draft, reason="failed")
    if state.check == key:
        return replace(state, check=None), (discard,)
    reply = state.reply
    if reply is None or (reply.turn, reply.draft) != key:
        return state, ()
    match reply.phase:
        case ReplyPhase.YIELDING:
            return state, ()
        case ReplyPhase.DRAFTED:
            return replace(state, reply=None), (discard,)
        case ReplyPhase.SPEAKING:
            return _conclude(state, reply)
        case ReplyPhase.COMMITTED:
            return _give_notice(state, reply, event, discard)
        case _:
            assert_never(reply.phase)


def _give_notice(state: State, reply: Reply, event: ReplyFailed, discard: Discard) -> Step:
    if event.audible or (event.pending and not reply.failed):
        return _conclude(state, reply)
    if reply.failed or not event.notice:
        finished = FinishTurn(turn=event.turn, outcome=Outcome.FAILED)
        return replace(state, reply=None), (discard, finished)
    notice = replace(reply, draft=reply.draft + 1, failed=True)
    speak = Speak(turn=notice.turn, draft=notice.draft, text=event.notice)
    commit = Commit(turn=notice.turn, draft=notice.draft)
    return replace(state, reply=notice), (discard, speak, commit)


def _conclude(state: State, reply: Reply) -> Step:
    """Let what there is be heard, and nothing more; a second failure changes nothing."""
    if reply.failed:
        return state, ()
    state = replace(state, reply=replace(reply, failed=True))
    return state, (Conclude(turn=reply.turn, draft=reply.draft),)
