"""What the tests of the bench share: sounds, trials, and strangers with an impatient examiner."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.bench.examiner import Examiner
from edge_assistant.bench.partner import Patience
from edge_assistant.bench.trial import Stimulus, Trial

STRANGER = (sys.executable, "-S", str(Path(__file__).with_name("stranger.py")))

SPEED = 10.0
"""Strangers count blocks and know no time, so the tests need not take as long as a conversation."""


class FastClock:
    """Time that passes ten times as fast."""

    def now_s(self) -> float:
        return time.monotonic() * SPEED

    def sleep(self, duration_s: float) -> None:
        time.sleep(duration_s / SPEED)


def examiner(*options: str, **more: Any) -> Examiner:
    """Of a stranger with these options, in fast time."""
    clock = FastClock()
    patience = Patience(start_s=20.0, block_s=1.0, end_s=1.0)
    settings: dict[str, Any] = {"patience": patience, "clock": clock, "sleep": clock.sleep}
    return Examiner([*STRANGER, *options], name="stranger", **(settings | more))


def utterance(speech_s: float = 0.5, lead_s: float = 0.13, **more: Any) -> Stimulus:
    """Something that is heard, after a silent lead-in; its onset is on no block's edge."""
    lead, speech = round(lead_s * SAMPLE_RATE) + 7, round(speech_s * SAMPLE_RATE)
    generator = np.random.default_rng(1)
    sound = np.zeros(lead + speech + 99, dtype=np.float32)
    sound[lead : lead + speech] = generator.choice([-0.25, 0.25], speech)
    fields: dict[str, Any] = {"role": "question", "label": "noise"}
    fields["speech_frames"] = ((lead, lead + speech),)
    return Stimulus(sound=sound, **(fields | more))


def trial(stimuli: Sequence[Stimulus] = (), limit_s: float = 8.0, **more: Any) -> Trial:
    fields: dict[str, Any] = {
        "id": "test/plain/synthetic/000",
        "scenario": "test",
        "condition": "plain",
        "source": "synthetic",
        "seed": 1,
        "tail_s": 0.4,
    }
    return Trial(stimuli=tuple(stimuli), limit_s=limit_s, **(fields | more))


def tone(duration_s: float) -> Samples:
    """What the ear hears as a reply, from its first sample to its last."""
    return np.full(round(duration_s * SAMPLE_RATE), 0.1, dtype=np.float32)


def silence(duration_s: float) -> Samples:
    return np.zeros(round(duration_s * SAMPLE_RATE), dtype=np.float32)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def gone(file: Path, within_s: float = 5.0) -> bool:
    """Whether every process named in `file` has ended, or does so at last: a kill takes a while."""
    pids = [int(line) for line in file.read_text("utf-8").splitlines()]
    assert pids
    end_s = time.monotonic() + within_s
    while any(map(is_running, pids)) and time.monotonic() < end_s:
        time.sleep(0.01)
    return not any(map(is_running, pids))
