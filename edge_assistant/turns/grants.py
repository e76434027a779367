"""Small moves that several parts of the floor share: yield, duck, draft."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import (
    Command,
    Discard,
    DropRequest,
    Duck,
    StartDraft,
    Unduck,
    Yield,
)
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import Reply, ReplyPhase, State, UserPhase, UserTurn

ASIDE_MS: Final = 1_200
"""Longest stretch of speech that can be a stop phrase said after something else."""

Step = tuple[State, tuple[Command, ...]]
"""The next state, and what to do, in order."""

HEARD_OUT_MS: Final = 130
"""Silence that a recogniser should find behind the last word. Behind 32 ms Moonshine puts commas
where there is an end: as a judge of 36 ends and 20 pauses, words and closing have an AUC of 0.84
then, and of 0.91 with 100 ms of nothing put behind."""

TAIL_MS: Final = 200
"""Silence after the last speech frame that still goes to the recogniser, so that no final
consonant is cut."""


def yield_reply(state: State) -> Step:
    """Silence the committed reply, if there is one; a duck ends with it."""
    reply = state.reply
    if reply is None or reply.phase not in (ReplyPhase.COMMITTED, ReplyPhase.SPEAKING):
        return state, ()
    silenced = replace(reply, phase=ReplyPhase.YIELDING)
    command = Yield(turn=reply.turn, draft=reply.draft)
    user = state.user
    if user is not None and user.turn != reply.turn:
        user = replace(user, interrupted=(reply.turn, reply.draft))
    return replace(state, user=user, reply=silenced, ducked=False), (command,)


def duck_if_speaking(state: State, rules: Settings) -> Step:
    reply = state.reply
    if (
        reply is None
        or reply.phase is not ReplyPhase.SPEAKING
        or state.ducked
        or not rules.barge_in
    ):
        return state, ()
    return replace(state, ducked=True), (Duck(turn=reply.turn),)


def unduck_if_alone(state: State, *, ended: int = 0) -> Step:
    """Raise the voice unless the user talks over it; `ended` is the turn of a reply just over."""
    user_talks = state.user is not None and state.user.phase is UserPhase.TALKING
    if not state.ducked or (user_talks and state.replies_in(ReplyPhase.SPEAKING)):
        return state, ()
    turn = ended or (state.reply.turn if state.reply is not None else 0)
    return replace(state, ducked=False), (Unduck(turn=turn),)


def drop_check(state: State) -> Step:
    """Look no longer at the words that were spoken over a reply."""
    if state.check is None:
        return state, ()
    turn, draft = state.check
    discard = Discard(turn=turn, draft=draft, reason="overlap decided")
    return replace(state, check=None), (discard,)


def drop_requests(state: State) -> Step:
    """Take back what programs asked for: the user wants silence."""
    dropped = tuple(DropRequest(request=each.request) for each in state.requests)
    return replace(state, requests=()), dropped


def start_draft(
    state: State,
    user: UserTurn,
    rules: Settings,
    *,
    phase: ReplyPhase,
    looked_to: int | None = None,
) -> Step:
    stretch_frames = user.ended_frames - user.talking_from_frames
    draft = draft_of(user, state.now_frames, rules, looked_to=looked_to)
    reply = Reply(
        turn=user.turn,
        draft=user.drafts + 1,
        phase=phase,
        started_frames=user.started_frames,
        ended_frames=user.ended_frames,
        whole_frames=user.heard_from_frames,
        breaks=user.breaks,
        interrupted=user.interrupted,
        ends_in_aside=user.resumed and stretch_frames <= frames_of_ms(ASIDE_MS),
        is_padded=draft.pad_frames > 0,
    )
    state = replace(state, user=replace(user, drafts=reply.draft), reply=reply)
    return state, (draft,)


def draft_of(
    user: UserTurn,
    now_frames: int,
    rules: Settings,
    *,
    alone: bool = False,
    looked_to: int | None = None,
) -> StartDraft:
    """The next transcript of the turn; `alone`: without the turn that it goes on with; `looked_to`:
    what the look at a dip has covered, where that will do."""
    is_paused = user.phase is UserPhase.PAUSED
    heard_to = max(user.ended_frames + frames_of_ms(TAIL_MS), user.paused_frames)
    to_frames = min(heard_to, max(now_frames, user.paused_frames))
    heard_out = user.ended_frames + frames_of_ms(HEARD_OUT_MS)
    pad_frames = max(0, heard_out - to_frames) if is_paused else 0
    if looked_to is not None:
        to_frames, pad_frames = looked_to, frames_of_ms(HEARD_OUT_MS)
    return StartDraft(
        turn=user.turn,
        draft=user.drafts + 1,
        from_frames=heard_from(user, rules, alone=alone),
        to_frames=to_frames,
        pad_frames=pad_frames,
        breaks=user.breaks,
        is_looked_at=looked_to is not None,
    )


def heard_from(user: UserTurn, rules: Settings, *, alone: bool = False) -> int:
    """Where the audio of the turn begins, in frames."""
    whole = None if alone else user.heard_from_frames
    start = user.started_frames if whole is None else whole
    return max(0, start - frames_of_ms(rules.preroll_ms))
