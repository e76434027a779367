"""Looking at what the user has said so far, while he goes on speaking."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import ReadAhead, TranscribePartial
from edge_assistant.turns.events import PartialTranscribed, SpeechDipped
from edge_assistant.turns.grants import HEARD_OUT_MS, Step, heard_from
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase, State, UserPhase, UserTurn

PARTIAL_MS: Final = 300
"""From one look to the next: a word, about."""

DIPS_MS: Final = 60
"""Not more often are dips looked at: a shaky voice must not keep the recogniser busy. The last one
often follows another so soon, that before the burst of a final "k" or "t"."""

BACK_OFF: Final = 1.3
"""And at least so many times as long as the look took, so that a slow machine keeps a quarter of
its time for other things. Moonshine's own streaming backs off alike."""


def look(state: State, user: UserTurn, rules: Settings) -> Step:
    """Look at the words of a turn that goes on, if it is time."""
    now = state.now_frames
    due = max(user.partial_due_frames, user.talking_from_frames + frames_of_ms(PARTIAL_MS))
    is_heard_over = state.replies_in(ReplyPhase.COMMITTED, ReplyPhase.SPEAKING)
    if not rules.partials or user.partial_frames or is_heard_over or now < due:
        return state, ()
    return _order(state, user, rules, now)


def speech_dipped(state: State, event: SpeechDipped, rules: Settings) -> Step:
    """Look at once at what may be the end: 50 ms sooner than the pause is sure, and where it comes
    the draft has its words. Where it does not, this was just another look."""
    user = state.user
    if (
        user is None
        or user.phase is not UserPhase.TALKING
        or not rules.partials
        or state.replies_in(ReplyPhase.COMMITTED, ReplyPhase.SPEAKING)
        or event.at_frames - user.dipped_frames < frames_of_ms(DIPS_MS)
    ):
        return state, ()
    user = replace(user, dipped_frames=event.at_frames)
    return _order(state, user, rules, event.at_frames, pad_frames=frames_of_ms(HEARD_OUT_MS))


def _order(
    state: State, user: UserTurn, rules: Settings, to_frames: int, *, pad_frames: int = 0
) -> Step:
    """Look at all of the turn up to there."""
    command = TranscribePartial(
        turn=user.turn,
        from_frames=heard_from(user, rules),
        to_frames=to_frames,
        breaks=user.breaks,
        pad_frames=pad_frames,
    )
    return replace(state, user=replace(user, partial_frames=to_frames)), (command,)


def partial_transcribed(state: State, event: PartialTranscribed) -> Step:
    """Let the language model read ahead, and say when to look again."""
    user = state.user
    if user is None or user.turn != event.turn:
        return state, ()
    ordered = user.partial_frames or state.now_frames
    took_frames = state.now_frames - ordered
    due = ordered + max(frames_of_ms(PARTIAL_MS), round(BACK_OFF * took_frames))
    is_due = state.replies_in(ReplyPhase.DRAFTED)  # whose words are coming anyway
    is_new = event.ahead not in ("", user.ahead) and not is_due
    ahead = event.ahead or user.ahead
    user = replace(user, partial_frames=0, partial_due_frames=due, ahead=ahead)
    read = (ReadAhead(turn=user.turn, text=ahead, is_whole=event.is_whole),) if is_new else ()
    return replace(state, user=user), read
