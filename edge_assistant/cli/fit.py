"""`edge-assistant fit`: which models run well on this machine, predicted before any download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge_assistant.cli import output
from edge_assistant.cli.options import takes_config
from edge_assistant.cli.own_file import show, tell_overridden, write_settings
from edge_assistant.cli.process import in_worker
from edge_assistant.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_assistant.config import Config
    from edge_assistant.fit.choose import Candidate, Combination, Refusal
    from edge_assistant.fit.report import Fit

_SHOWN: Final = 10
"""Sets that are shown unless all are asked for."""
_OWN: Final = "-"
"""`--write` without a file: the user's own."""

_TITLES: Final = {
    "llm": ("language model", "first clause"),
    "stt": ("recogniser", "an utterance"),
    "tts": ("voice", "first sound"),
}


@click.command()
@click.option("--language", metavar="CODE", help="What is spoken. Default: that of stt.language.")
@click.option("--installed", is_flag=True, help="Only models that are here already.")
@click.option("--quick", is_flag=True, help="Let no engine work: everything is estimated.")
@click.option("--all", "show_all", is_flag=True, help="All sets, not only the quickest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with all sets.")
@click.option(
    "--write",
    "write_to",
    is_flag=False,
    flag_value=_OWN,
    metavar="[FILE]",
    help="Put the recommended set into your own configuration file, or into FILE.",
)
@takes_config(reloads=True)
def fit(
    language: str | None,
    installed: bool,
    quick: bool,
    show_all: bool,
    as_json: bool,
    write_to: str | None,
    config: Config,
    reload: Callable[[], Config],
) -> int:
    """Predict which models run well on this machine, and recommend a set for the profile.

    Measures memory, arithmetic and one installed model of each engine, which takes some seconds,
    and works out the rest: time to the first audio, whether the reply can be spoken without a
    break, and memory. Exits with 1 if nothing fits.
    """
    target = _target(write_to)
    found = _look(config, language, installed, quick)
    if as_json:
        output.emit(_document(found))
    else:
        _print(found, show_all)
    if found.recommendation.best is None:
        return 1
    if target is not None:
        if write_to == _OWN:
            config.with_overrides(found.settings)  # a key that is locked is not for this file
        write_settings(target, found.settings)
        output.note(f"wrote {target}")
        if write_to == _OWN:
            tell_overridden(found.settings, reload())
    elif not as_json:
        output.note("edge-assistant fit --write puts this into your configuration")
    missing = [each.entry.id for each in found.recommendation.best.parts if not each.is_installed]
    if missing:
        output.note(f"to fetch: edge-assistant models pull {' '.join(missing)}")
    return 0


def _target(write_to: str | None) -> Path | None:
    """The file to change; that it can be read is found out before anything is measured."""
    from edge_assistant.config import config_paths, load

    if write_to is None:
        return None
    target = config_paths()[1] if write_to == _OWN else Path(write_to).expanduser()
    if target.is_dir():
        raise ConfigError("config-unreadable", f"{target} is a folder", "name a file")
    if target.exists():
        load(target)
    return target


def _look(config: Config, language: str | None, installed_only: bool, is_quick: bool) -> Fit:
    from edge_assistant.fit.report import fit as look
    from edge_assistant.store.store import Store

    code = language or config.stt.language
    try:
        return in_worker(
            lambda token: look(
                config,
                Store.default(),
                token,
                language="en" if code == "auto" else code.partition("-")[0].lower(),
                installed_only=installed_only,
                is_quick=is_quick,
                progress=output.progress,
                tell=output.report,
            ),
            "fit",
        )
    finally:
        output.progress("")


def _print(found: Fit, show_all: bool) -> None:
    for name, text in _machine_rows(found):
        click.echo(f"{name:<10}{text}")
    for kind in _TITLES:
        _print_models(found, kind)
    refused = [each for each in found.candidates if each.refusal and each.speaks(found.language)]
    if refused:
        click.echo("\ncannot be used here")
        for candidate in refused:
            click.echo(f"  {candidate.entry.id}: {_reason(candidate.refusal)}")
    _print_sets(found, show_all)
    _print_recommendation(found)


def _machine_rows(found: Fit) -> Iterator[tuple[str, str]]:
    from edge_assistant.fit.choose import gb

    machine, hardware = found.machine, found.hardware
    physical = machine.physical_cores or "?"
    yield "machine", f"{machine.cpu or 'unknown'}, {machine.system}"
    sets = " ".join(machine.instruction_sets)
    yield "cores", f"{physical}, of which {machine.usable_cores} may be used  {sets}"
    limit = f" (limit of its {machine.limit})" if machine.limit else ""
    memory = machine.memory
    yield "memory", f"{gb(memory.free_bytes)} free of {gb(memory.ram_bytes)}{limit}"
    yield (
        "speed",
        f"{hardware.bandwidth_bytes_s / 1e9:.1f} GB/s read, {hardware.flops / 1e9:.0f} GFLOP/s",
    )
    for engine, speed in found.speeds.items():
        how = f"measured with {speed.measured_with}" if speed.measured_with else "estimated"
        yield "engine", f"{engine} {how}"


def _print_models(found: Fit, kind: str) -> None:
    from edge_assistant.fit.choose import gb

    shown = [
        each
        for each in found.candidates
        if each.entry.kind == kind and each.refusal is None and each.speaks(found.language)
    ]
    title, first = _TITLES[kind]
    rows: list[tuple[str, ...]] = [(title, first, "load", "memory", "")]
    for each in sorted(shown, key=lambda it: it.cost.first_s if it.cost else 0.0):
        if each.cost is not None:
            load = f"{each.cost.per_speech_s:.2f}" if each.cost.per_speech_s else ""
            state = "installed" if each.is_installed else ""
            first_s = f"{each.cost.first_s:.3f} s"
            rows.append((each.entry.id, first_s, load, gb(each.ram_bytes), state))
    click.echo()
    _print_rows(rows)


def _print_sets(found: Fit, show_all: bool) -> None:
    from edge_assistant.fit.choose import gb

    fitting = [each for each in found.combinations if each.refusal is None]
    others = [each for each in found.combinations if each.refusal is not None]
    shown = fitting if show_all else fitting[:_SHOWN]
    rows: list[tuple[str, ...]] = [("set", "first audio", "load", "memory", "")]
    for each in shown:
        first_s = f"{each.first_audio_s:.3f} s"
        load = f"{each.speech_factor:.2f}"
        rows.append((" + ".join(each.ids), first_s, load, gb(each.ram_bytes), ""))
    click.echo()
    _print_rows(rows)
    if len(fitting) > len(shown):
        click.echo(f"... and {len(fitting) - len(shown)} more (--all)")
    for each in others if show_all else others[:1]:
        click.echo(f"refused: {' + '.join(each.ids)}: {_reason(each.refusal)}")
    if len(others) > 1 and not show_all:
        click.echo(f"... and {len(others) - 1} more are refused (--all)")


def _print_recommendation(found: Fit) -> None:
    best = found.recommendation.best
    click.echo()
    if best is None:
        click.echo(f"no set for {found.profile}, {found.language}: {found.recommendation.because}")
        return
    click.echo(f"recommended for {found.profile}, {found.language}: {' + '.join(best.ids)}")
    click.echo(f"  because: {found.recommendation.because}")
    for part in best.parts:
        click.echo(f"  {part.entry.id}: {part.entry.licence}")
    click.echo()
    show(found.settings)


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as they need be; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        click.echo("  ".join(cells).rstrip())


def _reason(refusal: Refusal | None) -> str:
    return refusal.reason if refusal is not None else ""


def _document(found: Fit) -> dict[str, Any]:
    from dataclasses import asdict

    best = found.recommendation.best
    return {
        "machine": asdict(found.machine),
        "hardware": asdict(found.hardware),
        "engines": {engine: asdict(speed) for engine, speed in found.speeds.items()},
        "profile": found.profile,
        "language": found.language,
        "models": [_model_dict(each) for each in found.candidates],
        "sets": [_set_dict(each) for each in found.combinations],
        "recommended": None if best is None else _set_dict(best),
        "because": found.recommendation.because,
        "settings": dict(found.settings),
    }


def _model_dict(each: Candidate) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "id": each.entry.id,
        "kind": each.entry.kind,
        "engine": each.entry.engine,
        "licence": each.entry.licence,
        "languages": list(each.entry.languages),
        "is_installed": each.is_installed,
        "size": None if each.size is None else asdict(each.size),
        "ram_bytes": each.ram_bytes,
        "first_s": None if each.cost is None else round(each.cost.first_s, 4),
        "per_speech_s": None if each.cost is None else round(each.cost.per_speech_s, 4),
        "measured_with": each.measured_with,
        "refusal": None if each.refusal is None else asdict(each.refusal),
    }


def _set_dict(each: Combination) -> dict[str, Any]:
    from dataclasses import asdict

    stt, llm, tts = each.ids
    return {
        "stt": stt,
        "llm": llm,
        "tts": tts,
        "first_audio_s": round(each.first_audio_s, 4),
        "speech_factor": round(each.speech_factor, 4),
        "ram_bytes": each.ram_bytes,
        "refusal": None if each.refusal is None else asdict(each.refusal),
    }
