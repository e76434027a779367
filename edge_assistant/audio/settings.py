"""The knobs of the sound card."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

LatencyMs = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which devices, and how patiently we look after them."""

    input_device: str | int | None = None
    """Microphone: index or part of the name, from `edge-assistant devices`; None = the default."""

    output_device: str | int | None = None
    """Loudspeaker, named in the same way; None = the system's default."""

    block_ms: Annotated[int, msgspec.Meta(ge=5, le=100)] = 10
    """Length of the blocks that the device hands over, 5 to 100 ms."""

    latency: Literal["low", "high"] | LatencyMs = "low"
    """Buffering asked from the device: its own idea of low or high, or 1 to 1000 ms. More survives
    a busy machine, less answers sooner."""

    watchdog_ms: Annotated[int, msgspec.Meta(ge=200, le=30_000)] = 3_000
    """A stream without a callback for this long is dead, 200 to 30000 ms. An idle PulseAudio null
    sink pauses for 2 s after its first blocks."""

    reopen_min_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 500
    """Wait before the first attempt to reopen a lost device, 100 to 60000 ms."""

    reopen_max_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 3_000
    """Longest wait between two attempts, 100 to 60000 ms; a device that is back is in use within
    about this time."""

    echo_canceller: Literal["auto", "webrtc", "system", "off"] = "auto"
    """Who takes the loudspeaker's echo out of the microphone. `auto`: we do, where there is one to
    be heard and the sound system does not cancel it already. `webrtc`: WebRTC's AEC3 does, always;
    it takes more of a user who talks over a reply. `system`: the sound system does, so we do not.
    `off`: nobody does; for headphones."""

    noise_suppression: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    """Steady noise is taken out of the microphone: 0 not at all, 1 to 3 ever more. Not with the
    canceller `off`."""

    gain_control: bool = False
    """Bring a soft microphone to a usual level. Not with the canceller `off`."""
