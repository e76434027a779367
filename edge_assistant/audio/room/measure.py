"""From a recording of the sweeps to figures about the room. Pure: no card, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import rms_dbfs
from edge_assistant.audio.resample import resample
from edge_assistant.audio.room.recording import QUIET_S, TAIL_S, Emission, Recording
from edge_assistant.audio.room.sweep import DURATION_S, Response, impulse_response
from edge_assistant.errors import AudioError

HEARD_DB: Final = 20.0
"""The response stands this far out of the noise, or it is taken for noise: of 24,000 values of
noise the highest is about 13 dB above their mean."""

CLIPPED: Final = 0.99
CLIPPED_FRAMES: Final = 4
"""So many samples at the end of the scale are no chance."""

RT60_RANGE_DB: Final = 35.0
"""Reverberation is fitted from -5 to -25 dB, and the noise must be 10 dB below that (ISO 3382)."""

_EARLY_S: Final = 0.2
"""Time stamps may be wrong: a sweep is looked for from so long before it was emitted."""
_BEFORE_S: Final = (0.15, 0.05)
"""Noise is taken so long before the arrival: after the second harmonic (at 0.163 s), and before the
sweep's own ringing, which is then 75 dB down."""
_DIRECT_S: Final = 0.02
"""The reverberation begins so long after the direct sound."""
_STEP: Final = SAMPLE_RATE // 100
_LEAST_RT60_S: Final = 0.05
"""Shorter than any room: it was a wire."""
_QUIET_MARGIN_S: Final = 0.1
_FLOOR: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A sweep as it came back."""

    delay_s: float
    """From leaving the loudspeaker to being at the microphone, by the card's time stamps."""
    round_trip_s: float
    """From our giving it away to our being given it: with all buffers."""
    gain: float
    """Energy of the response: microphone over loudspeaker, 1 = as loud."""
    snr_db: float
    """Peak of the response over the noise and distortion before it."""
    rt60_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What the room is like. None: there was no echo to tell it from."""

    noise_dbfs: float
    """Level of the microphone while nothing was played."""
    noise_peak_dbfs: float
    heard: int
    """How many of the sweeps were found in the recording, 0 to `SWEEPS`."""
    echo_db: float | None
    """Gain from loudspeaker to microphone between 100 and 7000 Hz, as `converse --echo-db`."""
    least_echo_db: float | None
    """Where no sweep was heard: a weaker echo would have been lost in the noise."""
    delay_ms: float | None
    """Of the echo after the time at which the card says that its sound left. Sound takes 3 ms a
    metre; the rest is what the card does not know of. Below 0 it came before the card thinks."""
    delay_spread_ms: float | None
    """Difference between the two sweeps."""
    round_trip_ms: float | None
    """From the program to the loudspeaker, through the room and back, with all buffers."""
    rt60_s: float | None
    """Reverberation time, or None where noise hides it."""
    snr_db: float | None
    is_clipped: bool
    """The microphone reached the end of its scale."""
    breaks: int
    """How often sound was lost meanwhile."""


def measure(recording: Recording) -> Measurement:
    """Evaluate a recording.

    Raises:
        AudioError: `microphone-silent`, there was nothing but digital silence in it.
    """
    track = _Track(recording)
    if not track.raw.any():
        raise AudioError(
            "microphone-silent",
            "The microphone gave nothing but digital silence, so there is nothing to measure.",
            "Unmute it, or choose another one: edge-assistant devices",
        )
    first_s = recording.emissions[0].time_s
    quiet = track.between(first_s - QUIET_S + _QUIET_MARGIN_S, first_s - _QUIET_MARGIN_S)
    quiet = quiet - np.mean(quiet)  # some microphones have an offset, which nobody hears
    found = [_arrival(track, emission) for emission in recording.emissions]
    arrivals = [arrival for arrival, _ in found if arrival is not None]
    best = max(arrivals, key=lambda arrival: arrival.snr_db, default=None)
    delays_s = [arrival.delay_s for arrival in arrivals]
    is_pair = len(delays_s) > 1
    return Measurement(
        noise_dbfs=rms_dbfs(quiet),
        noise_peak_dbfs=_db(float(np.max(np.square(quiet), initial=0.0))),
        heard=len(arrivals),
        echo_db=None if best is None else _db(best.gain),
        least_echo_db=None if best else max(_db(noise) for _, noise in found) + HEARD_DB,
        delay_ms=None if best is None else 1000.0 * best.delay_s,
        delay_spread_ms=1000.0 * (max(delays_s) - min(delays_s)) if is_pair else None,
        round_trip_ms=None if best is None else 1000.0 * best.round_trip_s,
        rt60_s=None if best is None else best.rt60_s,
        snr_db=None if best is None else best.snr_db,
        is_clipped=int(np.sum(np.abs(track.raw) >= CLIPPED)) >= CLIPPED_FRAMES,
        breaks=recording.breaks,
    )


class _Track:
    """The microphone's blocks as one stretch of sound, addressed by time."""

    def __init__(self, recording: Recording) -> None:
        blocks = recording.blocks
        rate = recording.sample_rate
        begin, last = blocks[0].first_frame, blocks[-1]
        self.raw = np.zeros(last.first_frame + len(last.samples) - begin, dtype=np.float32)
        """At the card's rate; frames that were lost are silence."""
        for block in blocks:
            first = block.first_frame - begin
            self.raw[first : first + len(block.samples)] = block.samples
        self._sound = resample(self.raw, rate, SAMPLE_RATE)
        firsts = np.array([block.first_frame - begin for block in blocks], dtype=np.float64)
        self._firsts = firsts * SAMPLE_RATE / rate
        self._times_s = np.array([block.time_s for block in blocks])
        self._received_s = np.array([block.received_s for block in blocks])

    def frame_at(self, time_s: float) -> int:
        """The frame (16 kHz) that was at the microphone then."""
        block = max(0, int(np.searchsorted(self._times_s, time_s, "right")) - 1)
        into_s = time_s - float(self._times_s[block])
        return round(float(self._firsts[block]) + into_s * SAMPLE_RATE)

    def time_of(self, frame: float) -> tuple[float, float]:
        """When that frame was at the microphone, and when we were given its block."""
        block = max(0, int(np.searchsorted(self._firsts, frame, "right")) - 1)
        at_s = self._times_s[block] + (frame - self._firsts[block]) / SAMPLE_RATE
        return float(at_s), float(self._received_s[block])

    def between(self, from_s: float, to_s: float) -> Samples:
        return self.frames(self.frame_at(from_s), self.frame_at(to_s))

    def frames(self, begin: int, end: int) -> Samples:
        """float32 (end - begin,) at 16 kHz; silence where there is no recording."""
        whole = np.zeros(max(0, end - begin), dtype=np.float32)
        piece = self._sound[max(0, begin) : max(0, end)]
        whole[max(0, -begin) : max(0, -begin) + len(piece)] = piece
        return whole


def _arrival(track: _Track, emission: Emission) -> tuple[Arrival | None, float]:
    """The sweep in the recording, and the mean noise energy of a value of its response."""
    begin = track.frame_at(emission.time_s - _EARLY_S)
    size = round((_EARLY_S + DURATION_S + TAIL_S) * SAMPLE_RATE)
    response = impulse_response(track.frames(begin, begin + size))
    # A lag longer than this would leave the end of the sweep outside.
    energy = np.square(response[: round((_EARLY_S + TAIL_S) * SAMPLE_RATE)])
    peak = int(np.argmax(energy))
    before, until = (max(0, peak - round(each * SAMPLE_RATE)) for each in _BEFORE_S)
    noise = float(np.mean(energy[before:until])) if until > before else float(np.mean(energy))
    noise = max(noise, _FLOOR)
    snr_db = _db(float(energy[peak]) / noise)
    if snr_db < HEARD_DB or energy[peak] < _FLOOR:
        return None, noise
    decay = energy[max(0, peak - _STEP) :]
    end = _end_of_decay(decay, noise)
    delay_s, received_s = track.time_of(begin + peak)
    arrival = Arrival(
        delay_s=delay_s - emission.time_s,
        round_trip_s=received_s - emission.handed_s,
        gain=max(_FLOOR, float(np.sum(decay[:end] - noise))),
        snr_db=snr_db,
        rt60_s=_rt60_s(decay[:end], noise),
    )
    return arrival, noise


def _end_of_decay(decay: Response, noise: float) -> int:
    """Where the energy, in steps of 10 ms, first comes within 3 dB of the noise."""
    steps = decay[: len(decay) - len(decay) % _STEP].reshape(-1, _STEP).mean(axis=1)
    faded = np.flatnonzero(steps[2:] < 2.0 * noise)  # the peak lies at the edge of step 0 and 1
    return (int(faded[0]) + 2) * _STEP if len(faded) else len(decay)


def _rt60_s(decay: Response, noise: float) -> float | None:
    """Reverberation time by Schroeder's backward integration (JASA 37, 1965).

    The direct sound is left out: beside a loudspeaker it is all that the first 25 dB consist of.
    """
    late = decay[_STEP + round(_DIRECT_S * SAMPLE_RATE) :]
    if len(late) < 2 * _STEP or _db(float(np.mean(late[:_STEP])) / noise) < RT60_RANGE_DB:
        return None
    left = np.cumsum(late[::-1])[::-1]
    curve_db = 10.0 * np.log10(np.maximum(left, _FLOOR * left[0]) / left[0])
    begin, end = (int(np.argmax(curve_db < level_db)) for level_db in (-5.0, -25.0))
    if end - begin < _STEP:
        return None
    slope, _ = np.polyfit(np.arange(begin, end) / SAMPLE_RATE, curve_db[begin:end], 1)
    rt60_s = -60.0 / float(slope)
    return rt60_s if rt60_s >= _LEAST_RT60_S else None


def _db(power: float) -> float:
    return 10.0 * math.log10(max(power, _FLOOR))
