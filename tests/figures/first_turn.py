"""Is the first turn as quick as the tenth? The same question in fresh sessions and ten times in
one.

Run it on a quiet machine: `python -m tests.figures.first_turn [SESSIONS]`. Three ways to start, one
after the other in turn so that all of them meet the same noise: `cold` (no warm-up, nothing kept on
disk), `warm` (warm-up, nothing kept) and `kept` (both, as the product does from its second start
on); each with the system prompt of the starter and with a long one. The question begins 0.3 s after
the assistant listens. In the session of ten the assistant has heard the same question before: what
it remembers of the conversation grows, and the voice has the reply in its cache if it is the same.

The wait for the end of the turn is cut to 200 ms: behind the wait that a doubtful end gets by
default (1.2 s) the first turn hides all that it still has to do. Replies are cut at 16 tokens, so
that ten of them do not take all day.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_assistant.llm.settings import SYSTEM_PROMPT
from tests.figures.recordings import speech_folder
from tests.figures.replies import requests
from tests.pipe.client import RATE, Conversation, Sound

QUESTION = "What is the weather like in London today?"
"""Spoken by espeak where there are no recordings."""
LONG_PROMPT = SYSTEM_PROMPT + " ".join(
    f"The lamp in room {number} is called lamp {number} and can be switched on, off, or dimmed."
    for number in range(1, 41)
)
TURNS = 10
WAIT_MS = "200"
LONGEST_TURN_S = 40.0

WITHOUT_STATES = (
    "from edge_assistant.llm.state_file import StateFolder;"
    "StateFolder.load = lambda *_: None; StateFolder.save = lambda *_: None;"
)
WITHOUT_WARM_UP = "from edge_assistant.pipeline import loading; loading._then = lambda *_: None;"
RUN = "from edge_assistant.cli.main import main; main()"
STARTS = {"cold": WITHOUT_STATES + WITHOUT_WARM_UP, "warm": WITHOUT_STATES, "kept": ""}
FIGURES = ("gap_s", "not_ready_s", "stt_s", "ttft_s", "tts_s")


@dataclass
class Found:
    """What was measured with one way to start and one prompt."""

    listening_s: list[float] = field(default_factory=list)
    first: list[dict[str, float]] = field(default_factory=list)
    """The first turn of each session."""
    later: list[dict[str, float]] = field(default_factory=list)
    """Turns 2 to 10 of one session."""
    lost: int = 0
    """Turns that got no reply."""


def question() -> Sound:
    """A recorded request of one to three seconds, or one that espeak makes."""
    if speech_folder() is not None:
        chosen = next(r for r in requests(100) if 1.0 <= r.seconds <= 3.0)
        print(f"question: {chosen.path.name}, {chosen.seconds:.1f} s, {chosen.text!r}")
        return chosen.sound()
    from edge_assistant.cancel import CancelToken
    from edge_assistant.tts.espeak import EspeakVoice
    from edge_assistant.tts.fallback import at_rate

    voice = EspeakVoice()
    chunks = list(voice.synthesize(QUESTION, CancelToken()))
    sound = np.concatenate([at_rate(c, voice.sample_rate, RATE).samples for c in chunks])
    voice.close()
    return sound


def session(
    start: str, prompt: str, sound: Sound, turns: int, folder: Path
) -> tuple[float, list[dict[str, float] | None]]:
    """One process: seconds to `listening`, and the figures of each turn (None: no reply)."""
    events = folder / "events.jsonl"
    events.unlink(missing_ok=True)
    partner = Conversation(
        events,
        command=(sys.executable, "-c", STARTS[start] + RUN, "converse", "--pipe"),
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "EDGE_ASSISTANT_LLM__SYSTEM_PROMPT": prompt,
            "EDGE_ASSISTANT_LLM__MAX_TOKENS": "16",
            "EDGE_ASSISTANT_TURNS__MIN_WAIT_MS": WAIT_MS,
            "EDGE_ASSISTANT_TURNS__MAX_WAIT_MS": WAIT_MS,
        },
    )
    try:
        partner.run(0.3)
        found: list[dict[str, float] | None] = []
        for number in range(1, turns + 1):
            partner.say(sound)
            count = number
            partner.run_until(lambda: partner.has("turn_finished", count), LONGEST_TURN_S)  # noqa: B023
            partner.run(0.7)
            found.append(_figures(partner.events(), number))
    finally:
        partner.close()
    return partner.listening_s, found


def _figures(events: list[dict[str, Any]], turn: int) -> dict[str, float] | None:
    """Of the last reply so far, if it belongs to the `turn`th that was finished."""
    finished = [event["turn"] for event in events if event["event"] == "turn_finished"]
    if len(finished) < turn:
        return None
    figures: dict[str, float] = {}
    for event in events:
        if event["event"] in ("latency", "timings") and event.get("turn") == finished[turn - 1]:
            figures |= {name: event[name] for name in FIGURES if name in event}
    return figures if "gap_s" in figures else None


def measure(prompt: str, sessions: int, sound: Sound, folder: Path) -> dict[str, Found]:
    """`sessions` of one turn and one of ten, for each way to start."""
    listening_s, _ = session("kept", prompt, sound, 1, folder)  # leaves its state behind
    print(f"  the very first start with this prompt listened after {listening_s:.2f} s")
    found = {start: Found() for start in STARTS}
    for turns in [1] * sessions + [TURNS]:
        for start, result in found.items():
            seconds, figures = session(start, prompt, sound, turns, folder)
            result.listening_s.append(seconds)
            result.lost += figures.count(None)
            answered = [each for each in figures if each is not None]
            if figures[0] is not None:
                result.first.append(figures[0])
                answered = answered[1:]
            result.later += answered
    return found


def report(found: dict[str, Found]) -> None:
    for start, result in found.items():
        seconds = result.listening_s
        print(
            f"  {start}: listening after {statistics.median(seconds):.2f} s"
            f" ({min(seconds):.2f} to {max(seconds):.2f}, n = {len(seconds)}), lost {result.lost}"
        )
        for label, rows in (("turn 1", result.first), ("turns 2 to 10", result.later)):
            cells = []
            for name in FIGURES:
                values = [row[name] for row in rows if name in row]
                if values:
                    cells.append(
                        f"{name} {statistics.median(values):.3f}"
                        f" ({min(values):.3f} to {max(values):.3f})"
                    )
            print(f"    {label}, n = {len(rows)}: {', '.join(cells)}")


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    sound = question()
    prompts = {"the starter's prompt": SYSTEM_PROMPT, "a long prompt": LONG_PROMPT}
    for label, prompt in prompts.items():
        with tempfile.TemporaryDirectory() as folder:
            print(f"{label}, {len(prompt)} characters; load {os.getloadavg()[0]:.1f}")
            report(measure(prompt, sessions, sound, Path(folder)))


if __name__ == "__main__":
    main()
