"""PortAudio's streams: how they are chosen, opened and closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edge_assistant.audio.cards.devices import NOUN, Device, Kind, find_device, list_devices
from edge_assistant.audio.cards.sides import CaptureSide, PlaybackSide
from edge_assistant.audio.settings import Settings
from edge_assistant.errors import AudioError, DeviceNotFound

_DEVICE_UNAVAILABLE: Final = -9985  # paDeviceUnavailable: another program holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A device and the format that it accepts in one direction."""

    kind: Kind
    device: Device
    sample_rate: int
    channels: int


def choose_port(
    sounddevice: Any, kind: Kind, wanted: str | int | None, sample_rates: tuple[int | None, ...]
) -> Port:
    """Find the device and the first format that it takes.

    The rates are tried in their order, None being the device's own; with each of them mono, stereo
    and all channels.

    Raises:
        DeviceNotFound: see `find_device`; or the device takes none of the formats, or another
            program holds it.
    """
    device = find_device(list_devices(sounddevice), kind, wanted)
    check = getattr(sounddevice, f"check_{kind}_settings")
    most = device.channels(kind)
    refusal: Exception | None = None
    for sample_rate in dict.fromkeys(rate or device.default_rate for rate in sample_rates):
        for channels in sorted({1, min(2, most), most}):
            try:
                check(
                    device=device.index,
                    channels=channels,
                    dtype="float32",
                    samplerate=sample_rate,
                )
            except sounddevice.PortAudioError as error:
                refusal = refusal or error
            else:
                return Port(kind=kind, device=device, sample_rate=sample_rate, channels=channels)
    raise translated(refusal, kind, device) from refusal


def translated(error: Exception | None, kind: Kind, device: Device) -> DeviceNotFound:
    """PortAudio's error in our words."""
    code = error.args[1] if error is not None and len(error.args) > 1 else 0
    what = f"The {NOUN[kind]} {device.index} ({device.name})"
    if code == _DEVICE_UNAVAILABLE:
        return DeviceNotFound(
            "device-busy",
            f"{what} is held by another program.",
            "Close that program, or choose another device: edge-assistant devices",
        )
    return DeviceNotFound(
        "device-refused",
        f"{what} cannot be opened: {error.args[0] if error else 'no format fits'}.",
        "Choose another device: edge-assistant devices",
    )


class Streams:
    """One open microphone stream and one open loudspeaker stream.

    Args:
        sounddevice: the module.
        ports: what to open, capture first.
        sides: whose callbacks are called.
        settings: block length and latency.
        on_end: called on PortAudio's thread when a stream ends, for whatever reason.

    Raises:
        DeviceNotFound: a stream cannot be opened; nothing is left open.
    """

    def __init__(
        self,
        sounddevice: Any,
        ports: tuple[Port, Port],
        sides: tuple[CaptureSide, PlaybackSide],
        settings: Settings,
        on_end: Callable[[], None],
    ) -> None:
        self._sounddevice = sounddevice
        self.ended: set[Kind] = set()
        self._on_end = on_end
        self._streams: list[Any] = []
        latency = settings.latency
        for port, side in zip(reversed(ports), reversed(sides), strict=True):
            make = sounddevice.OutputStream if port.kind == "output" else sounddevice.InputStream
            try:
                stream = make(
                    device=port.device.index,
                    channels=port.channels,
                    samplerate=port.sample_rate,
                    blocksize=side.block_frames,
                    dtype="float32",
                    latency=latency if isinstance(latency, str) else latency / 1000,
                    callback=side.callback,
                    finished_callback=self._ender(port.kind),
                )
                self._streams.append(stream)
                side.opened(float(stream.latency))
                stream.start()
            except sounddevice.PortAudioError as error:
                self.close()
                raise translated(error, port.kind, port.device) from error

    def _ender(self, kind: Kind) -> Callable[[], None]:
        def end() -> None:
            self.ended.add(kind)
            self._on_end()

        return end

    def close(self) -> None:
        """Drop what is not yet played and close both. May hang; idempotent."""
        while self._streams:
            stream = self._streams.pop()
            stream.abort()  # PortAudio may hang in close if the stream was not stopped before
            stream.close()


def restart_portaudio(sounddevice: Any) -> None:
    """Make PortAudio look for devices again. Every open stream becomes invalid. May hang.

    There is no public way: sounddevice offers these two underscored functions and no other.

    Raises:
        AudioError: PortAudio does not start.
    """
    try:
        if sounddevice._initialized:
            sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise AudioError(
            "portaudio-failed",
            f"PortAudio does not start: {error.args[0]}.",
            "Restart the sound server, then start again.",
        ) from error
