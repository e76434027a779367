"""`edge-assistant converse`: the same assistant and threads, with files or a pipe as its card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import pipe_io
from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import require_writable
from edge_assistant.cli.session import hold_over_files, hold_over_pipe

if TYPE_CHECKING:
    from edge_assistant.config import Config


class _Finite(click.FloatRange):
    """A number that is one: `nan` and `inf` are in no range."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a number of seconds or decibels.", param, ctx)
        return number


@click.command()
@click.argument("user", type=click.Path(path_type=Path), required=False, metavar="[USER.wav")
@click.argument("reply", type=click.Path(path_type=Path), required=False, metavar="REPLY.wav]")
@click.option("--pipe", is_flag=True, help="Sound in on stdin and out on stdout, 20 ms blocks.")
@click.option("--events", type=click.Path(path_type=Path), help="Write one JSON event a line here.")
@click.option("--room", type=click.Path(path_type=Path), help="Impulse response, for an echo.")
@click.option(
    "--echo-db", type=_Finite(-200, 60), help="Gain from loudspeaker to microphone, in dB."
)
@click.option(
    "--tail-s",
    type=_Finite(0, 86_400),
    default=20.0,
    show_default=True,
    help="Longest silence after.",
)
@takes_config("llm", "voice", "stt", "listen")
def converse(
    user: Path | None,
    reply: Path | None,
    pipe: bool,
    events: Path | None,
    room: Path | None,
    echo_db: float | None,
    tail_s: float,
    config: Config,
) -> None:
    """Hold a conversation over files, or with a program at the other end of a pipe.

    USER.wav is played into the microphone in real time once the assistant listens; REPLY.wav is
    what its loudspeaker would have played, 16 kHz mono, sample-aligned with USER.wav.

    With --pipe there are no files: 16 kHz mono PCM16 comes in on stdin and goes out on stdout in
    blocks of 320 frames, one for one. The first block is answered once the assistant listens; the
    end of the input ends the conversation.
    """
    if pipe:
        if user is not None or room is not None or echo_db is not None:
            raise click.UsageError("--pipe takes no files and makes no echo: the partner does.")
        # First of all: whatever an engine prints from now on must not get into the stream.
        source, sink = pipe_io.claim_stdio()
        from edge_assistant.audio.cards.pipe import PipeCard

        hold_over_pipe(config, PipeCard(source, sink), events)
        return
    if user is None or reply is None:
        raise click.UsageError("Give USER.wav and REPLY.wav, or --pipe.")
    if room is not None and echo_db is None:
        raise click.UsageError("--room needs --echo-db, the gain of that way.")
    if reply.exists() and user.exists() and reply.samefile(user):
        raise click.UsageError("REPLY.wav would replace USER.wav.")
    require_writable(reply)  # now, and not when the conversation is over
    from edge_assistant.audio.cards.wav import WavCard

    card = WavCard(user, reply, tail_s=tail_s, room=room, echo_db=echo_db)
    hold_over_files(config, card, events)
