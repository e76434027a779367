"""Wires the rooms into one process of named threads, behind one sound card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_assistant.audio.card import SoundCard
from edge_assistant.audio.echo.canceller import EchoCanceller
from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.playout import Playout
from edge_assistant.clock import SampleClock
from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.llm.history import History
from edge_assistant.pipeline.conductor import Conductor
from edge_assistant.pipeline.ears import Ears
from edge_assistant.pipeline.hearing import EchoLog, make_ears, open_canceller
from edge_assistant.pipeline.load import LoadSensor, available_cores
from edge_assistant.pipeline.loading import Engines
from edge_assistant.pipeline.notices import Notices
from edge_assistant.pipeline.orders import OnFinished, Orders
from edge_assistant.pipeline.scheduler import Scheduler
from edge_assistant.pipeline.workshop import Workshop
from edge_assistant.pipeline.xruns import XrunLog
from edge_assistant.trace import EventLog

Report = Callable[[EdgeAssistantError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all parts of one assistant share."""

    clock: SampleClock
    history: History
    """What both sides heard so far."""
    log: EventLog
    conductor: Conductor
    report: Report
    """Told of what failed and does not stop the assistant."""
    broken: Report
    """Told of what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an assistant consists of once its engines are loaded."""

    playout: Playout
    ears: Ears
    workshop: Workshop
    orders: Orders
    xruns: XrunLog
    echo_log: EchoLog

    def start(self, conductor: Conductor) -> None:
        """Start the threads, the ears last."""
        self.workshop.start(self.orders.failed)
        self.orders.prefill()
        conductor.start(self.orders, self._tell)
        self.ears.start()

    def _tell(self) -> None:
        """Once a tick, on the `floor` thread."""
        self.xruns.tell()
        self.echo_log.tell()


def wire(
    config: Config,
    card: SoundCard,
    engines: Engines,
    common: Common,
    on_finished: OnFinished,
    notices: Notices,
) -> Parts:
    """All parts, connected; nothing runs yet. The workshop closes the engines.

    Raises:
        AudioError: the echo canceller cannot be loaded.
    """
    clock, log, conductor = common.clock, common.log, common.conductor
    echo = open_canceller(config, card)
    playout = _playout(config, card, echo)
    ears = make_ears(
        config,
        card,
        engines,
        playout=playout,
        echo=echo,
        clock=clock,
        conductor=conductor,
        on_error=common.report,
        on_failure=common.broken,
    )
    workshop = Workshop(
        engines,
        heard=ears.heard,
        post=conductor.post,
        report=common.report,
        playout=playout,
        history=common.history,
        log=log,
        clock=clock,
        scheduler=_scheduler(ears, clock, log),
        system_prompt=config.llm.system_prompt,
    )
    return Parts(
        playout=playout,
        ears=ears,
        workshop=workshop,
        orders=_orders(workshop, playout, ears, common, on_finished, notices),
        xruns=XrunLog(card, ears, playout, log, clock),
        echo_log=EchoLog(echo, log, clock),
    )


def _orders(
    workshop: Workshop,
    playout: Playout,
    ears: Ears,
    common: Common,
    on_finished: OnFinished,
    notices: Notices,
) -> Orders:
    return Orders(
        playout=playout,
        history=common.history,
        log=common.log,
        clock=common.clock,
        judge=workshop.judge.channel if workshop.judge is not None else None,
        stt=workshop.stt.channel,
        llm=workshop.llm.channel,
        tts=workshop.tts.channel,
        tokens=workshop.tokens,
        frame_at=ears.frame_at,
        post=common.conductor.post,
        on_finished=on_finished,
        forget_sound=ears.forget,
        notices=notices,
    )


def _playout(config: Config, card: SoundCard, echo: EchoCanceller | None) -> Playout:
    return Playout(
        card.playback_rate,
        duck_db=config.turns.duck_db,
        duck_ramp_ms=config.turns.duck_ramp_ms,
        fade_ms=config.turns.fade_ms,
        on_played=echo.reference.note if echo is not None else None,
    )


def _scheduler(ears: Ears, clock: SampleClock, log: EventLog) -> Scheduler:
    def ears_lag_ms() -> float:
        return max(0, clock.captured_frames - ears.processed_frames) * 1000 / SAMPLE_RATE

    return Scheduler(
        cores=available_cores(),
        read_load=LoadSensor().read,
        ears_lag_ms=ears_lag_ms,
        clock=clock,
        log=log,
    )
