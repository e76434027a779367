"""Who gets the cores: one policy for the threads of every call and for what is not begun at all.

`decide` is pure. When more wants to run than there are cores, the order is: voice activity, speech
that is needed soon, the final transcript, the reply to a turn that is over, a partial transcript, a
draft. What stands low in it is not begun; what was begun is never taken back, it gets fewer
threads.

| the work | somebody waits | may be refused | alone, 2 cores | beside another engine |
|---|---|---|---|---|
| `final`, `answer_committed` | yes | no | 2 threads | 1 thread |
| `read_whole` | soon | no | 2 threads | 1 thread |
| `idle_prefill` | no | no | 1 | 1 |
| `draft` | yes | yes | 2 threads | 1, refused where no core is free |
| `partial` | no | yes | 1 | 1, refused where no core is free |

| `reason` of a refusal | of | when |
|---|---|---|
| `ears-late` | partial, draft | the ears are more than `late_ears_ms` behind the card |
| `throttled` | partial, draft | the cores are slowed down |
| `other-load` | partial, draft | other programs hold too many cores, or threads wait for one |
| `contended` | partial, draft | as many engines are at work as there are cores, judge aside |
| `slow-stt` | partial | the last pass took too much of the time that its audio lasts |
| `engine-busy` | partial | the recogniser is in a call |
| `long-speech` | draft | the user speaks for long already |
| `draft-share` | draft | this turn's drafts have had their share of the time |

| `reason` of a plan that runs | threads |
|---|---|
| `alone` | all that may be used |
| `other-load` | all that other programs leave |
| `nobody-waits` | half of them |
| `shared` | its share beside the other engines |
| `ears-late` | one |

Why one thread each: llama.cpp's threads wait for one another by spinning. On two cores with another
thread at work, two of them took 15 to 19 ms a token where one took 7 (6 alone); a voice and a model
with a thread each were both within 12 % of what they do alone.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol, runtime_checkable

from edge_assistant.clock import SampleClock
from edge_assistant.pipeline.load import Load
from edge_assistant.trace import EventLog

Engine = Literal["judge", "stt", "llm", "tts"]


class Work(StrEnum):
    """What somebody wants to do."""

    FINAL = "final"
    """The transcript that a reply waits for, also that of a draft."""
    ANSWER_COMMITTED = "answer_committed"
    """The reply to a turn that is over, or that a program asked for."""
    PARTIAL = "partial"
    """A transcript while the user is speaking."""
    DRAFT = "draft"
    """A reply to a turn that may go on."""
    READ_WHOLE = "read_whole"
    """What may be all words of a turn, evaluated: its draft waits for that if it ends just now."""
    IDLE_PREFILL = "idle_prefill"
    """The history or the beginning of a turn, evaluated: needed, but nobody waits."""


_ENGINE_OF: Final[dict[Work, Engine]] = {
    Work.FINAL: "stt",
    Work.PARTIAL: "stt",
    Work.ANSWER_COMMITTED: "llm",
    Work.DRAFT: "llm",
    Work.READ_WHOLE: "llm",
    Work.IDLE_PREFILL: "llm",
}
_AWAITED: Final = frozenset({Work.FINAL, Work.ANSWER_COMMITTED, Work.DRAFT, Work.READ_WHOLE})
"""A draft too: the wait for the end of the turn, 0.2 s, is shorter than what it takes."""
_PACED: Final = frozenset({"engine-busy"})
"""Reasons that come and go with every partial: no news for the trace."""

_IGNORED_CORES: Final = 0.25
"""Other load below this takes no thread away: a browser in the background holds as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What `decide` goes by."""

    max_threads: int = 4
    """Of one call; decoding is bound by memory beyond."""
    late_ears_ms: float = 20.0
    """Lag of the ears from which they count as late: a block of our cards."""
    draft_other_share: float = 0.25
    """Share of the cores that other programs may hold while drafts are begun."""
    partial_other_share: float = 0.4
    """The same for partials, which rank above drafts."""
    draft_pressure: float = 0.7
    """Share of the time in which threads may wait for a CPU while drafts are begun."""
    partial_pressure: float = 0.8
    """The same for partials."""
    partial_rtf: float = 0.5
    """Compute time over audio time of a pass above which partials only delay the final one."""
    draft_share: float = 0.5
    """Seconds of drafting allowed for a second of speech."""
    draft_grace_s: float = 1.0
    """Seconds of drafting allowed whatever was said."""
    draft_speech_s: float = 30.0
    """No draft for a turn with more speech than this. LiveKit has 10 s for preemptive replies; ours
    cost no more after a long turn than after a short one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a decision depends on; the defaults are a machine at rest."""

    work: Work
    cores: int
    busy: frozenset[Engine] = frozenset()
    """Engines that are in a call now."""
    ears_lag_ms: float = 0.0
    """How far the ears are behind the card."""
    other_cores: float = 0.0
    """Cores that other programs keep busy."""
    pressure: float = 0.0
    """Share of the time in which some thread waits for a CPU."""
    is_throttled: bool = False
    stt_rtf: float = 0.0
    """Compute time over audio time of the last transcript; 0 = there was none."""
    drafting_s: float = 0.0
    """Seconds that engines have spent on drafts of this turn."""
    speech_s: float = 0.0
    """Seconds that the user has spoken in this turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do."""

    run: bool
    num_threads: int
    """At least 1; 0 where it is not to run."""
    reason: str


def decide(situation: Situation, limits: Limits | None = None) -> Plan:
    """The plan for one piece of work; pure, see the tables above."""
    limits = limits or Limits()
    refusal = _refusal(situation, limits)
    if refusal is not None:
        return Plan(run=False, num_threads=0, reason=refusal)
    num_threads, reason = _threads(situation, limits)
    return Plan(run=True, num_threads=num_threads, reason=reason)


def _refusal(s: Situation, limits: Limits) -> str | None:
    if s.work not in (Work.PARTIAL, Work.DRAFT):
        return None
    is_draft = s.work is Work.DRAFT
    share = limits.draft_other_share if is_draft else limits.partial_other_share
    pressure = limits.draft_pressure if is_draft else limits.partial_pressure
    rules = [
        ("ears-late", s.ears_lag_ms > limits.late_ears_ms),
        ("throttled", s.is_throttled),
        ("other-load", s.other_cores > share * s.cores or s.pressure > pressure),
        ("contended", len(_others(s) - {"judge"}) >= s.cores),  # a judge is done in 0.1 s
    ]
    if is_draft:
        allowed_s = limits.draft_grace_s + limits.draft_share * s.speech_s
        rules += [
            ("long-speech", s.speech_s > limits.draft_speech_s),
            ("draft-share", s.drafting_s > allowed_s),
        ]
    else:
        rules += [
            ("slow-stt", s.stt_rtf > limits.partial_rtf),
            ("engine-busy", "stt" in s.busy),
        ]
    return next((reason for reason, applies in rules if applies), None)


def _threads(s: Situation, limits: Limits) -> tuple[int, str]:
    if s.ears_lag_ms > limits.late_ears_ms:
        return 1, "ears-late"
    cores = s.cores if s.cores <= 2 else s.cores - 1  # one for the ears and the card
    left = math.floor(cores - s.other_cores + _IGNORED_CORES)
    most = max(1, min(left, limits.max_threads))
    others = len(_others(s))
    if others:
        return math.ceil(most / (1 + others)), "shared"
    if s.work not in _AWAITED:
        return math.ceil(most / 2), "nobody-waits"
    return most, "alone" if left >= cores else "other-load"


def _others(s: Situation) -> frozenset[Engine]:
    return s.busy - {_ENGINE_OF[s.work]}


@runtime_checkable
class Adjustable(Protocol):
    """An engine whose threads can be chosen anew for every call."""

    def set_threads(self, num_threads: int) -> None:
        """Use so many from the next native call on."""
        ...


class Scheduler:
    """Knows who is at work, asks the sensors, decides, and tells the trace. Any thread.

    The event `scheduled` {work, threads, run, reason} is emitted when the decision for that kind of
    work is another than the last time; the pacing of partials is no decision.

    Args:
        cores: that this process may use.
        read_load: a look at the machine; quick, see `LoadSensor.read`.
        ears_lag_ms: how far the ears are behind.
        clock: of the conversation.
        log: where the events go.
        limits: what to go by.
    """

    def __init__(
        self,
        *,
        cores: int,
        read_load: Callable[[], Load],
        ears_lag_ms: Callable[[], float],
        clock: SampleClock,
        log: EventLog,
        limits: Limits | None = None,
    ) -> None:
        self._cores, self._read_load, self._ears_lag_ms = cores, read_load, ears_lag_ms
        self._clock, self._log, self._limits = clock, log, limits or Limits()
        self._lock = threading.Lock()
        self._at_work: dict[Engine, tuple[float, int | None]] = {}
        """Since when, and the turn where it is for a draft."""
        self._drafting: tuple[int, float] = (-1, 0.0)
        """The turn that was drafted for last, and the seconds that it took."""
        self._stt_rtf = 0.0
        self._told: dict[Work, Plan] = {}

    def plan(self, work: Work, *, turn: int | None = None, speech_s: float = 0.0) -> Plan:
        """What to do about `work` now. How often partials are asked for is the floor's affair.

        Args:
            work: what somebody wants to do.
            turn: that it belongs to; needed for a draft.
            speech_s: how long the user has spoken in that turn; needed for a draft.
        """
        load, lag_ms = self._read_load(), self._ears_lag_ms()
        with self._lock:
            situation = self._situation(work, turn, speech_s, load, lag_ms)
            plan = decide(situation, self._limits)
            is_news = plan.reason not in _PACED and self._told.get(work) != plan
            if is_news:
                self._told[work] = plan
        if is_news:
            self._log.emit(
                "scheduled",
                self._clock.now_frames(),
                turn,
                work=work.value,
                threads=plan.num_threads,
                run=plan.run,
                reason=plan.reason,
            )
        return plan

    def give_threads(
        self, engine: object, work: Work, *, turn: int | None = None, speech_s: float = 0.0
    ) -> None:
        """Let `engine` use as many threads for its next call as the plan for `work` has, if it is
        one that can be told; the engine's own thread."""
        plan = self.plan(work, turn=turn, speech_s=speech_s)
        if plan.run and isinstance(engine, Adjustable):
            engine.set_threads(plan.num_threads)

    @contextmanager
    def busy(
        self, engine: Engine, *, audio_s: float = 0.0, draft_of: int | None = None
    ) -> Iterator[None]:
        """Count `engine` as at work; around a call, on the engine's thread.

        Args:
            engine: whose call it is; one at a time.
            audio_s: of a transcript: how long its audio lasts.
            draft_of: the turn, where the call is made for a draft.
        """
        began_s = self._enter(engine, draft_of)
        try:
            yield
            if audio_s > 0.0:  # not where it was broken off: that pass was no pass
                took_s = self._clock.now_s() - began_s
                with self._lock:
                    self._stt_rtf = took_s / audio_s
        finally:
            self._leave(engine)

    @contextmanager
    def resting(self, engine: Engine) -> Iterator[None]:
        """Inside `busy`: the engine's thread waits for somebody else and computes nothing."""
        draft_of = self._leave(engine)
        try:
            yield
        finally:
            self._enter(engine, draft_of)

    def _situation(
        self,
        work: Work,
        turn: int | None,
        speech_s: float,
        load: Load,
        lag_ms: float,
    ) -> Situation:
        drafted_turn, drafting_s = self._drafting
        return Situation(
            work=work,
            cores=self._cores,
            busy=frozenset(self._at_work),
            ears_lag_ms=lag_ms,
            other_cores=load.other_cores or 0.0,
            pressure=load.pressure or 0.0,
            is_throttled=bool(load.is_throttled),
            stt_rtf=self._stt_rtf,
            drafting_s=drafting_s if turn == drafted_turn else 0.0,
            speech_s=speech_s,
        )

    def _enter(self, engine: Engine, draft_of: int | None) -> float:
        now_s = self._clock.now_s()
        with self._lock:
            self._at_work[engine] = (now_s, draft_of)
        return now_s

    def _leave(self, engine: Engine) -> int | None:
        now_s = self._clock.now_s()
        with self._lock:
            since_s, draft_of = self._at_work.pop(engine)
            if draft_of is not None:
                turn, drafted_s = self._drafting
                before_s = drafted_s if turn == draft_of else 0.0
                self._drafting = (draft_of, before_s + now_s - since_s)
        return draft_of
