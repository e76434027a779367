"""What is shown of a conversation, and the keys of the terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from rich.console import Console

from edge_assistant.cli import run
from edge_assistant.cli.live import Screen, latency_text
from edge_assistant.config import Config
from tests.fakes.cards import ManualCard

LATENCY = {
    "event": "latency",
    "gap_s": 0.75,
    "detect_s": 0.1,
    "wait_s": 0.3,
    "not_ready_s": 0.25,
    "leading_silence_s": 0.02,
    "out_s": 0.08,
}


def test_a_conversation_reads_like_one() -> None:
    text = io.StringIO()
    with Screen(Console(file=text, width=120)) as screen:
        for event in (
            {"event": "listening"},
            {"event": "speech_started", "turn": 1},
            {"event": "transcript", "turn": 1, "text": "Tell me [bold]", "final": False},
            {"event": "transcript", "turn": 1, "text": "Tell me [bold].", "final": True},
            {"event": "draft_discarded", "turn": 1, "reason": "resumed"},
            {"event": "transcript", "turn": 1, "text": "Tell me [bold] more.", "final": True},
            {"event": "committed", "turn": 1},
            LATENCY,
            {"event": "committed", "turn": 2},
            {"event": "transcript", "turn": 2, "text": "And now?", "final": True},
            {"event": "transcript", "turn": 3, "text": "Stop.", "final": True},
            {"event": "turn_finished", "turn": 3, "outcome": "stopped"},
            {"event": "transcript", "turn": 4, "text": "Mhm.", "final": True},
            {"event": "turn_finished", "turn": 4, "outcome": "ignored"},
            {"event": "yielded", "turn": 1, "heard": "There was"},
            {"event": "playback_finished", "turn": 2, "heard": "Fine."},
            {"event": "error", "code": "x", "message": "it broke", "hint": "mend it"},
        ):
            screen.show(event)
    assert text.getvalue().splitlines() == [
        "you        Tell me [bold] more.",
        f"           {latency_text(LATENCY)}",
        "you        And now?",
        "you        Stop.",
        "assistant  There was  (interrupted)",
        "assistant  Fine.",
        "error [x]: it broke (mend it)",
    ]
    assert screen.latencies == [LATENCY]


def test_latency_is_told_in_the_order_of_its_parts() -> None:
    assert latency_text(LATENCY) == (
        "answered after 0.75 s: "
        "detect 0.10, wait 0.30, not ready 0.25, leading silence 0.02, out 0.08"
    )


def test_a_terminal_has_a_line_of_state() -> None:
    text = io.StringIO()
    with Screen(Console(file=text, width=100, force_terminal=True), "q ends") as screen:
        screen.show({"event": "speech_started", "turn": 1})
    assert "loading" in text.getvalue()
    assert "hearing you" in text.getvalue()
    assert "q ends" in text.getvalue()


def test_keys_arrive_one_by_one_and_the_terminal_is_restored() -> None:
    """In a terminal of its own; the last key ends it by an exception, like Ctrl-C would."""
    program = """
        import sys, threading
        from edge_assistant.cli.keys import has_keys, keys
        over = threading.Event()
        def on_key(key):
            print(f"<{key}>", flush=True)
            if key == "q":
                over.set()
        assert has_keys()
        try:
            with keys(on_key):
                print("ready", flush=True)
                over.wait()
                raise SystemExit(3)
        finally:
            assert not [t for t in threading.enumerate() if t.name == "keys"]
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.write(ours, b" xq")
    assert child.communicate(timeout=30)[0] == "< >\n<x>\n<q>\n"
    assert child.returncode == 3
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_keys_count_while_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be echoed else, and lost."""
    pressed: list[Callable[[str], None]] = []

    @contextmanager
    def keys(on_key: Callable[[str], None]) -> Iterator[None]:
        pressed.append(on_key)
        yield

    @contextmanager
    def running(*_: object) -> Iterator[SimpleNamespace]:
        for key in " q":
            pressed[0](key)
        yield SimpleNamespace()  # has nothing that could be waited for

    monkeypatch.setattr(run, "keys", keys)
    monkeypatch.setattr(run, "running", running)
    run.talk(Config(), ManualCard(), None, Config)
