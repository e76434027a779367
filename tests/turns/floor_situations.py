"""The situations of the floor's table: each is reached from an empty state by facts, as a
conversation reaches it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import structs

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import Command
from edge_assistant.turns.events import (
    Event,
    PlaybackStarted,
    PushPressed,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
    Transcribed,
    Yielded,
)
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase, State, UserPhase

AHEAD = Settings(
    min_wait_ms=200,
    max_wait_ms=1_200,
    pause_ms=100,
    draft_at="endpoint",
    probe_ms=0,
    barge_in_ms=200,
    early_barge_in_ms=0,
)
"""Round numbers, and only one thing beside the floor's own: what is said is looked at meanwhile."""
BY_LENGTH = structs.replace(AHEAD, partials=False)
"""The simplest rules, so that every cell shows one thing."""
BY_WORDS = structs.replace(BY_LENGTH, probe_ms=250, barge_in_ms=700)
AT_PAUSE = structs.replace(BY_WORDS, draft_at="pause")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A state that a conversation reaches, and the facts that lead there."""

    name: str
    meaning: str
    facts: tuple[Event, ...]
    rules: Settings = BY_LENGTH

    @property
    def state(self) -> State:
        """Where the facts lead."""
        state, _ = play(State(), self.facts, self.rules)
        return state


def play(
    state: State, facts: Iterable[Event], rules: Settings
) -> tuple[State, tuple[Command, ...]]:
    """Let the floor take all these facts; the last state, and all commands in order."""
    commands: list[Command] = []
    for fact in facts:
        state, given = step(state, fact, rules)
        commands.extend(given)
    return state, tuple(commands)


# --- the columns -----------------------------------------------------------------------------

NOBODY = (Tick(at_frames=frames_of_ms(1_000)),)
TALKING = (
    *NOBODY,
    SpeechOnset(at_frames=frames_of_ms(1_050)),
    SpeechStarted(at_frames=frames_of_ms(1_100), started_frames=frames_of_ms(1_000)),
    Tick(at_frames=frames_of_ms(1_500), is_voiced=True),
)
PAUSED = (
    *TALKING,
    SpeechPaused(at_frames=frames_of_ms(2_100), ended_frames=frames_of_ms(2_000)),
    Tick(at_frames=frames_of_ms(2_110)),
)
HELD = (
    *NOBODY,
    PushPressed(at_frames=frames_of_ms(1_010)),
    Tick(at_frames=frames_of_ms(1_500)),
)
THINKING = (*PAUSED, Tick(at_frames=frames_of_ms(2_700)))
SPEAKING = (
    *THINKING,
    Transcribed(turn=1, draft=1, text="what time is it"),
    PlaybackStarted(turn=1, draft=1, at_frames=frames_of_ms(2_900)),
    Tick(at_frames=frames_of_ms(3_000)),
)
DUCKED = (*SPEAKING, SpeechOnset(at_frames=frames_of_ms(3_050)))
TALKED_OVER = (
    *DUCKED,
    SpeechStarted(at_frames=frames_of_ms(3_100), started_frames=frames_of_ms(3_000)),
    Tick(at_frames=frames_of_ms(3_110), is_voiced=True),
)
OVERHEARD = (
    *TALKED_OVER,
    SpeechPaused(at_frames=frames_of_ms(3_250), ended_frames=frames_of_ms(3_150)),
    Tick(at_frames=frames_of_ms(3_260)),
)
YIELDING = (*TALKED_OVER, Tick(at_frames=frames_of_ms(3_200), is_voiced=True))
INTERRUPTED = (
    *YIELDING,
    Yielded(turn=1, draft=1),
    SpeechPaused(at_frames=frames_of_ms(3_600), ended_frames=frames_of_ms(3_500)),
    Tick(at_frames=frames_of_ms(4_200)),
)

BEFORE = (
    Situation(name="idle", meaning="nobody speaks, nothing is owed", facts=NOBODY),
    Situation(name="user talking", meaning="the user is in a turn, and speaks", facts=TALKING),
    Situation(name="user paused", meaning="the user is in a turn, and silent", facts=PAUSED),
    Situation(
        name="drafted",
        meaning="the user is silent, and a reply is being prepared and held back "
        '(`draft_at = "pause"`)',
        facts=PAUSED,
        rules=AT_PAUSE,
    ),
    Situation(
        name="looked at",
        meaning="the user speaks, and what was said so far is being looked at (`partials = true`)",
        facts=TALKING,
        rules=AHEAD,
    ),
    Situation(name="key held", meaning="the push-to-talk key holds a turn open", facts=HELD),
)
AFTER = (
    Situation(
        name="thinking", meaning="a reply is committed, and none of it was heard", facts=THINKING
    ),
    Situation(name="speaking", meaning="the reply is heard", facts=SPEAKING),
    Situation(name="ducked", meaning="something voiced began over the reply", facts=DUCKED),
    Situation(name="talked over", meaning="it is the user, in a turn", facts=TALKED_OVER),
    Situation(
        name="overheard",
        meaning="the user spoke over the reply and is silent; the words are being looked at",
        facts=OVERHEARD,
    ),
    Situation(
        name="listened to",
        meaning="the user speaks over the reply, and the words so far are being looked at "
        "(`probe_ms = 250`)",
        facts=(*TALKED_OVER, Tick(at_frames=frames_of_ms(3_260), is_voiced=True)),
        rules=BY_WORDS,
    ),
    Situation(
        name="yielding",
        meaning="the reply gives way to the user, the loudspeaker has not confirmed it",
        facts=YIELDING,
    ),
    Situation(
        name="interrupted",
        meaning="a reply gave way, the words that it gave way to are over, and the answer to them "
        "is committed",
        facts=INTERRUPTED,
    ),
)


def name_of(state: State) -> str:
    """The column that a state belongs to, or a description where there is none."""
    user, reply = state.user, state.reply
    user_name = "" if user is None else f"user {user.phase.value}"
    if user is not None and user.pushed:
        user_name = "key held" if user.phase is UserPhase.TALKING else "key released"
    if reply is None:
        is_looked_at = user is not None and bool(user.partial_frames)
        return "looked at" if is_looked_at else user_name or "idle"
    if reply.phase is ReplyPhase.SPEAKING:
        if state.check is not None:
            return "listened to" if user_name == "user talking" else "overheard"
        if user_name == "user talking":
            return "talked over"
        if user is None and state.ducked:
            return "ducked"
    names = {
        ReplyPhase.DRAFTED: "drafted",
        ReplyPhase.COMMITTED: "thinking" if reply.interrupted is None else "interrupted",
        ReplyPhase.SPEAKING: "speaking",
        ReplyPhase.YIELDING: "yielding",
    }
    at_home = {"", "user paused" if reply.phase is ReplyPhase.DRAFTED else ""}
    if reply.phase is ReplyPhase.YIELDING:
        at_home = {"user talking"}
    name = names[reply.phase]
    return name if user_name in at_home else f"{name}, {user_name or 'no user'}"
