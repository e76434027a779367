"""Holds one conversation with one system, in real time, and reacts to what it hears."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, from_pcm16, to_pcm16
from edge_assistant.bench import machine
from edge_assistant.bench.ear import REPLY_HANGOVER_MS, Ear
from edge_assistant.bench.partner import PIPE_BLOCK_FRAMES, Partner, PartnerFailed, Patience
from edge_assistant.bench.timeline import Timeline
from edge_assistant.bench.trial import Outcome, Trial
from edge_assistant.clock import Clock, MonotonicClock

BLOCK_S: Final = PIPE_BLOCK_FRAMES / SAMPLE_RATE

FAILED: Final = "system: "
"""How `Outcome.void` begins where the system died, hung or broke the contract."""

UNPLAYED: Final = "unplayed: "
"""How it begins where a moment that a stimulus waits for never came, such as 2 s into a reply."""


class Examiner:
    """Runs trials against one system. A process is started for each trial and ended with it.

    Block n is sent 20 ms after block n - 1, by absolute deadlines; after a delay the blocks that
    are overdue follow at once. So a system that is late stays late only as long as it is slow.

    Args:
        command: program and arguments, which honours `converse --pipe` of docs/interfaces.md.
        name: of the system, for the report; the command itself if empty.
        takes_events: append `--events FILE` to the command and read that file afterwards.
        patience: how long it may take before it counts as hung.
        answer_s: how long an unanswered turn is waited for, seconds of the sample clock.
        hangover_ms: silence after which a reply is over.
        clock: paces the blocks.
        sleep: waits so many seconds of that clock.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str = "",
        takes_events: bool = False,
        patience: Patience | None = None,
        answer_s: float = 10.0,
        hangover_ms: int = REPLY_HANGOVER_MS,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.command = tuple(command)
        self.name = name or " ".join(self.command)
        self._takes_events = takes_events
        self._patience = patience or Patience()
        self._answer_s = answer_s
        self._hangover_ms = hangover_ms
        self._clock = clock or MonotonicClock()
        self._sleep = sleep

    def run(self, trial: Trial) -> Outcome:
        """Run one trial on the calling thread, for `limit_s` and the system's start at most.

        A system that cannot be started, dies, hangs or breaks the contract gives an outcome with
        `void` set and with the sound up to there. Whatever is raised here (a signal, say), nothing
        of the system is left.
        """
        ear = Ear(self._hangover_ms)
        tape = _Tape(timeline=Timeline(trial, ear, self._answer_s))
        failure = ""
        with tempfile.TemporaryDirectory(prefix="edge-assistant-bench-") as scratch:
            log = Path(scratch) / "events.jsonl"
            more = ("--events", str(log)) if self._takes_events else ()
            try:
                with Partner([*self.command, *more], self._patience) as partner:
                    self._converse(partner, tape)
                    partner.end()
            except PartnerFailed as error:
                failure = f"{FAILED}{error}"
            events, bad_lines = read_events(log)
        if bad_lines:
            tape.notes["bad_event_lines"] = float(bad_lines)
        return self._outcome(trial, tape, events, failure)

    def _converse(self, partner: Partner, tape: _Tape) -> None:
        begun_s = self._clock.now_s()
        tape.exchange(partner)
        zero_s = self._clock.now_s()
        tape.listening_s = zero_s - begun_s
        meter = _Meter(partner.session)
        try:
            while not tape.timeline.is_over:
                due_s = zero_s + tape.blocks * BLOCK_S
                pause_s = due_s - self._clock.now_s()
                if pause_s > 0:
                    self._sleep(pause_s)
                sent_s = self._clock.now_s()
                tape.exchange(partner)
                back_s = self._clock.now_s()
                # Its answer is heard during the next block: it is late once that has begun.
                tape.late_s.append(max(0.0, back_s - due_s - BLOCK_S))
                tape.answer_s.append(back_s - sent_s)
        finally:
            meter.read(tape)

    def _outcome(
        self, trial: Trial, tape: _Tape, events: tuple[dict[str, Any], ...], failure: str
    ) -> Outcome:
        timeline, notes = tape.timeline, tape.notes
        missing = ", ".join(f"{each.label} ({each.begins})" for each in timeline.unplayed)
        user, reply = tape.channels()
        notes["audio_s"] = len(user) / SAMPLE_RATE
        notes["onset_late_s"] = timeline.onset_late_frames / SAMPLE_RATE
        if tape.late_s:
            notes["lateness_p99_s"] = float(np.percentile(tape.late_s, 99))
            notes["answer_max_s"] = max(tape.answer_s)
        return Outcome(
            trial=trial,
            system=self.name,
            user=user,
            reply=reply,
            played=timeline.played,
            events=events,
            listening_s=tape.listening_s,
            cpu_s=tape.cpu_s,
            peak_rss_bytes=tape.peak_rss_bytes,
            lateness_s=max(tape.late_s, default=0.0),
            load=machine.load_average() or 0.0,
            steal_s=tape.steal_s,
            void=failure or (f"{UNPLAYED}{missing}" if missing else ""),
            notes=notes,
        )


@dataclass(slots=True)
class _Tape:
    """What a trial has recorded so far."""

    timeline: Timeline
    user: list[Samples] = field(default_factory=list)
    """What went into the microphone, as the system got it (PCM16)."""
    heard: list[Samples] = field(default_factory=list)
    """What the loudspeaker plays, one block ahead of `user`: output block n is heard during
    input block n + 1."""
    late_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    listening_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    steal_s: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.heard.append(np.zeros(PIPE_BLOCK_FRAMES, dtype=np.float32))

    @property
    def blocks(self) -> int:
        """Blocks exchanged."""
        return len(self.user)

    def exchange(self, partner: Partner) -> None:
        """Mix the next block, send it and keep what comes back."""
        block = to_pcm16(self.timeline.next_block(self.heard[-1]))
        answer = partner.exchange(block)
        self.user.append(from_pcm16(block))
        self.heard.append(from_pcm16(answer))

    def channels(self) -> tuple[Samples, Samples]:
        """User and reply, equally long, on one clock."""
        if not self.user:
            return np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32)
        return np.concatenate(self.user), np.concatenate(self.heard[: len(self.user)])


class _Meter:
    """What the system and the rest of the machine use from now until `read`."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._usage = machine.tree_usage(session)
        self._steal_s = machine.steal_s()
        self._busy_s = machine.busy_s()
        self._own_s = time.process_time()
        self._begun_s = time.monotonic()

    def read(self, tape: _Tape) -> None:
        """Note it. What the machine does not tell stays 0 in the outcome and out of the notes."""
        wall_s = time.monotonic() - self._begun_s
        own_s = time.process_time() - self._own_s
        usage, steal_s, busy_s = (
            machine.tree_usage(self._session),
            machine.steal_s(),
            machine.busy_s(),
        )
        tape.notes["wall_s"] = wall_s
        if steal_s is not None and self._steal_s is not None:
            tape.steal_s = steal_s - self._steal_s
        if usage is None or self._usage is None:
            return
        tape.cpu_s = max(0.0, usage.cpu_s - self._usage.cpu_s)
        tape.peak_rss_bytes = usage.peak_rss_bytes
        if busy_s is not None and self._busy_s is not None and wall_s > 0:
            others_s = busy_s - self._busy_s - tape.cpu_s - own_s
            tape.notes["other_cores"] = max(0.0, others_s / wall_s)


def read_events(path: Path) -> tuple[tuple[dict[str, Any], ...], int]:
    """The events of a log, and the number of its lines that are none. No file: no events."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return (), 0
    events: list[dict[str, Any]] = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return tuple(events), len(lines) - len(events)
