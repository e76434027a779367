"""Which way to converse a room allows. One pure function; every threshold says where it is from.

The figures are of our own cancellers in a made room (reverberation 0.25 s), with a reply at
-23 dBFS from a loudspeaker without distortion. Real ones distort, so some of the margin is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from edge_assistant.audio.echo.reference import KEPT_MS, MAX_SLIP_MS
from edge_assistant.audio.room.measure import Measurement

Mode = Literal["full", "guarded", "half"]
Canceller = Literal["auto", "webrtc"]

NO_ECHO_DB: Final = -50.0
"""A weaker echo is not taken for speech: at -50 dB webrtcvad passed 0 to 1 % of it, at -40 dB 7 to
66 %, and Silero 0 to 18 % and 65 to 80 %."""

LOUD_ECHO_DB: Final = -10.0
"""A loudspeaker beside the microphone. Up to here a soft user (-35 dBFS) who talks over a reply
keeps nearly all of his voice; at 0 dB he loses 6 dB of it."""

MAX_ECHO_DB: Final = 3.0
"""From here on he loses 8 dB, most of his waveform is gone, and a loud word of the reply reaches
the end of the microphone's scale."""

NOISY_DBFS: Final = -45.0
"""A soft user (-35 dBFS) is then less than 10 dB above the noise."""

AUTO_DELAY_MS: Final = (0.0, 350.0)
"""Where `auto` has its echo: its model is 400 ms long, of which the reverberation wants some, and
begins with what the card says is played now; at -2 ms it attenuated by 16 dB, at -10 ms by 3."""

WEBRTC_DELAY_MS: Final = (-10.0, 450.0)
"""The same of AEC3, which finds the delay by itself: at -10 ms it attenuated by 15 dB, at -20 ms by
5, at 500 ms by 64, at 600 ms by 2."""

MAX_SPREAD_MS: Final = 30.0
"""A jump that the cancellers are known to follow; they lose some seconds of echo to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How to converse here."""

    mode: Mode
    """`full`: be interrupted as set; `guarded`: by longer speech only; `half`: by a stop phrase
    only."""
    canceller: Canceller
    """`auto` wherever it can: it also notices by itself whether there is an echo."""
    reasons: tuple[str, ...]
    """In plain words, the gravest first; at least one."""


def choose(room: Measurement) -> Choice:
    """The freest mode that the room allows."""
    canceller: Canceller = "auto"
    if _has_echo(room) and _is_within(room, WEBRTC_DELAY_MS):
        canceller = "auto" if _is_within(room, AUTO_DELAY_MS) else "webrtc"
    half, guarded = tuple(_against_interruptions(room)), tuple(_for_caution(room, canceller))
    if half:
        return Choice(mode="half", canceller=canceller, reasons=half)
    if guarded:
        return Choice(mode="guarded", canceller=canceller, reasons=guarded)
    reason = "there is no echo that could be taken for speech"
    if _has_echo(room):
        reason = "the echo is one that the canceller takes out"
    return Choice(mode="full", canceller=canceller, reasons=(reason,))


def _has_echo(room: Measurement) -> bool:
    """Whether there is one that matters."""
    return room.echo_db is not None and room.echo_db >= NO_ECHO_DB


def _is_within(room: Measurement, limits_ms: tuple[float, float]) -> bool:
    least_ms, most_ms = limits_ms
    return room.delay_ms is not None and least_ms <= room.delay_ms <= most_ms


def _against_interruptions(room: Measurement) -> Iterator[str]:
    if room.is_clipped:
        yield "the loudspeaker drives the microphone to the end of its scale: turn one of them down"
    if room.echo_db is None or room.delay_ms is None or not _has_echo(room):
        return
    if room.echo_db > MAX_ECHO_DB:
        yield "the microphone hears the loudspeaker so loudly that nobody is heard over it"
    earliest_ms, latest_ms = WEBRTC_DELAY_MS
    if room.delay_ms < earliest_ms:
        yield "the echo comes before the sound card says that it was played"
    if room.delay_ms > latest_ms or (room.round_trip_ms or 0.0) >= KEPT_MS:
        yield "the echo comes later than a canceller looks for it"
    if (room.delay_spread_ms or 0.0) > MAX_SPREAD_MS:
        yield "the delay of the echo is not steady"


def _for_caution(room: Measurement, canceller: Canceller) -> Iterator[str]:
    if room.least_echo_db is not None and room.least_echo_db >= NO_ECHO_DB:
        yield "the room is so noisy that an echo may hide in it"
    if room.noise_dbfs > NOISY_DBFS:
        yield "the room is noisy"
    if room.breaks:
        yield "sound was lost while it was measured: measure again on a less busy machine"
    if room.heard == 1:
        yield "only one of the sweeps was heard: measure again in quiet"
    if room.echo_db is None or not _has_echo(room):
        return
    if room.echo_db > LOUD_ECHO_DB:
        yield "the echo is loud, and the canceller takes some of the user with it"
    if canceller == "webrtc":
        yield "only the harsher canceller finds the echo at such a delay"
    if (room.delay_spread_ms or 0.0) > MAX_SLIP_MS:
        yield "the delay of the echo trembles"
