"""The floor as a table: `python -m tests.turns.floor_table > docs/floor.md`.

Nothing here knows what the floor should do. Each situation is reached from an empty state by facts,
as a conversation reaches it, and each cell is what the real reducer makes of one more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from edge_assistant.audio.format import frames_of_ms
from edge_assistant.turns.commands import Command, Discard, FinishTurn
from edge_assistant.turns.events import (
    Event,
    OnsetDropped,
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
from edge_assistant.turns.state import State
from tests.turns.floor_situations import AFTER, BEFORE, Situation, name_of, play

COMMAND = "python -m tests.turns.floor_table > docs/floor.md"


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


def _transcribed_open(state: State) -> Sequence[Event]:
    turn, draft = _draft(state)
    return [Transcribed(turn=turn, draft=draft, text="and tomorrow,", is_closed=False)]


def _partial(state: State) -> Sequence[Event]:
    turn = state.next_turn - 1 if state.user is None else state.user.turn
    return [PartialTranscribed(turn=turn, ahead="and")]


def _echo(state: State) -> Sequence[Event]:
    turn, draft = _draft(state)
    return [Transcribed(turn=turn, draft=draft, text="it is three", is_echo=True)]


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
    Fact(
        name="SpeechDipped",
        meaning="the level has fallen",
        make=lambda state: [SpeechDipped(at_frames=later(state, 10))],
    ),
    Fact(name="SpeechPaused", meaning="silent for the length of a pause", make=_speech_paused),
    Fact(name="TurnJudged", meaning="this pause ends the turn", make=_judged(0)),
    Fact(name="TurnJudged, late", meaning="about an earlier pause", make=_judged(10)),
    Fact(name="WordsJudged", meaning="the words are all of it", make=_words_judged),
    Fact(name="PartialTranscribed", meaning="the first words are sure", make=_partial),
    Fact(name="Transcribed, words", meaning="a question", make=_transcribed("and tomorrow")),
    Fact(name="Transcribed, open", meaning="it may go on", make=_transcribed_open),
    Fact(name="Transcribed, nothing", meaning="no words in it", make=_transcribed("")),
    Fact(name="Transcribed, response", meaning="a listener's", make=_transcribed("mhm")),
    Fact(name="Transcribed, echo", meaning="the assistant's own words", make=_echo),
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
    Fact(name="StopPressed", meaning="the stop button", make=lambda state: [StopPressed()]),
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
        "fields of the state that change where the situation stays. An empty cell: nothing at all.",
        "",
        "So that every cell shows one thing, the settings are the simplest: "
        '`draft_at = "endpoint"`, `partials = false`,',
        "`probe_ms = 0`, `barge_in_ms = 200`, `pause_ms = 100`, `max_wait_ms = 1200`; a situation "
        "names what differs. There",
        "`probe_ms = 250` comes with `barge_in_ms = 700`.",
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
