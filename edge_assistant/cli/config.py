"""`edge-assistant config`: what is set, where it comes from, and a file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit, note
from edge_assistant.errors import ConfigError

if TYPE_CHECKING:
    from edge_assistant.config import Config


@click.group()
def config() -> None:
    """Show the configuration, or write a file to edit."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="JSON instead of TOML.")
@takes_config("llm", "voice", "stt", "listen", "input_device", "output_device")
def show(as_json: bool, config: Config) -> None:
    """Print the values that hold, with all layers laid on."""
    import msgspec

    from edge_assistant.config import dump

    if as_json:
        emit(msgspec.to_builtins(config))
    else:
        click.echo(dump(config), nl=False)


@config.command()
@click.option("--json", "as_json", is_flag=True, help="JSON, with all places.")
def path(as_json: bool) -> None:
    """Print where your own file is, or would be."""
    from edge_assistant.config import config_paths

    system, own = config_paths()
    if as_json:
        places = {"system": system, "user": own}
        emit({key: {"path": str(each), "exists": each.is_file()} for key, each in places.items()})
    else:
        click.echo(str(own))


@config.command()
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--print", "only_print", is_flag=True, help="Print it and write nothing.")
@click.option("--profile", help="The values to begin with.")
def init(force: bool, only_print: bool, profile: str | None) -> None:
    """Write your own file: every key with what it means, and nothing switched on yet."""
    from edge_assistant.config import config_paths, load_profile, template

    text = template(load_profile(profile))
    if only_print:
        click.echo(text, nl=False)
        return
    target = config_paths()[1]
    if target.exists() and not force:
        raise ConfigError(
            "config-exists", f"{target} is there already", "--force replaces it, --print shows it"
        )
    write_whole(target, text)
    note(f"wrote {target}")


def write_whole(target: Path, text: str) -> None:
    """Write `text`, in a folder that need not be there; a full disk leaves no half file."""
    from edge_assistant.atomic import write_atomically

    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, text.encode())
