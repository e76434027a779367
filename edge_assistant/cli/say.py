"""`edge-assistant say`: the voice alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit, note, require_writable
from edge_assistant.cli.process import in_worker

if TYPE_CHECKING:
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config


@click.command()
@click.argument("text")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a WAV file instead.")
@click.option("--json", "as_json", is_flag=True, help="With -o: print what was written as JSON.")
@takes_config("voice", "output_device")
def say(text: str, output: Path | None, as_json: bool, config: Config) -> None:
    """Speak TEXT (or what comes on stdin, for `-`)."""
    words = sys.stdin.read() if text == "-" else text
    if not words.strip():
        raise click.UsageError("There is nothing to say.")
    if output is not None:
        require_writable(output)
    elif as_json:
        raise click.UsageError("--json needs -o.")
    in_worker(lambda token: _speak(words, output, as_json, config, token), "tts")


def _speak(
    text: str, output: Path | None, as_json: bool, config: Config, token: CancelToken
) -> None:
    from edge_assistant.cli.speech import speak_aloud, synthesize
    from edge_assistant.store.store import Store

    store = Store.default()
    if output is None:
        speak_aloud(text, config, store, token)
        return
    from edge_assistant.audio.files import write_wav

    samples, sample_rate = synthesize(text, config, store, token)
    write_wav(output, samples, sample_rate)
    duration_s = len(samples) / sample_rate
    if as_json:
        emit({"file": str(output), "duration_s": round(duration_s, 3), "sample_rate": sample_rate})
    else:
        note(f"wrote {output} ({duration_s:.1f} s at {sample_rate} Hz)")
