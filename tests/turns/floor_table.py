"""The floor as a table: `python -m tests.turns.floor_table > docs/floor.md`.

Nothing here knows what the floor should do. Each situation is reached from an empty state by facts,
as a conversation reaches it, and each cell is what the real reducer makes of one more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import Command, Discard, FinishTurn
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
    PlaybackFinished,
    PlaybackStarted,
    PushPressed,
    PushReleased,
    ReplyFailed,
    Requested,
    SpeechOnset,
    SpeechPaused,
    SpeechStarted,
    Tick,
    Transcribed,
    TurnJudged,
    WordsJudged,
    Yielded,
)
from edge_assistant.turns.floor import step
from edge_assistant.turns.settings import Settings
from edge_assistant.turns.state import ReplyPhase, State, UserPhase

BY_WORDS = Settings(draft_at="endpoint", probe_ms=250, barge_in_ms=700)
BY_LENGTH = Settings(draft_at="endpoint", probe_ms=0, barge_in_ms=200)
"""The simplest rules, so that every cell shows one thing."""

COMMAND = "python -m tests.turns.floor_table > docs/floor.md"


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

BEFORE = (
    Situation(name="idle", meaning="nobody speaks, nothing is owed", facts=NOBODY),
    Situation(name="user talking", meaning="the user is in a turn, and speaks", facts=TALKING),
    Situation(name="user paused", meaning="the user is in a turn, and silent", facts=PAUSED),
    Situation(
        name="drafted",
        meaning="the user is silent, and a reply is being prepared and held back "
        '(`draft_at = "pause"`)',
        facts=PAUSED,
        rules=Settings(draft_at="pause"),
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
        "(`probe_ms = 250`, `barge_in_ms = 700`)",
        facts=(*TALKED_OVER, Tick(at_frames=frames_of_ms(3_260), is_voiced=True)),
        rules=BY_WORDS,
    ),
    Situation(
        name="yielding",
        meaning="the reply gives way to the user, the loudspeaker has not confirmed it",
        facts=YIELDING,
    ),
)


def name_of(state: State) -> str:
    """The column that a state belongs to, or a description where there is none."""
    user, reply = state.user, state.reply
    user_name = "" if user is None else f"user {user.phase.value}"
    if user is not None and user.pushed:
        user_name = "key held" if user.phase is UserPhase.TALKING else "key released"
    if reply is None:
        return user_name or "idle"
    if reply.phase is ReplyPhase.SPEAKING:
        if state.check is not None:
            return "listened to" if user_name == "user talking" else "overheard"
        if user_name == "user talking":
            return "talked over"
        if user is None and state.ducked:
            return "ducked"
    names = {
        ReplyPhase.DRAFTED: "drafted",
        ReplyPhase.COMMITTED: "thinking",
        ReplyPhase.SPEAKING: "speaking",
        ReplyPhase.YIELDING: "yielding",
    }
    at_home = {"", "user paused" if reply.phase is ReplyPhase.DRAFTED else ""}
    if reply.phase is ReplyPhase.YIELDING:
        at_home = {"user talking"}
    name = names[reply.phase]
    return name if user_name in at_home else f"{name}, {user_name or 'no user'}"


# --- the rows --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A row: what happens next. It is made to fit the state: its turn, its draft, its pause."""

    name: str
    meaning: str
    make: Callable[[State], Sequence[Event]]


def later(state: State, ms: int) -> int:
    """The position `ms` after the last tick."""
    return state.now_frames + frames_of_ms(ms)


def _draft(state: State) -> tuple[int, int]:
    """Whose words are awaited."""
    if state.check is not None:
        return state.check
    return (1, 1) if state.reply is None else (state.reply.turn, state.reply.draft)


def _reply(state: State) -> tuple[int, int]:
    return (1, 1) if state.reply is None else (state.reply.turn, state.reply.draft)


def _tick(ms: int, *, is_voiced: bool) -> Callable[[State], Sequence[Event]]:
    return lambda state: [Tick(at_frames=later(state, ms), is_voiced=is_voiced)]


def _judged(paused_earlier_ms: int) -> Callable[[State], Sequence[Event]]:
    def make(state: State) -> Sequence[Event]:
        turn = state.next_turn - 1 if state.user is None else state.user.turn
        paused = 0 if state.user is None else state.user.paused_frames
        earlier = frames_of_ms(paused_earlier_ms)
        return [TurnJudged(turn=turn, paused_frames=paused - earlier, probability=1.0)]

    return make


def _words_judged(state: State) -> Sequence[Event]:
    turn, draft = _draft(state)
    return [WordsJudged(turn=turn, draft=draft, probability=1.0)]


def _transcribed(text: str) -> Callable[[State], Sequence[Event]]:
    def make(state: State) -> Sequence[Event]:
        turn, draft = _draft(state)
        return [Transcribed(turn=turn, draft=draft, text=text)]

    return make


def _about(kind: Callable[[int, int], Event]) -> Callable[[State], Sequence[Event]]:
    return lambda state: [kind(*_reply(state))]


def _failed(*, notice: str = "", audible: bool = False) -> Callable[[State], Sequence[Event]]:
    return _about(
        lambda turn, draft: ReplyFailed(turn=turn, draft=draft, notice=notice, audible=audible)
    )


def _speech_started(state: State) -> Sequence[Event]:
    return [SpeechStarted(at_frames=later(state, 100), started_frames=later(state, 0))]


def _speech_paused(state: State) -> Sequence[Event]:
    return [SpeechPaused(at_frames=later(state, 110), ended_frames=later(state, 10))]


def _requested(state: State) -> Sequence[Event]:
    return [Requested(request=7, text="hello", answer=False), Tick(at_frames=later(state, 10))]


FACTS = (
    Fact(name="Tick, silent", meaning="10 ms on", make=_tick(10, is_voiced=False)),
    Fact(name="Tick, the wait is over", meaning="2 s on", make=_tick(2_000, is_voiced=False)),
    Fact(name="Tick, still voiced", meaning="200 ms on", make=_tick(200, is_voiced=True)),
    Fact(name="Tick, too long a turn", meaning="30 s on", make=_tick(30_000, is_voiced=True)),
    Fact(
        name="SpeechOnset",
        meaning="something voiced began",
        make=lambda state: [SpeechOnset(at_frames=later(state, 10))],
    ),
    Fact(
        name="OnsetDropped",
        meaning="it was no speech",
        make=lambda state: [OnsetDropped(at_frames=later(state, 10))],
    ),
    Fact(name="SpeechStarted", meaning="it is speech", make=_speech_started),
    Fact(name="SpeechPaused", meaning="silent for the length of a pause", make=_speech_paused),
    Fact(name="TurnJudged", meaning="this pause ends the turn", make=_judged(0)),
    Fact(name="TurnJudged, late", meaning="about an earlier pause", make=_judged(10)),
    Fact(name="WordsJudged", meaning="the words are all of it", make=_words_judged),
    Fact(name="Transcribed, words", meaning="a question", make=_transcribed("and tomorrow")),
    Fact(name="Transcribed, nothing", meaning="no words in it", make=_transcribed("")),
    Fact(name="Transcribed, stop", meaning="a stop phrase", make=_transcribed("stop")),
    Fact(
        name="PlaybackStarted",
        meaning="the first frame was heard",
        make=_about(lambda turn, draft: PlaybackStarted(turn=turn, draft=draft, at_frames=0)),
    ),
    Fact(
        name="PlaybackFinished",
        meaning="the whole reply was heard",
        make=_about(lambda turn, draft: PlaybackFinished(turn=turn, draft=draft)),
    ),
    Fact(
        name="Yielded",
        meaning="the loudspeaker is silent",
        make=_about(lambda turn, draft: Yielded(turn=turn, draft=draft)),
    ),
    Fact(name="ReplyFailed, notice", meaning="it can be said", make=_failed(notice="sorry")),
    Fact(name="ReplyFailed, no notice", meaning="nothing can be said", make=_failed()),
    Fact(
        name="ReplyFailed, audible",
        meaning="a part of it will be heard",
        make=_failed(notice="sorry", audible=True),
    ),
    Fact(name="Requested, Tick", meaning="a program wants to speak", make=_requested),
    Fact(
        name="PushPressed",
        meaning="the key goes down",
        make=lambda state: [PushPressed(at_frames=later(state, 10))],
    ),
    Fact(
        name="PushReleased",
        meaning="the key goes up",
        make=lambda state: [PushReleased(at_frames=later(state, 10))],
    ),
)


# --- the page --------------------------------------------------------------------------------


def name_of_command(command: Command) -> str:
    """The order, and what distinguishes it."""
    name = type(command).__name__
    if isinstance(command, FinishTurn):
        return f"{name} {command.outcome.value}"
    if isinstance(command, Discard):
        return f"{name} ({command.reason})"
    return name


def changed_fields(before: State, after: State) -> list[str]:
    """Names of what differs, except the time of day."""
    names = []
    for track in fields(State):
        old, new = getattr(before, track.name), getattr(after, track.name)
        if old == new or track.name == "now_frames":
            continue
        if track.name in ("user", "reply") and old is not None and new is not None:
            names += [f.name for f in fields(old) if getattr(old, f.name) != getattr(new, f.name)]
        else:
            names.append(track.name)
    return names


def cell(situation: Situation, fact: Fact) -> str:
    """What the floor does: its orders, then where it is; in italics what else it remembers."""
    before = situation.state
    after, commands = play(before, fact.make(before), situation.rules)
    lines = [name_of_command(command) for command in commands]
    if name_of(after) != name_of(before):
        lines.append(f"**{name_of(after)}**")
    elif changed := changed_fields(before, after):
        lines.append(f"*{', '.join(changed)}*")
    return "<br>".join(lines)


def table(situations: Sequence[Situation]) -> list[str]:
    """One Markdown table: a row for each fact, a column for each situation."""
    heads = ["fact", *(situation.name for situation in situations)]
    rows = [
        [f"{fact.name}<br>({fact.meaning})", *(cell(situation, fact) for situation in situations)]
        for fact in FACTS
    ]
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def page() -> str:
    """The whole of `docs/floor.md`."""
    meanings = [f"- **{s.name}**: {s.meaning}" for s in (*BEFORE, *AFTER)]
    lines = [
        "# The floor as a table",
        "",
        "What the floor does with each fact in each situation. This page is made from the reducer "
        "itself",
        "(`edge_assistant/turns/floor.py`), and a test fails while it differs; to make it anew:",
        "",
        f"    {COMMAND}",
        "",
        "A cell lists the commands in the order given, then in bold the situation that follows, or "
        "in italics the",
        "fields of the state that change where the situation stays. An empty cell: nothing at all. "
        "The settings are",
        'the default ones with `draft_at = "endpoint"`, except where a situation names another.',
        "",
        *meanings,
        "",
        "A situation that has no column of its own is named by its reply and its user, such as "
        '"thinking, user talking".',
        "",
        "## Until a reply is committed",
        "",
        *table(BEFORE),
        "",
        "## From then on",
        "",
        *table(AFTER),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
