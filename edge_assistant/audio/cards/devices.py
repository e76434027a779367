"""Which sound devices there are, and which one is meant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edge_assistant.errors import DeviceNotFound

Kind = Literal["input", "output"]

NOUN: Final[dict[Kind, str]] = {"input": "microphone", "output": "loudspeaker"}
_LIST: Final = "List them with: edge-assistant devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One entry of PortAudio's list; it holds until PortAudio is initialised again."""

    index: int
    name: str
    host_api: str
    """The way to the hardware: ALSA, Core Audio, Windows WASAPI."""
    input_channels: int
    """0 = cannot record."""
    output_channels: int
    """0 = cannot play."""
    default_rate: int
    """Hz; the rate the device runs at when nobody asks for another."""
    is_default_input: bool
    is_default_output: bool

    def channels(self, kind: Kind) -> int:
        """Channels in the direction `kind`."""
        return self.input_channels if kind == "input" else self.output_channels


def load_sounddevice() -> Any:
    """The `sounddevice` module, with PortAudio initialised.

    Raises:
        DeviceNotFound: the package or the PortAudio library is missing.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceNotFound(
            "sounddevice-missing",
            "The Python package sounddevice is not installed.",
            "pip install sounddevice",
        ) from error
    except OSError as error:  # what sounddevice raises when ctypes cannot find the library
        raise DeviceNotFound(
            "portaudio-missing",
            "The PortAudio library is not installed, so there is no way to the sound card.",
            "sudo apt install libportaudio2",
        ) from error
    return sounddevice


def list_devices(sounddevice: Any) -> list[Device]:
    """All devices PortAudio saw when it was initialised, in the order of their index."""
    apis = [str(api["name"]) for api in sounddevice.query_hostapis()]
    default_input = _default_index(sounddevice, "input")
    default_output = _default_index(sounddevice, "output")
    return [
        Device(
            index=index,
            name=str(entry["name"]),
            host_api=apis[entry["hostapi"]],
            input_channels=int(entry["max_input_channels"]),
            output_channels=int(entry["max_output_channels"]),
            default_rate=int(entry["default_samplerate"]),
            is_default_input=index == default_input,
            is_default_output=index == default_output,
        )
        for index, entry in enumerate(sounddevice.query_devices())
    ]


def _default_index(sounddevice: Any, kind: Kind) -> int | None:
    try:
        return int(sounddevice.query_devices(kind=kind)["index"])
    except (sounddevice.PortAudioError, ValueError):
        return None  # there is no default device


def find_device(devices: list[Device], kind: Kind, wanted: str | int | None) -> Device:
    """The device that `wanted` means.

    Args:
        devices: from `list_devices`.
        kind: which direction it must have.
        wanted: its index, also as a string of digits; its name, or a part of "name (host API)",
            in any case of letters, the whole name going before parts; None for the default.

    Raises:
        DeviceNotFound: none fits, or more than one does.
    """
    usable = [device for device in devices if device.channels(kind) > 0]
    if not usable:
        raise _no_device(kind)
    if wanted is None:
        defaults = {"input": "is_default_input", "output": "is_default_output"}
        return next((d for d in usable if getattr(d, defaults[kind])), usable[0])
    if isinstance(wanted, int) or wanted.strip().isdigit():
        return _by_index(devices, kind, int(wanted))
    return _by_name(usable, kind, wanted)


def _by_index(devices: list[Device], kind: Kind, index: int) -> Device:
    if not 0 <= index < len(devices):
        raise DeviceNotFound(
            "device-not-found", f"There is no sound device with the index {index}.", _LIST
        )
    device = devices[index]
    if device.channels(kind) == 0:
        raise DeviceNotFound(
            "device-not-found", f"Device {index} ({device.name}) is not a {NOUN[kind]}.", _LIST
        )
    return device


def _by_name(usable: list[Device], kind: Kind, wanted: str) -> Device:
    key = wanted.strip().casefold()
    matches = [d for d in usable if d.name.casefold() == key] or [
        d for d in usable if key in f"{d.name} ({d.host_api})".casefold()
    ]
    if not matches:
        raise DeviceNotFound(
            "device-not-found", f"There is no {NOUN[kind]} called '{wanted}'.", _LIST
        )
    if len(matches) > 1:
        names = ", ".join(f"{d.index} = {d.name} ({d.host_api})" for d in matches)
        raise DeviceNotFound(
            "device-ambiguous",
            f"'{wanted}' fits more than one {NOUN[kind]}: {names}.",
            "Use the index, or more of the name.",
        )
    return matches[0]


def _no_device(kind: Kind) -> DeviceNotFound:
    if _is_locked(Path("/dev/snd")):
        return DeviceNotFound(
            "audio-permission",
            "There are sound devices, but this user may not open them.",
            "sudo usermod -aG audio $USER, then log in again",
        )
    return DeviceNotFound(
        f"no-{NOUN[kind]}",
        f"There is no {NOUN[kind]} on this machine.",
        f"Plug one in, or start the sound server, then look: edge-assistant devices. "
        f"To talk without a {NOUN[kind]}: edge-assistant converse USER.wav REPLY.wav",
    )


def _is_locked(folder: Path) -> bool:
    """Whether Linux has sound cards that only the group `audio` may open."""
    if not folder.is_dir():
        return False
    cards = list(folder.glob("control*"))
    return bool(cards) and not any(os.access(card, os.R_OK | os.W_OK) for card in cards)
