"""`edge-assistant prove`: no network was used, no sound was kept, on the machine it concerns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit, note

if TYPE_CHECKING:
    from edge_assistant_packaging.proof.report import Proof

    from edge_assistant.config import Config


@click.command()
@click.option("--offline", is_flag=True, help="A turn without any network, and none was wanted.")
@click.option("--no-audio", is_flag=True, help="Nothing that was said is on disk afterwards.")
@click.option(
    "--speech",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A recorded question for --offline. Without it: made speech.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Of the speech for --no-audio; without it, one that nobody has had.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON document.")
@takes_config("llm", "voice", "stt")
def prove(
    offline: bool,
    no_audio: bool,
    speech: Path | None,
    seed: int | None,
    as_json: bool,
    config: Config,
) -> int:
    """Hold a spoken turn under watch and show that it used no network, or that it kept no sound.

    --offline holds it twice, outside and inside an empty network namespace, and writes down the
    system calls of both (strace; without it, a seccomp filter): no network socket may be made, and
    the final transcript and the committed reply must be the same, at temperature 0.

    --no-audio says something that nobody else has ever said, and looks for its sound and its words
    in everything that was written.

    Ends with 0 only if the proof held: a breach ends with 1, and so does a machine that does not
    let it look (containers often forbid namespaces and tracing; it says which).
    """
    if not (offline or no_audio):
        raise click.UsageError("What is to be proved? --offline, --no-audio, or both.")
    proofs: list[Proof] = []
    if offline:
        proofs.append(_told(lambda: _offline(config, speech), as_json))
    if no_audio:
        proofs.append(_told(lambda: _no_audio(config, seed), as_json))
    if as_json:
        emit([proof.to_json() for proof in proofs])
    return 0 if all(proof.verdict == "held" for proof in proofs) else 1


def _told(make: Callable[[], Proof], as_json: bool) -> Proof:
    note("a spoken turn is held in real time; this takes a minute")
    proof = make()
    if not as_json:
        click.echo(proof.to_text())
    return proof


def _offline(config: Config, speech: Path | None) -> Proof:
    from edge_assistant_packaging.proof import canary, offline
    from edge_assistant_packaging.proof.subject import Subject

    from edge_assistant.audio.files import read_sound
    from edge_assistant.store.store import default_root

    said = read_sound(speech) if speech is not None else canary.question()
    return offline.prove(Subject(config=config, models=default_root(), speech=said))


def _no_audio(config: Config, seed: int | None) -> Proof:
    from edge_assistant_packaging.proof import canary, no_audio
    from edge_assistant_packaging.proof.subject import Subject

    from edge_assistant.store.store import default_root

    bird = canary.make(seed)
    return no_audio.prove(Subject(config=config, models=default_root(), speech=bird.sound), bird)
