"""Runs trials against systems, trial by trial in turn, into a folder that can be resumed."""

from __future__ import annotations

import difflib
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge_assistant.bench import machine
from edge_assistant.bench.examiner import FAILED, Examiner
from edge_assistant.bench.storage import BenchError, Run, RunInfo, Store, load
from edge_assistant.bench.trial import Outcome, Trial

DISTURBED: Final = "disturbed: "
"""How `Outcome.void` begins where the machine, not the system, spoiled a trial."""

MAX_REPEATS: Final = 2
"""A disturbed trial is made so many times again; the last attempt stays, void if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A program that honours the pipe contract."""

    name: str
    command: tuple[str, ...]
    takes_events: bool = False
    """Whether it takes `--events FILE`."""

    def examiner(self) -> Examiner:
        """One who examines it in real time."""
        return Examiner(self.command, name=self.name, takes_events=self.takes_events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Beyond any of these a trial is disturbed and does not count."""

    lateness_s: float = 0.1
    """A block came back so much too late: the sample clock was no longer the clock on the wall."""
    steal_share: float = 0.02
    """CPU time taken by the hypervisor, of the trial's wall time on all cores."""
    load_per_core: float = 2.0
    """Load average of the last minute by cores; the system under test is in it."""
    other_cores: float = 0.2
    """Cores that were busy with neither the system nor the examiner, on average over the trial. On
    two cores a second program that computes all the time makes replies 60 ms later and is not seen
    in the load; a quiet machine has 0.1 at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is about to happen; told before every attempt, and once more when all is done."""

    done: int
    total: int
    left_s: float
    """Estimate: what is left of the trials' limits, by the share that the done ones took."""
    trial_id: str = ""
    """Empty when all is done."""
    system: str = ""
    attempt: int = 1
    last_void: str = ""
    """Why the attempt before this one does not count; empty if it does."""


def run(
    trials: Sequence[Trial],
    systems: Sequence[System],
    folder: Path,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    examiner: Callable[[System], Examiner] = System.examiner,
) -> Run:
    """Run every trial against every system and return what the folder then holds.

    Each trial goes to all systems before the next one begins, in an order shuffled by `seed` and
    the trial's id, so that slow changes of the machine meet all systems alike. A disturbed trial
    is made again, at most twice. A system that fails is not given another chance: its failure is
    a result.

    Blocks the calling thread. A signal's exception (KeyboardInterrupt) passes through: the system
    under test is ended, what is done stays in the folder, and `resume` goes on from there.

    Raises:
        BenchError: ids or names are not unique, or the folder does not fit (see `Store`).
        OSError: the folder cannot be written.
    """
    limits = limits or Limits()
    _check_unique([trial.id for trial in trials], "trial id")
    _check_unique([system.name for system in systems], "name of a system")
    store = Store(folder, _info(trials, systems, seed, limits), resume=resume)
    todo = _to_do(trials, systems, seed, store)
    examiners = {system.name: examiner(system) for system in systems}
    pace = _Pace(total=len(trials) * len(systems), limits_s=sum(t.limit_s for t, _ in todo))
    pace.done = pace.total - len(todo)
    void = ""
    for trial, system in todo:
        voided: list[str] = []
        while True:
            if progress is not None:
                progress(pace.progress(trial.id, system.name, len(voided) + 1, void))
            outcome, took_s = _timed(examiners[system.name], trial)
            outcome = replace(judged(outcome, limits), system=system.name)
            void = outcome.void
            if not void.startswith(DISTURBED) or len(voided) == MAX_REPEATS:
                break
            voided.append(void)
            pace.spent_s += took_s
        store.save(outcome, voided)
        pace.finish(trial, took_s)
    if progress is not None:
        progress(pace.progress(last_void=void))
    return load(folder)


def replay(
    trials: Sequence[Trial], trial_id: str, system: System, limits: Limits | None = None
) -> Outcome:
    """Run one trial again, by its id, and return its outcome; nothing is written.

    Raises:
        BenchError: no trial has that id.
    """
    by_id = {trial.id: trial for trial in trials}
    if trial_id not in by_id:
        near = difflib.get_close_matches(trial_id, by_id, n=1)
        raise BenchError(
            "bench-trial-unknown",
            f"there is no trial {trial_id} among {len(by_id)}",
            f"did you mean {near[0]}?" if near else "the ids are in the run's report",
        )
    return judged(system.examiner().run(by_id[trial_id]), limits or Limits())


def outcomes_of(stored: Run) -> list[Outcome]:
    """All outcomes of a stored run, judged again by the limits of today.

    A run that was made under looser ones is not read by those. All its sound is in memory then.

    Raises:
        BenchError: a trial cannot be read.
    """
    return [judged(outcome, Limits()) for outcome in stored.outcomes()]


def judged(outcome: Outcome, limits: Limits) -> Outcome:
    """The outcome, void if the machine disturbed it; a failure of the system stays one."""
    if outcome.void.startswith(FAILED):
        return outcome
    cores = machine.cores() or 1
    wall_s = outcome.notes.get("wall_s", 0.0) * cores
    steal = outcome.steal_s / wall_s if wall_s else 0.0
    reasons = []
    if outcome.lateness_s > limits.lateness_s:
        reasons.append(f"a block {outcome.lateness_s * 1000:.0f} ms late")
    if steal > limits.steal_share:
        reasons.append(f"{steal:.1%} of CPU time stolen")
    others = outcome.notes.get("other_cores", 0.0)
    if others > limits.other_cores:
        reasons.append(f"other programs used {others:.1f} cores")
    if outcome.load > limits.load_per_core * cores:
        reasons.append(f"load {outcome.load:.1f} on {cores} cores")
    return replace(outcome, void=DISTURBED + ", ".join(reasons)) if reasons else outcome


@dataclass(slots=True)
class _Pace:
    """How far a run is, and how long it has yet to go."""

    total: int
    limits_s: float
    """Sum of the limits of the trials still to do."""
    done: int = 0
    spent_s: float = 0.0
    finished_limits_s: float = 0.0

    def finish(self, trial: Trial, took_s: float) -> None:
        self.done += 1
        self.spent_s += took_s
        self.limits_s -= trial.limit_s
        self.finished_limits_s += trial.limit_s

    def progress(
        self, trial_id: str = "", system: str = "", attempt: int = 1, last_void: str = ""
    ) -> Progress:
        share = self.spent_s / self.finished_limits_s if self.finished_limits_s else 1.0
        return Progress(
            done=self.done,
            total=self.total,
            left_s=max(0.0, self.limits_s * share),
            trial_id=trial_id,
            system=system,
            attempt=attempt,
            last_void=last_void,
        )


def _timed(examiner: Examiner, trial: Trial) -> tuple[Outcome, float]:
    begun_s = time.monotonic()
    outcome = examiner.run(trial)
    return outcome, time.monotonic() - begun_s


def _to_do(
    trials: Sequence[Trial], systems: Sequence[System], seed: int, store: Store
) -> list[tuple[Trial, System]]:
    """What is still to be run, in its order, which does not depend on what is done."""
    done = store.done()
    todo = []
    for trial in trials:
        order = list(systems)
        random.Random(f"{seed}/{trial.id}").shuffle(order)
        for system in order:
            entry = done.get((trial.id, system.name))
            if entry is None:
                todo.append((trial, system))
            elif entry.seed != trial.seed:
                raise BenchError(
                    "bench-run-differs",
                    f"{trial.id} was run with seed {entry.seed}, not {trial.seed}",
                    "use the same seed, or choose another folder",
                )
    return todo


def _info(trials: Sequence[Trial], systems: Sequence[System], seed: int, limits: Limits) -> RunInfo:
    return RunInfo(
        machine=asdict(machine.this_machine()),
        systems={system.name: list(system.command) for system in systems},
        seeds=[seed],
        scenarios=dict(Counter(trial.scenario for trial in trials)),
        command_lines=[list(sys.argv)],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        limits=asdict(limits),
    )


def _check_unique(names: Sequence[str], what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise BenchError(
                "bench-not-unique", f"{name} is the {what} {count} times", "rename all but one"
            )
