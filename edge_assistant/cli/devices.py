"""`edge-assistant devices`: the microphones and loudspeakers that PortAudio sees."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edge_assistant.cli import output

if TYPE_CHECKING:
    from edge_assistant.audio.cards.devices import Device


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def devices(as_json: bool) -> None:
    """List sound devices; give an index or a part of a name to --input-device and the like."""
    from edge_assistant.audio.cards.devices import list_devices, load_sounddevice

    found = list_devices(load_sounddevice())
    if as_json:
        output.emit([asdict(device) for device in found])
    elif found:
        _print_table(found)
    else:
        output.note(
            "No sound devices. Plug one in, start the sound server, "
            "or see what is missing: edge-assistant doctor"
        )


def _print_table(found: list[Device]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("index", "in", "out", "rate Hz"):
        table.add_column(heading, justify="right")
    for heading in ("name", "host API", "default"):
        table.add_column(heading, overflow="fold")
    for device in found:
        table.add_row(
            str(device.index),
            str(device.input_channels),
            str(device.output_channels),
            str(device.default_rate),
            Text(device.name),  # a name may hold what rich would take for markup
            Text(device.host_api),
            _default_of(device),
        )
    output.out().print(table)


def _default_of(device: Device) -> str:
    roles = [
        role
        for role, is_default in (
            ("microphone", device.is_default_input),
            ("loudspeaker", device.is_default_output),
        )
        if is_default
    ]
    return ", ".join(roles)
