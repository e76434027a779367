"""A little partner for `edge-assistant converse --pipe`.

It knows the contract of the pipe and nothing of the assistant: standard library and numpy only, so
that it could be written again in another language from the README alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
BLOCK = 320
Sound = NDArray[np.float32]


def pcm(sound: Sound) -> bytes:
    """Float32 in [-1, 1] to little-endian PCM16."""
    return bytes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


@dataclass
class Conversation:
    """Drives one process in real time and keeps both channels on one time line.

    `heard[n]` is what the loudspeaker played during input block n: output block n - 1.
    """

    events_path: Path
    command: Sequence[str] = (sys.executable, "-m", "edge_assistant", "converse", "--pipe")
    env: dict[str, str] | None = None
    said: list[Sound] = field(default_factory=list)
    heard: list[Sound] = field(default_factory=lambda: [np.zeros(BLOCK, np.float32)])
    listening_s: float = 0.0
    """From process start until block 0 came back."""

    def __post_init__(self) -> None:
        self._waiting: Sound = np.zeros(0, np.float32)
        self._began_s = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command, "--events", str(self.events_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.env,
        )
        self._exchange()
        self.listening_s = time.monotonic() - self._began_s
        self._zero_s = time.monotonic()

    @property
    def blocks(self) -> int:
        """Blocks exchanged so far."""
        return len(self.said)

    @property
    def now_s(self) -> float:
        """Seconds of the conversation so far."""
        return self.blocks * BLOCK / RATE

    def say(self, sound: Sound) -> float:
        """Speak `sound` from the next block on, after what is still waiting; returns when
        it begins."""
        begins_s = self.now_s + len(self._waiting) / RATE
        self._waiting = np.concatenate([self._waiting, sound.astype(np.float32)])
        return begins_s

    def run_until(self, is_over: Callable[[], bool], limit_s: float) -> bool:
        """Go on, in real time, until `is_over` or for `limit_s` at most; True where it is over."""
        end = self.blocks + int(limit_s * RATE / BLOCK)
        while self.blocks < end:
            if is_over():
                return True
            pause = self._zero_s + self.now_s - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._exchange()
        return bool(is_over())

    def run(self, seconds: float) -> None:
        """Go on for so long."""
        self.run_until(lambda: False, seconds)

    def events(self) -> list[dict[str, Any]]:
        """All events so far."""
        if not self.events_path.exists():
            return []
        lines = self.events_path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def has(self, name: str, count: int = 1) -> bool:
        """Whether `name` has happened `count` times."""
        return sum(1 for event in self.events() if event["event"] == name) >= count

    def is_audible(self, seconds: float = 0.04) -> bool:
        """Whether the assistant was heard in the last `seconds`."""
        recent = np.concatenate(self.heard[-max(1, int(seconds * RATE / BLOCK)) :])
        return float(np.max(np.abs(recent))) > 10 ** (-50 / 20)

    def close(self) -> int:
        """End the input; returns the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()

    def _exchange(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        block = np.zeros(BLOCK, np.float32)
        spoken, self._waiting = self._waiting[:BLOCK], self._waiting[BLOCK:]
        block[: len(spoken)] = spoken
        self.process.stdin.write(pcm(block))
        self.process.stdin.flush()
        answer = self.process.stdout.read(2 * BLOCK)
        if len(answer) != 2 * BLOCK:
            assert self.process.stderr is not None
            text = self.process.stderr.read().decode(errors="replace")
            raise RuntimeError(f"the assistant ended after {self.blocks} blocks: {text}")
        self.said.append(block)
        self.heard.append((np.frombuffer(answer, "<i2") / 32768).astype(np.float32))
