"""`edge-assistant bench`: hold conversations with a system, measure them, show what came out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge_assistant.cli import output
from edge_assistant.cli.bench_gate import gate
from edge_assistant.cli.engine_bench import engines
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant.bench.report.model import Report
    from edge_assistant.bench.runner import Progress
    from edge_assistant.bench.trial import Trial
    from edge_assistant.cli.examination import Plan

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_BAR: Final = 24
_CHOICES: Final = (
    "scenarios",
    "system",
    "speech",
    "made",
    "voice",
    "quick",
    "full",
    "count",
    "seed",
)
"""Options that a resumed run has already decided."""


@click.group(invoke_without_command=True)
@click.option(
    "--scenarios",
    metavar="A,B/CONDITION,C=N",
    help="Only these, or single conditions of them, N trials each; see `bench scenarios`.",
)
@click.option(
    "--system",
    "system",
    multiple=True,
    metavar="[NAME=]CMD",
    help="A program that honours the pipe; may be repeated. Without it: this build.",
)
@click.option("--events", is_flag=True, help="Every --system takes `--events FILE`, as ours does.")
@click.option(
    "--speech",
    type=click.Path(path_type=Path, exists=True),
    metavar="FOLDER|MANIFEST",
    help="Recordings of people: a manifest, or a folder with a manifest.jsonl. Without it: speech "
    "made by a voice.",
)
@click.option("--made", is_flag=True, help="With --speech: made speech too, in rows of its own.")
@click.option(
    "--voice", metavar="CMD", help="Makes the speech: a command with {text} and {file} in it."
)
@click.option("--quick", is_flag=True, help="A few trials of each: a look, not a result.")
@click.option("--full", is_flag=True, help="More trials of each, for figures to publish.")
@click.option("--count", type=click.IntRange(1), help="So many trials of each.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the run in FOLDER.")
@click.option("-o", "--out", type=_FOLDER, metavar="FOLDER", help="Where run and report go.")
@click.pass_context
def bench(
    context: click.Context,
    scenarios: str | None,
    system: tuple[str, ...],
    events: bool,
    speech: Path | None,
    made: bool,
    voice: str | None,
    quick: bool,
    full: bool,
    count: int | None,
    seed: int,
    resume: bool,
    out: Path | None,
) -> None:
    """Measure conversations: gaps, pauses, interruptions, and what they cost.

    Every system meets the same trials in real time, each in turn.
    """
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise click.UsageError("-o FOLDER is missing: where run and report go.", context)
    if quick + full + (count is not None) > 1:
        raise click.UsageError("--quick, --full and --count: choose one.", context)
    from edge_assistant.cli import examination

    if resume and (out / examination.PLAN).exists():
        _refuse_choices(context)
        plan = examination.read_plan(out)
    else:
        plan = examination.Plan(
            systems=examination.asked_systems(system, events),
            scenarios=_names(scenarios),
            recordings=str(speech.resolve()) if speech else "",
            has_made_speech=made or speech is None,
            voice=_voice(voice),
            size="quick" if quick else "full" if full else "standard",
            count=count,
            seed=seed,
        )
        if (out / "run.json").exists():
            raise EdgeAssistantError(
                "bench-run-exists",
                f"{out} holds a run already",
                "continue it with --resume, or choose another folder",
            )
        plan.write(out)
    _run(plan, out, resume)


def _refuse_choices(context: click.Context) -> None:
    given = [
        f"--{name}"
        for name in _CHOICES
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"--resume goes on with what was begun; leave out {' '.join(given)}.", context
        )


def _names(text: str | None) -> tuple[str, ...]:
    """The scenarios of `--scenarios`, checked before anything is made."""
    from edge_assistant.bench.scenarios import choice

    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        choice(name)
    return names


def _voice(text: str | None) -> tuple[str, ...]:
    import shlex

    if text is None:
        return ()
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise click.UsageError(f"--voice: {error}.") from error
    if not any("{text}" in word for word in words) or not any("{file}" in word for word in words):
        raise click.UsageError("--voice needs {text} and {file} in its command.")
    return words


def _run(plan: Plan, folder: Path, resume: bool) -> None:
    from edge_assistant.bench import runner

    output.note("preparing the speech")
    trials = plan.trials(folder)
    if not trials:
        raise EdgeAssistantError(
            "bench-nothing-to-do",
            "there is no trial: the speech has nothing for these scenarios",
            "leave out --scenarios, or give other recordings",
        )
    _tell(plan, trials)
    show = _Show()
    try:
        runner.run(trials, plan.runnable(), folder, show, resume, seed=plan.seed)
    finally:
        output.progress("")
    made = _write_report(plan, folder)
    if all(row.void for row in made.trials):
        raise EdgeAssistantError(
            "bench-nothing-counts",
            f"no trial counts; the first: {made.trials[0].void if made.trials else 'none'}",
            f"{folder / 'report.md'} lists the reasons",
        )


def _tell(plan: Plan, trials: list[Trial]) -> None:
    """Before it starts: what there is to do, of how many clips, how long it can take, and what
    cannot be done."""
    from edge_assistant.bench.scenarios import choice, clips_in

    for (scenario, condition, source), (number, clips) in clips_in(trials).items():
        again = f", {clips} different" if clips < number else ""
        output.note(f"{number:4} {scenario}/{condition} ({source}){again}")
    systems = len(plan.systems)
    limit_s = systems * sum(trial.limit_s for trial in trials)
    output.note(
        f"{len(trials)} trials with {systems} system{'s' * (systems > 1)}, in real time: "
        f"{limit_s / 60:.0f} min at the most, and more where disturbed ones are made again"
    )
    for name in plan.scenarios:
        wish = choice(name)
        if not any(wish.holds(trial) for trial in trials):
            output.note(f"no trial of {name}: the speech has nothing for it")


class _Show:
    """One line on a terminal; elsewhere a line for each tenth of the work."""

    def __init__(self) -> None:
        self._told = -1

    def __call__(self, now: Progress) -> None:
        """Say how far it is."""
        share = now.done / now.total if now.total else 1.0
        text = f"{now.done}/{now.total}  {time_left(now.left_s)}"
        if sys.stderr.isatty():
            full = round(share * _BAR)
            again = f", attempt {now.attempt}" if now.attempt > 1 else ""
            what = f"  {now.trial_id} ({now.system}{again})" if now.trial_id else ""
            output.progress(f"[{'#' * full}{'.' * (_BAR - full)}] {text}{what}")
        elif int(share * 10) > self._told:
            self._told = int(share * 10)
            output.note(text)


def time_left(seconds_s: float) -> str:
    """`12 min left`, coarse as it is known."""
    if seconds_s < 1:
        return "done"
    if seconds_s < 90:
        return f"{seconds_s:.0f} s left"
    return f"{seconds_s / 60:.0f} min left"


def _write_report(plan: Plan, folder: Path) -> Report:
    from edge_assistant import __version__
    from edge_assistant.bench import metrics, storage
    from edge_assistant.bench.report import assemble, html, markdown, model

    run = storage.load(folder)
    report = assemble.build(run, metrics.read_terms(), plan.about(), bench_version=__version__)
    (folder / "report.json").write_bytes(model.to_json(report))
    (folder / "report.md").write_text(markdown.summary(report), "utf-8")
    (folder / "report.html").write_text(html.page(report), "utf-8")
    for name in ("report.html", "report.md", "report.json"):
        click.echo(str(folder / name))
    return report


bench.add_command(gate)


@bench.command()
def scenarios() -> None:
    """List what can be done to a system: name, trials of a standard and a full run, what it is.

    Below it the conditions that can be asked for alone, such as pauses/0.7.
    """
    import textwrap

    from edge_assistant.bench.scenarios import SCENARIOS

    for scenario in SCENARIOS.values():
        click.echo(f"{scenario.name:14} {scenario.count:4} {scenario.full:4}  {scenario.about}")
        names = "  ".join(f"{scenario.name}/{each}" for each in scenario.conditions)
        for line in textwrap.wrap(names, 96, break_on_hyphens=False):
            click.echo(f"    {line}")


@bench.command()
@click.argument("folder", type=_FOLDER)
def report(folder: Path) -> None:
    """Measure the run in FOLDER again and write its report: JSON, Markdown, one HTML page."""
    from edge_assistant.cli import examination

    _write_report(examination.read_plan(folder), folder)


@bench.command()
@click.argument("folder", type=_FOLDER)
@click.argument("trial_id")
@click.option("--system", metavar="NAME", help="Which one, where the run has several.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.flac")
@click.option("--json", "as_json", is_flag=True, help="Every value of the trial, as JSON.")
def replay(
    folder: Path, trial_id: str, system: str | None, out: Path | None, as_json: bool
) -> None:
    """Hold one conversation of the run in FOLDER again; the run stays as it is."""
    from edge_assistant.bench import metrics, runner
    from edge_assistant.bench.report import assemble, envelope
    from edge_assistant.cli import examination

    plan = examination.read_plan(folder)
    systems = {each.name: each for each in plan.runnable()}
    name = system or next(iter(systems))
    if name not in systems:
        raise click.UsageError(f"no system {name!r}; the run has: {', '.join(systems)}.")
    if out is not None:
        output.require_writable(out)
    outcome = runner.replay(plan.trials(folder), trial_id, systems[name])
    values = metrics.trial_values(outcome, metrics.context_of([outcome]))
    row = assemble.row_of(outcome, values, metrics.read_terms())
    if out is not None:
        out.write_bytes(envelope.flac(outcome.user, outcome.reply))
    told = f"void: {row.void}" if row.void else row.outcome
    if as_json:
        output.emit({"id": row.id, "system": name, "outcome": told, "values": values})
        return
    click.echo(f"{row.id} ({name}): {told}")
    for key, value in values.items():
        click.echo(f"  {key}: {value:.4g}")


@bench.command()
@click.argument("a", type=click.Path(path_type=Path, exists=True))
@click.argument("b", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
)
@click.option("--apart", is_flag=True, help="Only the figures whose intervals do not overlap.")
def compare(a: Path, b: Path, form: str, apart: bool) -> None:
    """Two reports side by side: A and B are report.json files, or folders that hold one."""
    from dataclasses import replace

    from edge_assistant.bench.report import compare as side_by_side
    from edge_assistant.bench.report import model

    found = side_by_side.compare(model.read(a), model.read(b), (str(a), str(b)))
    if apart:
        found = replace(found, rows=found.apart)
    match form:
        case "json":
            click.echo(side_by_side.to_json(found), nl=False)
        case "markdown":
            click.echo(side_by_side.to_markdown(found), nl=False)
        case _:
            click.echo(side_by_side.to_text(found), nl=False)


bench.add_command(engines)
