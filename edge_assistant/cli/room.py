"""`edge-assistant room`: listens to the room and says how the assistant should converse in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit, note, out
from edge_assistant.cli.own_file import Value, show, tell_overridden, write_settings
from edge_assistant.cli.process import in_worker
from edge_assistant.errors import DeviceLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_assistant.audio.card import SoundCard
    from edge_assistant.audio.room.choice import Choice
    from edge_assistant.audio.room.measure import Measurement
    from edge_assistant.audio.room.recording import Recording
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config

_GUARDS: Final = ("turns.barge_in_ms", "turns.probe_ms", "vad.onset_aggressiveness")
"""What is raised where it must be strict about what is speech, to what `kiosk` has at least."""

_STRICT_PROFILE: Final = "kiosk"

_RETRIES: Final = 2

_MODES: Final = {
    "full": "full duplex: interrupt it whenever you like",
    "guarded": "guarded: it yields to longer speech only (raised thresholds)",
    "half": "half duplex: only a stop phrase interrupts it",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--write", is_flag=True, help="Put the settings into your own configuration file.")
@takes_config("input_device", "output_device", reloads=True)
def room(as_json: bool, write: bool, config: Config, reload: Callable[[], Config]) -> None:
    """Measure the room with a sweep and say how to converse in it.

    Plays two short sweeps, measures noise, echo and delay, and chooses full duplex, guarded (raised
    thresholds) or half duplex.
    """
    from msgspec import structs

    from edge_assistant.audio.cards.portaudio import PortAudioCard
    from edge_assistant.audio.room.choice import choose
    from edge_assistant.audio.room.measure import measure
    from edge_assistant.config import config_paths

    card = PortAudioCard(config.audio)
    measurement = measure(in_worker(lambda token: listen(card, token), "room"))
    choice = choose(measurement)
    settings = settings_for(choice, config.profile)
    # Before it is recommended: each value may suit, and not all.
    structs.replace(config, locked={}).with_overrides(settings)
    if as_json:
        emit(_document(card.name, measurement, choice, settings))
    else:
        _print(card.name, measurement, choice, settings)
    own = config_paths()[1]
    if write:
        config.with_overrides(settings)  # a key that is locked is not for this file
        write_settings(own, settings)
        note(f"wrote {own}")
        tell_overridden(settings, reload())
    elif not as_json:
        note("edge-assistant room --write puts this into your configuration")


def listen(card: SoundCard, token: CancelToken) -> Recording:
    """Play and record the sweeps; again, if the machine was too busy for it.

    Raises:
        AudioError: the device cannot be opened, was lost, or stands still.
        TurnCancelled: the token.
    """
    from edge_assistant.audio.room.recording import SWEEPS, record

    note(f"some seconds of silence, then {SWEEPS} sweeps: please be quiet until they are over")
    for _ in range(_RETRIES):
        try:
            recording = record(card, token)
        except DeviceLost as error:
            note(f"{error.message} Once more.")
            continue
        if not recording.breaks:
            return recording
        note("Sound was lost meanwhile. Once more.")
    return record(card, token)


def settings_for(choice: Choice, profile: str) -> dict[str, Value]:
    """Dotted keys and values that a choice means; where it needs no guard, those of `profile`.

    All keys every time, so that a room that has become better loosens what was tightened.
    """
    import msgspec

    from edge_assistant.config import load_profile

    usual, strict = (msgspec.to_builtins(load_profile(name)) for name in (profile, _STRICT_PROFILE))
    raised: dict[str, Value] = {}
    for key in _GUARDS:
        section, _, name = key.partition(".")
        plain, guarded = usual[section][name], strict[section][name]
        raised[key] = plain if choice.mode == "full" else max(plain, guarded)
    return {
        "audio.echo_canceller": choice.canceller,
        "turns.barge_in": choice.mode != "half",
        **raised,
    }


def _document(
    card: str, measurement: Measurement, choice: Choice, settings: Mapping[str, Value]
) -> dict[str, object]:
    from dataclasses import asdict

    figures = {
        key: round(value, 4 if key.endswith("_s") else 2) if isinstance(value, float) else value
        for key, value in asdict(measurement).items()
    }
    return {
        "card": card,
        "measurement": figures,
        "mode": choice.mode,
        "reasons": list(choice.reasons),
        "settings": dict(settings),
    }


def _print(
    card: str, measurement: Measurement, choice: Choice, settings: Mapping[str, Value]
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("devices", Text(card))  # a name may hold what rich would take for markup
    for name, text in _rows(measurement):
        table.add_row(name, Text(text))
    console = out()
    console.print(table)
    console.print()
    console.print(Text(_MODES[choice.mode], "bold"))
    for reason in choice.reasons:
        console.print(Text(f"  because {reason}"))
    console.print()
    show(settings)


def _rows(room: Measurement) -> Iterator[tuple[str, str]]:
    yield "noise floor", f"{room.noise_dbfs:.1f} dBFS, peak {room.noise_peak_dbfs:.1f}"
    if room.echo_db is None:
        yield "echo", f"none (one above {room.least_echo_db:.0f} dB would have been heard)"
    else:
        yield "echo", f"{room.echo_db:.1f} dB, {room.snr_db:.0f} dB above noise and distortion"
        trembling = f", {room.delay_spread_ms:.1f} ms apart" if room.delay_spread_ms else ""
        yield "delay", f"{room.delay_ms:.1f} ms more than the sound card tells of{trembling}"
        yield "round trip", f"{room.round_trip_ms:.0f} ms with all buffers"
        reverberation = "-" if room.rt60_s is None else f"{room.rt60_s:.2f} s"
        yield "reverberation", f"{reverberation} (RT60)"
    yield "clipping", "yes" if room.is_clipped else "no"
    if room.breaks:
        yield "lost sound", f"{room.breaks} times"
