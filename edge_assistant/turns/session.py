"""When a conversation is over: the user has gone, and the next to speak is somebody else."""

from __future__ import annotations

from dataclasses import replace

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import ResetSession
from edge_assistant.turns.grants import Step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase, State


def watch(state: State, rules: Settings) -> Step:
    """Called with every tick: forget a session that nobody has kept alive.

    Whoever opens his mouth begins a session, since his words get as far as the engines even where
    nobody answers them. Only an answer that is heard keeps it alive: the chatter of those who stand
    by, and what a program announces, must not hold the words of somebody who left long ago. Nobody
    is cut off: it never ends while someone speaks or is owed an answer.
    """
    if not rules.reset_after_idle_s:
        return state, ()
    reply = state.reply
    is_answer = reply is not None and not reply.is_announcement
    is_heard = is_answer and state.replies_in(ReplyPhase.SPEAKING, ReplyPhase.YIELDING)
    if is_heard or (state.session_frames is None and (is_answer or state.user is not None)):
        return replace(state, session_frames=state.now_frames), ()
    if state.session_frames is None or not state.is_idle:
        return state, ()
    if state.now_frames - state.session_frames < frames_of_ms(rules.reset_after_idle_s * 1000):
        return state, ()
    return replace(state, session_frames=None, awake_until_frames=0), (ResetSession(),)
