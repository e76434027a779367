"""The verbs of `edge-assistant`; each is imported when it is called, so that `--help` is quick."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Final

import click

_VERBS: Final = {
    "run": ("run:run", "Talk: microphone and loudspeaker, live."),
    "converse": ("converse:converse", "Hold the same conversation over files or a pipe."),
    "ask": ("ask:ask", "Ask in writing; the reply is printed as it comes."),
    "say": ("say:say", "Speak a text, or write it to a WAV file."),
    "transcribe": ("transcribe:transcribe", "Turn WAV files into text with times."),
    "devices": ("devices:devices", "List microphones and loudspeakers."),
    "fit": ("fit:fit", "Predict which models run well here, and choose a set."),
    "room": ("room:room", "Measure echo, delay and noise, and choose how to converse."),
    "models": ("models:models", "List, fetch, add, verify and remove models."),
    "quantize": ("quantize:quantize", "Make a model smaller: GGUF, whisper.cpp, ONNX."),
    "convert": ("convert:convert", "Make an engine's file of a checkpoint from Hugging Face."),
    "export": ("export:export", "Write a model in another form: ORT, a voice in halves."),
    "bundle": ("bundle:bundle", "Put everything into one signed file; check or unpack one."),
    "update": ("update:update", "Look for a newer bundle and bring it; nothing old, all signed."),
    "config": ("config:config", "Show the configuration, or write a file to edit."),
    "bench": ("bench:bench", "Measure conversations: gaps, pauses, interruptions, and their cost."),
    "compare": ("compare:compare", "Hold models side by side: size, speed, memory, quality."),
    "prove": ("prove:prove", "Show that a spoken turn used no network, and kept no sound."),
    "doctor": ("doctor:doctor", "Say what is installed, what is missing, and how to mend it."),
}

EXIT_CODES: Final = """\
\b
Exit codes:
  0    done
  1    it failed; stderr says why
  2    wrong usage
  69   no sound device, or it was lost
  74   a file or the network could not be read or written
  78   the configuration is wrong
  130  SIGINT (Ctrl-C)
  143  SIGTERM
"""


class _Verbs(click.Group):
    """Knows the verbs by name and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _VERBS:
            return None
        module, _, name = _VERBS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"edge_assistant.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], _VERBS, n=1)
            raise click.UsageError(
                f"No such command '{args[0]}'." + (f" Did you mean '{near[0]}'?" if near else ""),
                ctx,
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _VERBS.items()])


def _show_version(context: click.Context, _option: click.Parameter, is_asked: bool) -> None:
    if not is_asked or context.resilient_parsing:
        return
    from edge_assistant import __version__
    from edge_assistant.cli.voice_told import is_permissive, told_of_program

    click.echo(f"edge-assistant, version {__version__}")
    if is_permissive():
        click.echo(told_of_program())
    context.exit()


@click.group(
    cls=_Verbs,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for everything.")
@click.option("-q", "--quiet", is_flag=True, help="Say only errors on stderr.")
def cli(debug: bool, verbose: int, quiet: bool) -> None:
    """A voice assistant that runs wholly on your own machine and lets you interrupt it."""
    del debug  # read by `run_command`, also where click itself fails
    level = (
        logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    )
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(levelname)s %(threadName)s %(name)s: %(message)s"
    )
