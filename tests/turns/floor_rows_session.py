"""When the floor takes the user for gone, row by row."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from edge_assistant.turns.commands import ResetSession
from edge_assistant.turns.events import Tick
from edge_assistant.turns.state import State
from tests.turns.floor_situations import BY_LENGTH
from tests.turns.floor_states import (
    ASK,
    IDLE,
    OWN_REPLY,
    SPEAKING,
    TALKING,
    THINKING,
    YIELDING,
    Row,
    at,
    tick,
)

FORGETS = structs.replace(BY_LENGTH, reset_after_idle_s=20)
REMEMBERED = replace(IDLE, session_frames=at(1_000))
assert SPEAKING.reply is not None
ANNOUNCED = replace(
    SPEAKING, reply=replace(SPEAKING.reply, is_announcement=True), session_frames=at(1_000)
)


def lives_on(given: State, ms: float, since_ms: float, why: str) -> Row:
    """The time goes on, and the session since then."""
    then = replace(given, now_frames=at(ms), session_frames=at(since_ms))
    return Row(given=given, fact=Tick(at_frames=at(ms)), then=then, rules=FORGETS, why=why)


SESSION = [
    tick(IDLE, 90_000, "there is nothing to forget", rules=FORGETS),
    tick(REMEMBERED, 90_000, "nothing is ever forgotten"),
    tick(REMEMBERED, 20_999, "the user may come back", rules=FORGETS),
    Row(
        given=replace(REMEMBERED, awake_until_frames=at(1_500)),
        fact=Tick(at_frames=at(21_000)),
        then=replace(IDLE, now_frames=at(21_000)),
        orders=(ResetSession(),),
        rules=FORGETS,
        why="the user has gone",
    ),
    lives_on(TALKING, 1_510, 1_510, "whoever speaks begins a session"),
    lives_on(THINKING, 2_710, 2_710, "so does he who was answered at once"),
    lives_on(replace(OWN_REPLY, session_frames=None), 2_710, 2_710, "or a program in his place"),
    lives_on(replace(SPEAKING, session_frames=at(1_000)), 3_010, 3_010, "an answer is heard"),
    lives_on(replace(YIELDING, session_frames=at(1_000)), 3_210, 3_210, "and was interrupted"),
    tick(replace(TALKING, session_frames=at(900)), 22_000, "he speaks", rules=FORGETS),
    tick(replace(THINKING, session_frames=at(900)), 22_000, "he is owed an answer", rules=FORGETS),
    tick(ANNOUNCED, 22_000, "what a program announces keeps nothing alive", rules=FORGETS),
    lives_on(replace(TALKING, session_frames=at(900)), 1_510, 0.9e3, "chatter keeps nothing alive"),
    tick(
        replace(REMEMBERED, requests=(ASK,), onset_frames=at(1_000)),
        22_000,
        "a program is owed an answer",
        rules=FORGETS,
    ),
]
