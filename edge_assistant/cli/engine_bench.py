"""`edge-assistant bench engines`: what single engines cost, models and builds side by side."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from edge_assistant.cli import output
from edge_assistant.cli.options import takes_config
from edge_assistant.cli.process import in_worker
from edge_assistant.errors import EdgeAssistantError

if TYPE_CHECKING:
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config
    from edge_assistant.engine_bench.builds import Build
    from edge_assistant.engine_bench.readings import Round, Stage
    from edge_assistant.engine_bench.report import Report
    from edge_assistant.engine_bench.rounds import Plan

_REPEATS: Final = 20
"""About two minutes with the starter pack on two cores."""

_PASSED_ON: Final = {
    "only": "--only",
    "stt": "--stt",
    "llm": "--llm",
    "voices": "--voice",
    "config_file": "--config",
    "profile": "--profile",
    "assignments": "--set",
}
"""Options that every build is given as they were given to this one."""


@click.command()
@click.option("--only", metavar="A,B", help="Of stt, llm, tts, vad, turn, abort. Default: all.")
@click.option("--stt", multiple=True, metavar="ID|FILE", help="Recogniser; twice to compare two.")
@click.option("--llm", multiple=True, metavar="ID|FILE", help="Language model; may be repeated.")
@click.option("--voice", "voices", multiple=True, metavar="ID|FILE", help="Voice; as those two.")
@click.option(
    "--build",
    "builds",
    multiple=True,
    metavar="NAME=PYTHON",
    help="Another build to hold against this one: the Python of its environment.",
)
@click.option(
    "--speech",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Recordings with a manifest.jsonl; its kinds command and read. Without it: made speech.",
)
@click.option("--repeats", type=click.IntRange(1, 1000), default=_REPEATS, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--one-round", type=click.IntRange(0), hidden=True, help="For a build's process.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON document.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Write the report there as well.",
)
@takes_config()
@click.pass_context
def engines(
    context: click.Context,
    only: str | None,
    stt: tuple[str, ...],
    llm: tuple[str, ...],
    voices: tuple[str, ...],
    builds: tuple[str, ...],
    speech: Path | None,
    repeats: int,
    seed: int,
    one_round: int | None,
    as_json: bool,
    out: Path | None,
    config: Config,
) -> int:
    """Measure single engines: speed, first sound, words, abort latency, CPU.

    Several models of a kind, or several builds, are measured in turn, round by round.
    """
    asked: dict[Stage, tuple[str, ...]] = {"stt": stt, "llm": llm, "tts": voices}
    plan = _plan(config, _stages(only), asked, speech, repeats, seed)
    if one_round is not None:
        return _one_round(plan, one_round)
    others = _builds(builds)
    if out is not None:
        with out.open("ab"):  # to learn now, not after minutes, that it cannot be written
            pass
    started = datetime.now(UTC).isoformat(timespec="seconds")
    rounds: list[Round] = []
    stopped: SystemExit | None = None
    try:
        if others:
            in_worker(lambda token: _measure_builds(context, plan, others, rounds, token), "bench")
        else:
            in_worker(lambda token: _measure(plan, rounds, token), "bench")
    except SystemExit as signal:  # what was measured until then is told all the same
        stopped = signal
    finally:
        output.progress("")
    report = _report(plan, rounds, started, is_made=speech is None, is_complete=stopped is None)
    _tell(report, as_json, out)
    if stopped is not None:
        raise stopped
    return 1 if any(each.failures for each in rounds) else 0


def _stages(text: str | None) -> frozenset[Stage]:
    from edge_assistant.engine_bench.readings import STAGES

    if text is None:
        return frozenset(STAGES)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in STAGES]
    if unknown or not names:
        raise click.UsageError(f"--only takes some of: {', '.join(STAGES)}.")
    return frozenset(stage for stage in STAGES if stage in names)


def _builds(texts: tuple[str, ...]) -> list[Build]:
    from edge_assistant.engine_bench.builds import THIS, Build

    found: list[Build] = []
    for text in texts:
        named = re.fullmatch(r"([\w.+-]+)=(.+)", text)
        if named is None:
            raise click.UsageError(f"--build takes NAME=PYTHON, not {text!r}.")
        name = named[1]
        if name == THIS or any(each.name == name for each in found):
            raise click.UsageError(f"--build: there is a build called {name!r} already.")
        found.append(Build(name=name, python=str(Path(named[2]).expanduser())))
    return found


def _plan(
    config: Config,
    stages: frozenset[Stage],
    asked: dict[Stage, tuple[str, ...]],
    folder: Path | None,
    repeats: int,
    seed: int,
) -> Plan:
    from edge_assistant.bench.scenarios.texts import TEXTS
    from edge_assistant.engine_bench.rounds import Plan
    from edge_assistant.engine_bench.speech import Speech, made, recorded, shuffled
    from edge_assistant.engine_bench.subjects import subjects
    from edge_assistant.store.store import Store

    store = Store.default()
    chosen = subjects(config, stages, asked, store)
    if not chosen:
        raise EdgeAssistantError(
            "engine-bench-nothing-to-do",
            "the configuration has no turn detector, and --only asks for nothing else",
            "leave out --only, or set turn_detector.model",
        )
    clips = recorded(folder) if folder else made(TEXTS["question"], config, store)
    return Plan(
        config=config,
        store=store,
        subjects=chosen,
        stages=stages,
        speech=Speech(clips=shuffled(clips, seed), repeats=repeats),
        repeats=repeats,
        seed=seed,
    )


def _measure(plan: Plan, rounds: list[Round], token: CancelToken) -> None:
    from edge_assistant.engine_bench.rounds import measure

    measure(plan, range(plan.repeats), rounds, token, output.progress)


def _one_round(plan: Plan, index: int) -> int:
    import msgspec

    from edge_assistant.engine_bench.builds import signed
    from edge_assistant.engine_bench.rounds import measure

    rounds: list[Round] = []
    in_worker(lambda token: measure(plan, [index], rounds, token), "bench")
    output.emit(msgspec.to_builtins(signed(rounds[0])))
    return 0


def _measure_builds(
    context: click.Context,
    plan: Plan,
    others: list[Build],
    rounds: list[Round],
    token: CancelToken,
) -> None:
    from edge_assistant.engine_bench.builds import measure, this_build
    from edge_assistant.engine_bench.speech import save

    arguments = _passed_on(context)
    with ExitStack() as stack:
        folder = context.params["speech"]
        if folder is None:  # made here, so that all builds hear the same
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-bench-")))
            save(plan.speech.clips, folder)
        measure(
            [this_build(), *others],
            [*arguments, "--speech", str(folder)],
            range(plan.repeats),
            rounds,
            token,
            output.progress,
            seed=plan.seed,
        )


def _passed_on(context: click.Context) -> list[str]:
    """The command line of a build's process, but for its speech."""
    words = ["--repeats", str(context.params["repeats"]), "--seed", str(context.params["seed"])]
    for name, flag in _PASSED_ON.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            values: Any = context.params[name]
            for value in values if isinstance(values, tuple) else (values,):
                words += [flag, str(value)]
    return words


def _report(
    plan: Plan, rounds: list[Round], started: str, *, is_made: bool, is_complete: bool
) -> Report:
    from edge_assistant import __version__
    from edge_assistant.bench.machine import this_machine
    from edge_assistant.engine_bench import report
    from edge_assistant.engine_bench.subjects import settings

    clips = plan.speech.clips
    builds = report.builds_of(rounds)
    for each in rounds:
        each.machine = None  # the builds have it once
    return report.Report(
        started=started,
        version=__version__,
        machine=this_machine(),
        builds=builds,
        models=list(plan.subjects),
        settings=settings(plan.config),
        speech=report.SpeechFacts(
            is_made=is_made, clips=len(clips), duration_s=sum(clip.duration_s for clip in clips)
        ),
        seed=plan.seed,
        repeats=plan.repeats,
        is_complete=is_complete,
        rows=report.rows(
            rounds,
            [subject.name for subject in plan.subjects],
            [build.name for build in builds] or [""],
            plan.seed,
        ),
        rounds=list(rounds),
    )


def _tell(report: Report, as_json: bool, out: Path | None) -> None:
    import msgspec

    from edge_assistant.engine_bench.table import to_text

    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    if as_json:
        output.emit(msgspec.to_builtins(report))
    else:
        click.echo(to_text(report), nl=False)
