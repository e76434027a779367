"""The user's own configuration file, changed by a verb: some keys set, the rest as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.output import note
from edge_assistant.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_assistant.config import Config

Value = bool | int | str


def write_settings(path: Path, settings: Mapping[str, Value]) -> None:
    """Set `settings` in the TOML file at `path` and leave everything else as it is.

    Raises:
        ConfigError: the file is written in a way that does not let this be done safely.
        OSError: it cannot be written.
    """
    from edge_assistant.cli.config import write_whole

    target = path.resolve()  # a link stays one
    is_there = target.exists()
    text = target.read_bytes().decode("utf-8-sig") if is_there else ""
    changed = with_settings(text, settings, str(path))
    mode = target.stat().st_mode if is_there else None
    write_whole(target, changed)
    if mode is not None:
        target.chmod(mode & 0o777)


def with_settings(text: str, settings: Mapping[str, Value], origin: str = "the file") -> str:
    """TOML `text` with `settings` laid on, comments and order kept.

    Raises:
        ConfigError: it would come out as something else than that.
    """
    import tomllib

    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    wanted = tomllib.loads(text)
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        (wanted.setdefault(section, {}) if section else wanted)[name] = value
    try:
        document = tomlkit.parse(text)
        for key, value in settings.items():
            section, _, name = key.rpartition(".")
            (document.setdefault(section, tomlkit.table()) if section else document)[name] = value
        changed = tomlkit.dumps(document)
        is_right = tomllib.loads(changed) == wanted
    except (TOMLKitError, ValueError):
        is_right = False
    if not is_right:
        raise ConfigError(
            "config-not-editable",
            f"{origin} is written in a way that cannot be changed without risk; it is as it was.",
            f"Add by hand: {', '.join(_assignments(settings))}",
        )
    return changed


def show(settings: Mapping[str, Value]) -> None:
    """Print `settings` as a part of a configuration file; top-level keys must come first."""
    before = ""
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        if section != before:
            before = section
            click.echo(f"[{section}]")
        click.echo(f"{name} = {_toml(value)}")


def _assignments(settings: Mapping[str, Value]) -> Iterator[str]:
    for key, value in settings.items():
        yield f"{key} = {_toml(value)}"


def _toml(value: Value) -> str:
    return str(value).lower() if isinstance(value, int) else f'"{value}"'


def tell_overridden(settings: Mapping[str, Value], config: Config) -> None:
    """Say which of the written keys has no effect, since a later layer sets it too."""
    import msgspec

    values = msgspec.to_builtins(config)
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        holds = (values[section] if section else values)[name]
        if holds != value:
            note(f"{key} is {_toml(holds)} all the same: a --config file, the")
            note("environment or a flag sets it")
