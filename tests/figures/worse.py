"""Our assistant with one thing made worse on purpose: can the bench tell?

From the checkout: `python -m tests.figures.worse FAULT --pipe [--events FILE] [--config FILE]` is
`edge-assistant converse --pipe` with one fault; everything else is as it was. All of them:

    edge-assistant bench --events --system ours="edge-assistant converse --pipe" \\
        --system hangover="python -m tests.figures.worse hangover --pipe" \\
        --system no_barge_in="python -m tests.figures.worse no_barge_in --pipe" \\
        --system uncut_history="python -m tests.figures.worse uncut_history --pipe" -o run

The faults are put into the running process; the product's files know nothing of them. Its modules
are imported late, as its own command line does: it has to prepare the process first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from edge_assistant.audio.playout import Key
    from edge_assistant.config import Config
    from edge_assistant.pipeline.attempt import Attempt, Heard
    from edge_assistant.turns.events import SpeechStarted
    from edge_assistant.turns.grants import Step
    from edge_assistant.turns.settings import Settings
    from edge_assistant.turns.state import State

HANGOVER_MS: Final = 300

Put = Callable[[Any, str, Any], None]
"""(owner, name, value): `setattr`, or one that a test takes back."""

Fault = Callable[["Config", Put], dict[str, Any]]
"""Spoils the process and gives the settings that belong to it, by dotted key."""


def hangover(config: Config, put: Put) -> dict[str, Any]:
    """Every turn is taken as over 300 ms later: the wait is a line between these two."""
    return {
        "turns.min_wait_ms": config.turns.min_wait_ms + HANGOVER_MS,
        "turns.max_wait_ms": config.turns.max_wait_ms + HANGOVER_MS,
    }


def no_barge_in(config: Config, put: Put) -> dict[str, Any]:
    """A reply that is heard is neither lowered nor silenced; what begins meanwhile is ignored.

    The setting alone would let stop phrases through, and answer what outlasts the reply.
    """
    from edge_assistant.turns import listening
    from edge_assistant.turns.state import ReplyPhase

    ours = listening.speech_started

    def speech_started(state: State, event: SpeechStarted, rules: Settings) -> Step:
        if state.replies_in(ReplyPhase.SPEAKING):
            return state, ()
        return ours(state, event, rules)

    put(listening, "speech_started", speech_started)
    return {"turns.barge_in": False}


def uncut_history(config: Config, put: Put) -> dict[str, Any]:
    """A reply that was silenced counts as heard as far as it was written, in log and history."""
    from edge_assistant.pipeline.orders import Orders
    from edge_assistant.pipeline.thinker import Thinker
    from edge_assistant.tts.normalise import speakable

    give, remember = Thinker._give, Orders._remember
    written: dict[Key, list[str]] = {}

    def give_and_note(self: Thinker, clause: str, attempt: Attempt) -> None:
        written.setdefault(attempt.key, []).append(speakable(clause).strip())
        give(self, clause, attempt)

    def remember_all(self: Orders, attempt: Attempt, heard: Heard, *, is_interrupted: bool) -> None:
        was_audible = attempt.marks.first_out_frames is not None
        if is_interrupted and was_audible and attempt.key in written:
            heard = replace(heard, text=" ".join(written[attempt.key]))
        remember(self, attempt, heard, is_interrupted=is_interrupted)

    put(Thinker, "_give", give_and_note)
    put(Orders, "_remember", remember_all)
    return {}


FAULTS: Final[dict[str, Fault]] = {
    fault.__name__: fault for fault in (hangover, no_barge_in, uncut_history)
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.figures.worse")
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("--pipe", action="store_true", required=True)
    parser.add_argument("--events", type=Path)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()

    from edge_assistant.cli import main as command_line
    from edge_assistant.cli import process

    process.prepare()
    from edge_assistant.config import load
    from edge_assistant.errors import EdgeAssistantError

    arguments = ["converse", "--pipe"]
    for name in ("events", "config"):
        if (value := getattr(options, name)) is not None:
            arguments += [f"--{name}", str(value)]
    try:
        settings = FAULTS[options.fault](load(options.config), setattr)
    except EdgeAssistantError:
        settings = {}  # the command line will tell it
    for key, value in settings.items():
        arguments += ["--set", f"{key}={str(value).lower()}"]
    sys.argv[1:] = arguments
    command_line.main()


if __name__ == "__main__":
    main()
