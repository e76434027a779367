"""Rounds in this process: every engine once in each, in an order that the seed shuffles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from edge_assistant.bench import machine
from edge_assistant.bench.runner import Limits
from edge_assistant.cancel import CancelToken
from edge_assistant.config import Config
from edge_assistant.engine_bench import abort
from edge_assistant.engine_bench.probe import Probe, Sheet
from edge_assistant.engine_bench.readings import STAGES, Failure, Round, Stage
from edge_assistant.engine_bench.speech import Speech
from edge_assistant.engine_bench.subjects import Subject, build
from edge_assistant.errors import EdgeAssistantError, ModelNotFound
from edge_assistant.store.store import Store

Progress = Callable[[str], None]
"""Told what is about to be measured."""

LIMITS: Final = Limits()
"""The same as of a conversation that is examined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured, and how often."""

    config: Config
    store: Store
    subjects: tuple[Subject, ...]
    stages: frozenset[Stage]
    speech: Speech
    repeats: int
    seed: int


def measure(
    plan: Plan,
    indices: Iterable[int],
    rounds: list[Round],
    token: CancelToken,
    progress: Progress = lambda text: None,
) -> None:
    """Load every engine, call each once, and measure the rounds with these indices.

    The first round also gets what loading and the first calls took. An engine that fails gets its
    failure into the round and is left out from then on.

    Args:
        plan: what to do.
        indices: of the rounds; not empty. The next is asked for when a round is over.
        rounds: where they go, each as it begins, so that a measurement that is broken off leaves
            what it had.
        token: cancels. Blocks until the end otherwise.
        progress: called on this thread.

    Raises:
        ModelNotFound: a model is unknown or not installed.
        TurnCancelled: `token` was cancelled.
    """
    with ExitStack() as stack:
        workbench = _Workbench(plan, token, progress)
        stack.callback(workbench.close)
        for number, index in enumerate(indices):
            round_ = Round(index=index)
            rounds.append(round_)
            if number == 0:
                workbench.open(round_)
            with watched(round_):
                workbench.measure(round_)


@contextmanager
def watched(round_: Round) -> Iterator[None]:
    """Write into the round what else the machine was doing, as `bench.runner.judged` sees it."""
    cores = machine.cores() or 1
    began_s, steal_s = time.monotonic(), machine.steal_s()
    try:
        yield
    finally:
        wall_s = (time.monotonic() - began_s) * cores
        steal_s = (machine.steal_s() or 0.0) - (steal_s or 0.0)
        round_.steal_share = steal_s / wall_s if wall_s else 0.0
        round_.load = machine.load_average() or 0.0
        round_.disturbed = judged(round_, cores)


def judged(round_: Round, cores: int, limits: Limits = LIMITS) -> str:
    """Why the round does not count; empty if it does."""
    reasons = []
    if round_.steal_share > limits.steal_share:
        reasons.append(f"{round_.steal_share:.1%} of CPU time stolen")
    if round_.load > limits.load_per_core * cores:
        reasons.append(f"load {round_.load:.1f} on {cores} cores")
    return ", ".join(reasons)


class _Workbench:
    """All engines that have not failed, side by side in memory."""

    def __init__(self, plan: Plan, token: CancelToken, progress: Progress) -> None:
        self._plan = plan
        self._token = token
        self._progress = progress
        self._probes: dict[Subject, Probe] = {}
        self._lengths_s: dict[tuple[Subject, str], float] = {}

    def open(self, round_: Round) -> None:
        """Load every engine and let it do its first work."""
        for subject in self._plan.subjects:
            with self._failing(subject, round_):
                self._open(subject, round_)

    def measure(self, round_: Round) -> None:
        """Measure every stage, each engine in turn."""
        for stage in STAGES:
            if stage not in self._plan.stages:
                continue
            subjects = [each for each in self._probes if stage in ("abort", each.stage)]
            Random(f"{self._plan.seed}/{round_.index}/{stage}").shuffle(subjects)
            for subject in subjects:
                self._progress(
                    f"round {round_.index + 1}/{self._plan.repeats}  {stage} {subject.name}"
                )
                with self._failing(subject, round_):
                    self._measure(subject, stage, round_)

    def close(self) -> None:
        """Give all memory back."""
        for probe in self._probes.values():
            probe.close()

    def _open(self, subject: Subject, round_: Round) -> None:
        plan = self._plan
        self._token.raise_if_cancelled()
        self._progress(f"loading {subject.name}")
        sheet = Sheet(round=round_, stage=subject.stage, model=subject.name)
        began_s = time.perf_counter()
        probe = build(subject, plan.config, plan.store, plan.speech)
        loaded_s = time.perf_counter()
        self._probes[subject] = probe
        probe.first_call(self._token)
        if subject.stage in plan.stages:
            sheet.put("load_s", loaded_s - began_s)
            sheet.put("first_call_s", time.perf_counter() - loaded_s)

    def _measure(self, subject: Subject, stage: Stage, round_: Round) -> None:
        probe, sheet = self._probes[subject], Sheet(round=round_, stage=stage, model=subject.name)
        if stage != "abort":
            probe.measure(sheet, self._token)
            return
        for job in probe.jobs():
            key = (subject, job.name)
            if key not in self._lengths_s:
                self._lengths_s[key] = abort.length_s(job, self._token)
            random = Random(f"{self._plan.seed}/{round_.index}/{job.name}")
            for found_s in abort.latencies_s(job, self._lengths_s[key], random, self._token):
                sheet.put(job.name, found_s)

    @contextmanager
    def _failing(self, subject: Subject, round_: Round) -> Iterator[None]:
        """Let an engine fail alone."""
        try:
            yield
        except ModelNotFound:
            raise
        except EdgeAssistantError as error:
            round_.failures.append(
                Failure(
                    stage=subject.stage,
                    model=subject.name,
                    code=error.code,
                    message=error.message,
                    hint=error.hint,
                )
            )
            probe = self._probes.pop(subject, None)
            if probe is not None:
                probe.close()
