"""`edge-assistant run`: talk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.keys import has_keys, keys
from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import err, note, report
from edge_assistant.cli.process import in_worker, on_hangup
from edge_assistant.cli.session import running
from edge_assistant.errors import DeviceNotFound, EdgeAssistantError

LOOK_S = 0.2
"""How long a pressed q may wait."""

if TYPE_CHECKING:
    from pathlib import Path

    from edge_assistant.audio.card import SoundCard
    from edge_assistant.config import Config
    from edge_assistant.pipeline.assistant import Assistant


@click.command()
@click.option("--events", type=click.Path(), help="Write one JSON event a line here.")
@click.option(
    "--demo-if-silent",
    is_flag=True,
    help="Without a sound card, hold one conversation through files instead.",
)
@click.option(
    "--service",
    is_flag=True,
    help="Without a terminal: tell systemd how it is, log no words, survive crashes.",
)
@takes_config("llm", "voice", "stt", "listen", "input_device", "output_device", reloads=True)
def run(
    events: str | None,
    demo_if_silent: bool,
    service: bool,
    config: Config,
    reload: Callable[[], Config],
) -> None:
    """Talk: microphone and loudspeaker, live. Interrupt it whenever you like.

    On a terminal, q ends and space interrupts a reply; with `--listen push`, space opens the ear
    and closes it again. r (or the signal HUP) reads the configuration again and changes models and
    voice without a restart.
    """
    from pathlib import Path

    if service:
        from edge_assistant.cli.service import serve

        if demo_if_silent:
            raise click.UsageError("--service waits for a sound device; it shows no demo.")
        serve(config, Path(events) if events else None, reload)
        return
    try:
        from edge_assistant.audio.cards.portaudio import PortAudioCard

        card = PortAudioCard(config.audio)
    except DeviceNotFound as error:
        if not demo_if_silent:
            raise
        from edge_assistant.cli.demo import demonstrate

        report(error)
        note("so here is one conversation through a sound card made of files:")
        demonstrate(config)
        return
    talk(config, card, Path(events) if events else None, reload)


def talk(
    config: Config, card: SoundCard, events: Path | None, reload: Callable[[], Config]
) -> None:
    """Converse on `card` until the user has enough of it."""
    from edge_assistant.cli.live import Screen

    closed, wants_reload = threading.Event(), threading.Event()
    is_push = config.turns.listen == "push"
    help_text = (
        f"space {'talks' if is_push else 'interrupts'}, r reloads, q ends" if has_keys() else ""
    )
    screen = Screen(err(), help_text)
    talking: Assistant | None = None
    is_open = False

    def on_key(key: str) -> None:
        nonlocal is_open
        if key in "qQ":
            closed.set()
        elif key in "rR":
            wants_reload.set()
        elif key == " " and talking is not None and is_push:
            is_open = not is_open
            (talking.press if is_open else talking.release)()
        elif key == " " and talking is not None:
            talking.press()  # takes the floor from a reply, and gives it back unused
            talking.release()

    # Keys first: what is typed while it loads counts too, and is not echoed.
    with (
        screen,
        keys(on_key),
        on_hangup(wants_reload.set),
        running(config, card, events, screen.show) as assistant,
    ):
        talking = assistant
        while not closed.is_set() and not assistant.wait_closed(LOOK_S):
            if wants_reload.is_set():
                wants_reload.clear()
                change_models(assistant, reload)


def change_models(assistant: Assistant, reload: Callable[[], Config]) -> None:
    """Put in place what the configuration names now; after a mistake the conversation goes on."""
    try:
        changed = in_worker(lambda _token: assistant.reconfigure(reload()), "reload")
    except EdgeAssistantError as error:
        report(error)
    else:
        note(f"changed: {', '.join(changed)}" if changed else "no model or voice has changed")
