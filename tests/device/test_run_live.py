"""`edge-assistant run` in a terminal, with a microphone that somebody speaks into."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_assistant.store.store import default_root
from tests.device.sound_server import HUNG_S, SoundServer

pytestmark = [pytest.mark.device, pytest.mark.model]


class Terminal:
    """A terminal with `edge-assistant run` in it, on the devices of `server`."""

    def __init__(self, server: SoundServer) -> None:
        self._ours, theirs = pty.openpty()
        self.text = ""
        self.child = subprocess.Popen(
            [sys.executable, "-m", "edge_assistant", "run"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=server.environment
            | {"EDGE_ASSISTANT_MODELS_DIR": str(default_root()), "COLUMNS": "100", "TERM": "xterm"},
        )
        os.close(theirs)

    def expect(self, pattern: str) -> str:
        """Read until the screen has shown `pattern`, without its colours."""
        give_up_s = time.monotonic() + HUNG_S
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)
            found = re.search(pattern, plain)
            if found:
                return found[0]
            assert time.monotonic() < give_up_s, f"never saw {pattern!r} in {plain!r}"
            self._read()

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def ended(self) -> int:
        """Drain the screen until the program is over."""
        give_up_s = time.monotonic() + HUNG_S
        while self.child.poll() is None and time.monotonic() < give_up_s:
            self._read()
        return self.child.wait(timeout=1)

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self._ours)

    def _read(self) -> None:
        ready, _, _ = select.select([self._ours], [], [], 0.1)
        if ready:
            try:
                self.text += os.read(self._ours, 65536).decode("utf-8", "replace")
            except OSError:  # nobody has the other end any more
                time.sleep(0.05)


@pytest.fixture
def terminal(starter_pack: None, server: SoundServer) -> Iterator[Terminal]:
    terminal = Terminal(server)
    yield terminal
    terminal.close()


def speak(text: str, server: SoundServer, folder: Path) -> None:
    """Say `text` into the microphone."""
    spoken = folder / "spoken.wav"
    environ = os.environ | {"EDGE_ASSISTANT_MODELS_DIR": str(default_root())}
    command = [sys.executable, "-m", "edge_assistant", "say", text, "-o", str(spoken)]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    subprocess.run(
        ["paplay", "-d", "micsrc", str(spoken)], env=server.environment, check=True, timeout=HUNG_S
    )


def test_a_conversation_on_the_screen(
    terminal: Terminal, server: SoundServer, tmp_path: Path
) -> None:
    terminal.expect("listening")
    terminal.expect("space interrupts, r reloads, q ends")
    speak("What is the capital of France?", server, tmp_path)
    terminal.expect("hearing you")
    assert "capital" in terminal.expect(r"you        [^\r\n]+")
    terminal.expect("speaking")
    assert len(terminal.expect(r"assistant  [^\r\n]+").split()) > 1
    terminal.expect(r"answered after \d+\.\d\d s: detect")
    terminal.press("q")
    assert terminal.ended() == 0


def test_space_interrupts_a_reply(terminal: Terminal, server: SoundServer, tmp_path: Path) -> None:
    terminal.expect("listening")
    speak("What is the capital of France?", server, tmp_path)
    terminal.expect("speaking")
    terminal.press(" ")
    terminal.expect(r"assistant  [^\r\n]*\(interrupted\)")
    assert terminal.child.poll() is None


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_it(terminal: Terminal, name: str, code: int) -> None:
    terminal.expect("listening")
    terminal.child.send_signal(signal.Signals[name])
    assert terminal.ended() == code
    assert "Traceback" not in terminal.text
    assert "\x1b[?25h" in terminal.text  # the cursor is back
