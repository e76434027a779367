"""Runs an assistant from the main thread: start, wait, stop, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from edge_assistant.cli.output import note, report
from edge_assistant.cli.process import in_worker
from edge_assistant.cli.voice_told import speaks_by_program, told_of_program
from edge_assistant.errors import EdgeAssistantError, PipelineError

if TYPE_CHECKING:
    from edge_assistant.audio.card import SoundCard
    from edge_assistant.audio.cards.pipe import PipeCard
    from edge_assistant.audio.cards.wav import WavCard
    from edge_assistant.config import Config
    from edge_assistant.pipeline.assistant import Assistant
    from edge_assistant.trace import EventLog

Watch = Callable[[Mapping[str, Any]], None]
"""Gets every event, as a line of EVENTS.jsonl, on a thread of its own."""

_LOOK_S: Final = 0.1
_IDLE_S: Final = 1.0
"""Nobody has spoken for this long after the user's file: the conversation is over."""
_LAST_WORDS_S: Final = 1.0


@contextmanager
def running(
    config: Config,
    card: SoundCard,
    events: Path | None,
    watch: Watch,
    log: EventLog | None = None,
) -> Iterator[Assistant]:
    """An assistant that listens on `card`, and is stopped at the end in any case.

    Args:
        config: of the assistant.
        card: its microphone and loudspeaker.
        events: file of its events; None for none.
        watch: gets them, too.
        log: the one that writes `events`, for a caller with events of its own.

    Raises:
        EdgeAssistantError: a model, a device or the events' file is not to be had, or that file
            could not be written to the end of the conversation.
    """
    from edge_assistant.gpio.panel import panel
    from edge_assistant.pipeline.assistant import Assistant
    from edge_assistant.trace import EventLog

    if speaks_by_program(config):
        note(told_of_program())
    log = log or EventLog(events)
    assistant = Assistant(config, card, event_log=log)
    watcher = Thread(target=_show, args=(assistant.events(), watch), name="show", daemon=True)
    watcher.start()

    def end(_kind: object, error: BaseException | None, _trace: object) -> None:
        assistant.stop()
        # Who asks for the end does it by SystemExit, and needs not be told.
        if assistant.has_failed or isinstance(error, Exception):
            say_out_of_order(config, card)

    with ExitStack() as ending:
        ending.callback(watcher.join, _LAST_WORDS_S)
        ending.push(end)
        with panel(
            config.gpio,
            assistant.events(),
            assistant.press,
            assistant.release,
            assistant.hush,
            is_push=config.turns.listen == "push",
        ):
            in_worker(lambda _token: assistant.start(), "start")
            yield assistant
            assistant.stop()
    if log.is_broken:
        raise PipelineError(
            "events-incomplete",
            f"{events} could not be written to the end",
            "free some space; `df -h` shows where it is short",
        )


def say_out_of_order(config: Config, card: SoundCard) -> None:
    """Say it on a card that is stopped, where recordings are to say what is wrong: a machine
    without a screen must not stand there mute."""
    from edge_assistant.audio.card import SpeaksAlone
    from edge_assistant.notices.recordings import SAMPLE_RATE, recording

    if config.turns.notices != "recorded" or not isinstance(card, SpeaksAlone):
        return
    with suppress(OSError, RuntimeError):
        card.speak_alone(recording("out_of_order", spoken_language(config)), SAMPLE_RATE)


def spoken_language(config: Config) -> str:
    """The voice's language; the one that is listened for where the voice is not to be had."""
    from edge_assistant.pipeline.engines import voice_language
    from edge_assistant.store.store import Store

    try:
        return voice_language(config, Store.default())
    except EdgeAssistantError:  # it may be what is wrong
        return config.stt.language


def hold_over_pipe(config: Config, card: PipeCard, events: Path | None) -> None:
    """Converse until the input has ended.

    Raises:
        PipelineError: the assistant gave up before that.
    """
    with running(config, card, events, tell_errors) as assistant:
        while not assistant.wait_closed(_LOOK_S):
            pass
        _expect_end(card)


def hold_over_files(
    config: Config, card: WavCard, events: Path | None, watch: Watch | None = None
) -> None:
    """Converse until the user's file is over and nobody has anything left to say, or the tail has
    passed.

    Raises:
        PipelineError: the assistant gave up before that.
    """
    with running(config, card, events, watch or tell_errors) as assistant:
        idle_since_s: float | None = None
        while not assistant.wait_closed(_LOOK_S):
            now_s = time.monotonic()
            if not (card.user_finished.is_set() and assistant.is_idle):
                idle_since_s = None
            elif idle_since_s is None:
                idle_since_s = now_s
            elif now_s - idle_since_s > _IDLE_S:
                card.end()
        _expect_end(card)


def tell_errors(event: Mapping[str, Any]) -> None:
    """Print what went wrong in a turn; the conversation goes on."""
    if event["event"] == "error":
        fields = (str(event.get(name, "")) for name in ("code", "message", "hint"))
        report(EdgeAssistantError(*fields))


def _expect_end(card: PipeCard | WavCard) -> None:
    if not card.finished.is_set():
        raise PipelineError(
            "ended-early", "the assistant gave up before the input was over", "see the line above"
        )


def _show(events: Iterator[dict[str, Any]], watch: Watch) -> None:
    for event in events:
        watch(event)
