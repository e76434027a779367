"""The assistant: what a program starts, asks, listens to and stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final

from msgspec import structs

from edge_assistant.audio.card import SoundCard
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import MonotonicClock, SampleClock
from edge_assistant.config import Config
from edge_assistant.errors import EdgeAssistantError, PipelineError
from edge_assistant.llm.history import History
from edge_assistant.llm.protocol import LanguageModel
from edge_assistant.notices.phrases import Notice, phrase
from edge_assistant.pipeline import engines as build
from edge_assistant.pipeline import warm
from edge_assistant.pipeline.conductor import Conductor
from edge_assistant.pipeline.handles import Handles, ReplyHandle
from edge_assistant.pipeline.loading import Engines, Exercise, load_engines, warm_up
from edge_assistant.pipeline.notices import Notices, disk_full
from edge_assistant.pipeline.wiring import Common, Parts, wire
from edge_assistant.pipeline.workshop import Workshop
from edge_assistant.store.store import Store
from edge_assistant.stt.protocol import Recognizer
from edge_assistant.trace import EventLog, EventStream
from edge_assistant.tts.protocol import Voice
from edge_assistant.turns.events import PushPressed, PushReleased, Requested, StopPressed

MAX_OPEN_REQUESTS: Final = 16
"""Replies that programs may have asked for and not yet got."""

STOP_TIMEOUT_S: Final = 2.0
"""How long `stop` waits for each thread before it names it and goes on."""

CLOCK_AHEAD_MS: Final = 20
"""How far the sample clock runs on between two blocks: the longest block of our cards."""


RELOADABLE: Final = ("stt", "llm", "tts")
"""Sections of the configuration whose engines can be changed without a restart."""

Built = tuple[Recognizer | LanguageModel | Voice, Callable[[Workshop], None]]
"""A new engine, and what puts it in its place."""

SETTLE_S: Final = 0.01
"""Longest that a lock-step card waits for the floor: half of its block."""


class Assistant:
    """Listens, answers, and lets itself be interrupted. Methods may be called from any thread.

    Args:
        config: what to load and how to behave.
        card: microphone and loudspeaker.
        store: where models are; the user's own by default.
        event_log: where events go; a new one without a file by default. `stop` closes it.
        engines: ready-made engines instead of those that `config` names; `stop` closes them.
    """

    def __init__(
        self,
        config: Config,
        card: SoundCard,
        *,
        store: Store | None = None,
        event_log: EventLog | None = None,
        engines: Engines | None = None,
    ) -> None:
        self._config = config
        self._card = card
        self._store = store
        self._log = event_log or EventLog()
        self._engines = engines
        self._clock = SampleClock(SAMPLE_RATE, frames_of_ms(CLOCK_AHEAD_MS), MonotonicClock())
        self._handles = Handles()
        self._history = History()
        self._closed = threading.Event()
        self._has_failed = False
        self._lifecycle = threading.Lock()
        self._reconfiguring = threading.Lock()
        self._stopped = False
        self._starting = CancelToken()
        self._conductor = Conductor(config.turns, self._broken)
        self._parts: Parts | None = None
        self._notices = Notices()

    # --- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Load the engines, start the threads and the card; returns when the assistant listens.

        Blocks for as long as loading takes; call it once, not from a card's callback.

        Raises:
            EdgeAssistantError: a model, a device or the configuration; nothing is left running.
        """
        with ExitStack() as undo:
            undo.callback(self.stop)
            loaded = self._engines or load_engines(
                self._config, self._open_store(), self._report, self._starting
            )
            with self._lifecycle:
                if self._stopped:
                    if self._engines is None:  # `stop` did not know of them
                        loaded.close()
                    return
                self._engines = loaded
                self._wire(loaded)
                self._start_card()
            undo.pop_all()

    def stop(self) -> None:
        """Stop in any state, also before or during `start`; calling it twice is fine.

        A thread that does not end in time is named in an `error` event, and the engine that it is
        in is left alone.

        Raises:
            AudioError: of the card; everything else is stopped all the same.
        """
        with self._lifecycle:
            if self._stopped:
                return
            self._stopped = True
        self._starting.cancel("stopped")
        try:
            self._card.stop()
        finally:
            self._stop_threads()

    def _stop_threads(self) -> None:
        hung = []
        parts = self._parts
        if parts is not None and not parts.ears.stop(STOP_TIMEOUT_S):
            hung.append("ears")
        if not self._conductor.stop(STOP_TIMEOUT_S):
            hung.append("floor")
        if parts is not None:
            hung += parts.workshop.stop(STOP_TIMEOUT_S)
        elif self._engines is not None:
            self._engines.close()
        for name in hung:
            self._report(
                PipelineError(
                    "shutdown-timeout", f"Thread {name} has not ended.", "end the process"
                )
            )
        self._handles.drop_all()
        self._closed.set()
        self._tell_the_rest()
        self._log.close()

    def _tell_the_rest(self) -> None:
        if self._parts is not None:
            self._parts.xruns.tell(is_last=True)
            tokens = self._parts.workshop.tokens.close_all()
            self._log.emit("closed", self._clock.now_frames(), **tokens)

    def wait_closed(self, timeout_s: float | None = None) -> bool:
        """Block until the card's input has ended, the floor has failed, or `stop` was called."""
        return self._closed.wait(timeout_s)

    # --- what a program can ask for ----------------------------------------------------------

    def say(self, text: str) -> ReplyHandle:
        """Speak `text` as soon as nobody else is speaking. Never blocks.

        Raises:
            PipelineError: too many replies are waiting, or the assistant is stopped.
        """
        return self._request(text, answer=False)

    def ask(self, text: str) -> ReplyHandle:
        """Answer `text` aloud as if the user had said it. Never blocks.

        Raises:
            PipelineError: too many replies are waiting, or the assistant is stopped.
        """
        return self._request(text, answer=True)

    def events(self, max_waiting: int = 1000) -> EventStream:
        """Events from now on, as in EVENTS.jsonl; a slow reader loses the oldest, counted."""
        return self._log.subscribe(max_waiting)

    def use(
        self, *, llm: str | None = None, voice: str | None = None, stt: str | None = None
    ) -> None:
        """Change models by id or path; see `reconfigure`."""
        names = {"llm.model": llm, "tts.voice": voice, "stt.model": stt}
        self.reconfigure(self._config.with_overrides(names))

    def reconfigure(self, config: Config) -> tuple[str, ...]:
        """Load and warm up what `config` changes of `stt`, `llm`, `tts`; put it in place between
        two jobs.

        Blocks while loading; the conversation goes on with what is there until the new engine is
        ready, and keeps its history. The other sections need a restart and stay as they are.

        Returns:
            The sections that were changed.

        Raises:
            ConfigError: it changes what is locked; nothing was changed.
            EdgeAssistantError: no such model, or it cannot be used; nothing was changed.
        """
        if self._parts is None:
            raise _not_running()
        self._config.refuse_locked(config)
        workshop = self._parts.workshop
        with self._reconfiguring:
            changed = [n for n in RELOADABLE if getattr(config, n) != getattr(self._config, n)]
            waiting = self._build(changed, config, self._open_store())
            try:
                while waiting:
                    _, swap = waiting.pop(0)
                    swap(workshop)
            finally:  # a channel that is full or closed: its engine is closed, these have no owner
                _close(waiting)
            kept = {name: getattr(config, name) for name in changed}
            self._config = structs.replace(self._config, **kept)
        return tuple(changed)

    def _build(self, changed: list[str], config: Config, store: Store) -> list[Built]:
        """All new engines, each of which has worked once, before any of them takes its place."""
        built: list[Built] = []
        exercises: dict[str, Exercise] = {}
        try:
            if "stt" in changed:
                recognizer = build.build_recognizer(config, store)
                built.append((recognizer, lambda workshop: workshop.use_recognizer(recognizer)))
                exercises["stt"] = partial(warm.warm_recognizer, recognizer)
            if "llm" in changed:
                llm, prompt = build.build_llm(config, store), config.llm.system_prompt
                built.append((llm, lambda workshop: workshop.use_llm(llm, prompt)))
                exercises["llm"] = partial(warm.warm_llm, llm, prompt)
            if "tts" in changed:
                language = build.voice_language(config, store)
                voice = build.build_voice(config, store, self._report)
                built.append((voice, lambda workshop: workshop.use_voice(voice, language)))
                exercises["tts"] = partial(warm.warm_voice, voice, language)
        except EdgeAssistantError:
            _close(built)
            raise
        warm_up(exercises)
        return built

    def press(self) -> None:
        """The push-to-talk key went down: the floor is the user's, whoever is speaking."""
        self._conductor.post(PushPressed(at_frames=self._clock.now_frames()))

    def release(self) -> None:
        """The push-to-talk key went up: the turn is over."""
        self._conductor.post(PushReleased(at_frames=self._clock.now_frames()))

    def hush(self) -> None:
        """The stop button: whatever is being said, or waits to be, is not."""
        self._conductor.post(StopPressed())

    # --- how it is ---------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Nobody speaks, nothing is being played and nothing is owed."""
        return self._conductor.is_idle and (self._parts is None or self._parts.playout.is_idle)

    @property
    def has_failed(self) -> bool:
        """Whether its floor or its ears gave up: it is deaf, and `wait_closed` has returned."""
        return self._has_failed

    @property
    def heard_frames(self) -> int:
        """Position of the sample clock up to which the ears have listened; it stands still where
        no sound comes, or they hang."""
        return 0 if self._parts is None else self._parts.ears.processed_frames

    @property
    def history(self) -> History:
        """What both sides heard so far."""
        return self._history

    def statistics(self) -> dict[str, int]:
        """Counters: peaks of the channels, lost frames, underruns, events that nobody read."""
        parts = self._parts
        if parts is None:
            return {}
        counts = {f"{name}_peak": peak for name, peak in parts.workshop.peaks().items()}
        counts["underruns"] = parts.playout.gaps.count
        counts["lost_frames"] = parts.ears.lost_frames
        return counts

    # --- wiring ------------------------------------------------------------------------------

    def _open_store(self) -> Store:
        if self._store is None:
            self._store = Store.default()
        return self._store

    def _wire(self, engines: Engines) -> None:
        common = Common(
            clock=self._clock,
            history=self._history,
            log=self._log,
            conductor=self._conductor,
            report=self._report,
            broken=self._broken,
        )
        is_recorded = self._config.turns.notices == "recorded"
        self._notices = Notices(engines.language, is_recorded=is_recorded)
        self._log.on_broken = self._disk_full
        parts = wire(self._config, self._card, engines, common, self._handles.finish, self._notices)
        self._parts = parts
        self._log.emit("listening", 0)
        parts.start(self._conductor)

    def _start_card(self) -> None:
        assert self._parts is not None
        hear = self._parts.ears.on_capture
        on_capture = self._capture_and_settle if self._card.is_lock_step else hear
        self._card.on_back = self._back
        self._card.start(on_capture, self._parts.playout.on_playback, self._lost)

    def _capture_and_settle(self, block: Samples, first_frame: int, time_s: float) -> None:
        assert self._parts is not None
        self._parts.ears.on_capture(block, first_frame, time_s)
        whole_blocks = self._clock.captured_frames // BLOCK_FRAMES * BLOCK_FRAMES
        self._conductor.wait_ticked(whole_blocks, SETTLE_S)

    def _request(self, text: str, *, answer: bool) -> ReplyHandle:
        if self._stopped or self._parts is None:
            raise _not_running()
        if len(self._handles) >= MAX_OPEN_REQUESTS:
            raise PipelineError(
                "too-many-requests",
                f"{MAX_OPEN_REQUESTS} replies are already waiting.",
                "wait for one of their handles first",
            )
        handle = self._handles.new()
        self._conductor.post(Requested(request=handle.request, text=text, answer=answer))
        return handle

    def _lost(self, error: Exception | None) -> None:
        """The card's word that its input has ended, or that a device is gone."""
        if error is None:
            self._closed.set()
        elif isinstance(error, EdgeAssistantError):
            self._report(error)
            self._notices.tell_lost(error.code, self._card)
        else:
            self._report(PipelineError("card-failed", f"The card failed: {error}", "restart"))

    def _back(self) -> None:
        self._log.emit("device_back", self._clock.now_frames(), card=self._card.name)
        self._announce("sound_back")

    def _disk_full(self) -> None:
        self._report(disk_full())
        self._announce("disk_full")

    def _announce(self, name: Notice) -> None:
        """Say what is wrong as soon as nobody else speaks, where recordings are to say it."""
        if self._notices.is_recorded:
            with suppress(PipelineError):  # stopped, or so much to say that it is no news
                self.say(phrase(name, self._notices.language))

    def _report(self, error: EdgeAssistantError) -> None:
        self._log.emit(
            "error",
            self._clock.now_frames(),
            code=error.code,
            message=error.message,
            hint=error.hint,
        )

    def _broken(self, error: EdgeAssistantError) -> None:
        self._report(error)
        self._has_failed = True
        self._closed.set()


def _close(built: list[Built]) -> None:
    for engine, _ in built:
        engine.close()


def _not_running() -> PipelineError:
    return PipelineError("not-running", "The assistant is not running.", "call start() first")
