"""One conversation without a sound card: the assistant is asked aloud, by its own voice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_assistant.cli.live import SEGMENTS, Screen, label
from edge_assistant.cli.output import err, note
from edge_assistant.cli.process import in_worker
from edge_assistant.cli.session import hold_over_files
from edge_assistant.cli.voice_told import speaks_by_program
from edge_assistant.places import cache_folder

if TYPE_CHECKING:
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config

QUESTION: Final = "What is the capital of France?"
_LEAD_MS: Final = 500
_TAIL_S: Final = 30.0


def demonstrate(config: Config) -> Path:
    """Ask `QUESTION` through a virtual sound card; print what came of it.

    Returns:
        Where the loudspeaker's sound was written.
    """
    from edge_assistant.audio.cards.wav import WavCard

    folder = cache_folder() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    question, reply = folder / "question.wav", folder / "reply.wav"
    in_worker(lambda token: _ask_aloud(question, config, token), "tts")
    note(f"asked aloud: {QUESTION}")
    card = WavCard(question, reply, tail_s=_TAIL_S)
    with Screen(err()) as screen:
        hold_over_files(config, card, None, screen.show)
    _print_latency(screen)
    note(f"the question is in {question}, the reply in {reply}")
    return reply


def _ask_aloud(path: Path, config: Config, token: CancelToken) -> None:
    from edge_assistant.audio.files import write_wav
    from edge_assistant.audio.format import SAMPLE_RATE, frames_of_ms
    from edge_assistant.audio.resample import resample
    from edge_assistant.cli.speech import synthesize
    from edge_assistant.store.store import Store

    # The program is there for who has no library to speak with.
    voice = config.tts.voice if speaks_by_program(config) else "espeak-en"
    speaker = config.with_overrides({"tts.voice": voice})
    samples, rate = synthesize(QUESTION, speaker, Store.default(), token)
    lead = np.zeros(frames_of_ms(_LEAD_MS), dtype=np.float32)
    write_wav(path, np.concatenate([lead, resample(samples, rate, SAMPLE_RATE)]))


def _print_latency(screen: Screen) -> None:
    from rich.table import Table

    table = Table(title="from the end of the question to the first sound of the reply", box=None)
    table.add_column("segment")
    table.add_column("seconds", justify="right")
    for latency in screen.latencies:
        for name in SEGMENTS:
            table.add_row(label(name), f"{float(latency.get(name, 0.0)):.3f}")
        table.add_row("together", f"{float(latency['gap_s']):.3f}", style="bold")
    err().print(table)
