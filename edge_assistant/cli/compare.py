"""`edge-assistant compare`: models of one kind side by side, and which one to take."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_assistant.cli import output
from edge_assistant.cli.process import in_worker
from edge_assistant.cli.workshop import workshop

if TYPE_CHECKING:
    from edge_assistant_quantize.compare.run import Findings, Plan

    from edge_assistant.cancel import CancelToken
    from edge_assistant.engine_bench.speech import Clip
    from edge_assistant.store.store import Store


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="A B [C ...]")
@click.option("--reference", metavar="MODEL", help="Which of them the others are held against.")
@click.option(
    "--page",
    "page_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("comparison.html"),
    show_default=True,
    metavar="FILE",
    help="Where the page goes.",
)
@click.option("--overwrite", is_flag=True, help="Replace the page if it is there.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option(
    "--speech",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="EDGE_ASSISTANT_SPEECH",
    show_envvar=True,
    metavar="FOLDER",
    help="Recordings with a manifest.jsonl, for recognisers. Without it: made speech.",
)
@click.option(
    "--clips",
    "most_clips",
    type=click.IntRange(min=0),
    default=48,
    show_default=True,
    help="Most recordings that are heard; 0: all.",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What language models read, in place of our own text.",
)
@click.option(
    "--threads", type=click.IntRange(0, 64), default=0, help="0: as the assistant chooses."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON document.")
def compare(
    models: tuple[str, ...],
    reference: str | None,
    page_file: Path,
    overwrite: bool,
    rounds: int,
    speech: Path | None,
    most_clips: int,
    text: Path | None,
    threads: int,
    seed: int,
    as_json: bool,
) -> int:
    """Hold models of one kind against each other, in one run, and recommend one.

    Each is an id of the store, a model file, or a voice of espeak as espeak:en-gb. Language models,
    recognisers or voices: size, load time, memory, speed, and quality where it shows. The page
    needs no network and no other file.
    """
    from edge_assistant.store.store import Store

    outputs, run = workshop("outputs"), workshop("compare.run")
    store = Store.default()
    candidates = workshop("compare.candidates").resolve(models, store, reference)
    kind = candidates[0].kind
    plan = run.Plan(
        candidates=candidates,
        repeats=rounds,
        seed=seed,
        threads=threads,
        clips=_clips(speech, most_clips, seed, store) if kind == "stt" else (),
        text=workshop("compare.text").load(text) if kind == "llm" else "",
    )
    started = datetime.now(UTC).isoformat(timespec="seconds")
    # Before the work of minutes, so that it is not lost for a page that is there already.
    with outputs.new_file(page_file, overwrite=overwrite) as part:
        found = _measured(plan)
        report = workshop("compare.report").assembled(plan, found, started)
        part.write_text(workshop("compare.page").page(report, found.sounds), "utf-8")
    if as_json:
        import msgspec

        output.emit(msgspec.to_builtins(report))
    else:
        click.echo(workshop("compare.table").to_text(report), nl=False)
    output.note(f"the page: {page_file}")
    return 1 if report.failures else 0


def _measured(plan: Plan) -> Findings:
    measure = workshop("compare.run").measure

    def progress(what: str, share: float) -> None:
        output.progress(f"{share:4.0%}  {what}")

    def work(token: CancelToken) -> Any:
        return measure(plan, token, progress)

    try:
        found: Findings = in_worker(work, "compare")
        return found
    finally:
        output.progress("")


def _clips(folder: Path | None, most: int, seed: int, store: Store) -> tuple[Clip, ...]:
    """Recordings in an order that the seed shuffles, or speech made by espeak."""
    from edge_assistant.bench.scenarios.texts import TEXTS
    from edge_assistant.config import Config
    from edge_assistant.engine_bench.speech import made, recorded, shuffled

    clips = recorded(folder) if folder else made(TEXTS["question"], Config(), store)
    return shuffled(clips, seed)[: most or None]
