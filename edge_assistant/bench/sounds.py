"""Sounds for which there are no recordings under a clean licence, made from a seed.

They are caricatures: bursts of filtered noise with the bands, lengths and decays of the real thing.
They tell a detector that fires at any onset from one that does not; they say nothing about how a
cough of a real person fares, and are reported as synthetic.

Everything is float32, (frames,), 16000 Hz, and a pure function of its arguments. Levels are those
of the loudest 10 ms (`PEAK_DBFS`), since a knock has no active level worth the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples, frames_of_ms
from edge_assistant.audio.level import gain_of_db, rms_dbfs
from edge_assistant.bench.truth import active_dbfs, levels_dbfs

PEAK_DBFS: Final = -20.0
"""Loudest 10 ms of a burst: 6 dB above the active level of the speech."""

FADE_MS: Final = 5

ROOM_TONE_DBFS: Final = -72.0
"""A quiet room into a decent microphone; never digital silence, which no microphone delivers."""

SPEED_OF_SOUND: Final = 343.0
"""Metres a second at 20 degrees Celsius."""


def filtered_noise(frames: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Samples:
    """Gaussian noise between two frequencies, its edges half an octave wide, of unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    hz = np.maximum(np.fft.rfftfreq(frames, 1.0 / SAMPLE_RATE), 1e-3)
    octaves_out = np.maximum(np.log2(low_hz / hz), np.log2(hz / high_hz))
    shaped = np.fft.irfft(spectrum * np.clip(1.0 - 2.0 * octaves_out, 0.0, 1.0), frames)
    power = float(np.mean(np.square(shaped)))
    return np.asarray(shaped / np.sqrt(power if power > 0.0 else 1.0), dtype=np.float32)


def room_tone(frames: int, seed: int, level_dbfs: float = ROOM_TONE_DBFS) -> Samples:
    """Low-pitched noise of an empty room; its two ends meet, so it may be repeated."""
    rng = np.random.default_rng(seed)
    return filtered_noise(frames, 40.0, 1200.0, rng) * np.float32(gain_of_db(level_dbfs))


def steady_noise(frames: int, seed: int, level_dbfs: float) -> Samples:
    """A fan: noise from 60 to 5000 Hz; its two ends meet, so it may be repeated."""
    rng = np.random.default_rng(seed)
    return filtered_noise(frames, 60.0, 5000.0, rng) * np.float32(gain_of_db(level_dbfs))


def cough(seed: int) -> Samples:
    """Two or three coughs, 0.3 to 0.45 s apart.

    Each is an explosive burst (50 ms, up to 6 kHz), a breathy middle (150 ms) and a hoarse voiced
    end, the three phases that descriptions of the sound of coughing agree on.
    """
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(1.7 * SAMPLE_RATE), dtype=np.float32)
    at_s = 0.02
    for _ in range(int(rng.integers(2, 4))):
        strength = rng.uniform(0.7, 1.0)
        _add(sound, at_s, strength * _burst(rng, 0.05, 300.0, 6000.0, 0.03))
        _add(sound, at_s + 0.03, 0.5 * strength * _burst(rng, 0.18, 400.0, 3500.0, 0.08))
        _add(sound, at_s + 0.12, 0.35 * strength * _burst(rng, 0.12, 200.0, 900.0, 0.05))
        at_s += rng.uniform(0.3, 0.45)
    return _levelled(sound)


def knock(seed: int) -> Samples:
    """Three knocks on wood: a thud below 400 Hz with a click of the knuckles on top."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(1.1 * SAMPLE_RATE), dtype=np.float32)
    gap_s = rng.uniform(0.18, 0.3)
    for number in range(3):
        strength = rng.uniform(0.8, 1.0)
        _add(sound, 0.02 + number * gap_s, strength * _burst(rng, 0.12, 80.0, 400.0, 0.025))
        _add(
            sound, 0.02 + number * gap_s, 0.4 * strength * _burst(rng, 0.02, 1000.0, 4000.0, 0.004)
        )
    return _levelled(sound)


def keyboard(seed: int, seconds: float = 2.0) -> Samples:
    """Typing, about seven keys a second, each a press and a softer release."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    at_s = 0.02
    while at_s < seconds - 0.15:
        strength = rng.uniform(0.5, 1.0)
        _add(sound, at_s, strength * _burst(rng, 0.015, 1500.0, 6500.0, 0.004))
        _add(sound, at_s + 0.07, 0.4 * strength * _burst(rng, 0.012, 1500.0, 6500.0, 0.003))
        at_s += rng.uniform(0.09, 0.2)
    return _levelled(sound)


def tap(seed: int) -> Samples:
    """One or two taps on the microphone's case: a dull blow of 40 ms."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(0.5 * SAMPLE_RATE), dtype=np.float32)
    for number in range(int(rng.integers(1, 3))):
        _add(sound, 0.02 + 0.2 * number, _burst(rng, 0.04, 60.0, 2500.0, 0.008))
    return _levelled(sound)


def babble(voices: Sequence[Samples], seed: int, frames: int, level_dbfs: float) -> Samples:
    """Several people at once: every voice from a place of its own, repeated, at one active level.

    Raises:
        ValueError: fewer than two voices.
    """
    if len(voices) < 2:
        raise ValueError("babble needs at least two voices")
    rng = np.random.default_rng(seed)
    mixed = np.zeros(frames, dtype=np.float64)
    for voice in voices:
        start = int(rng.integers(0, len(voice)))
        gain = gain_of_db(-26.0 - active_dbfs(voice))
        mixed += gain * np.take(voice, np.arange(start, start + frames), mode="wrap")
    mixed *= gain_of_db(level_dbfs - rms_dbfs(np.asarray(mixed, dtype=np.float32)))
    return np.asarray(np.clip(mixed, -1.0, 1.0), dtype=np.float32)


def room_impulse(seed: int, rt60_s: float, distance_m: float, direct_db: float = 0.0) -> Samples:
    """Simulated way from a loudspeaker to a microphone in a room, of unit energy.

    The direct sound after its travel time, then noise that decays by 60 dB in `rt60_s`: the
    statistical model of late reverberation (J. D. Polack, 1988) without single reflections.

    Args:
        seed: of the noise.
        rt60_s: reverberation time.
        distance_m: from loudspeaker to microphone.
        direct_db: energy of the direct sound against that of the reverberation.
    """
    rng = np.random.default_rng(seed)
    delay = round(distance_m / SPEED_OF_SOUND * SAMPLE_RATE)
    frames = round(rt60_s * SAMPLE_RATE)
    seconds = np.arange(frames) / SAMPLE_RATE
    tail = rng.standard_normal(frames) * np.exp(-3.0 * np.log(10.0) * seconds / rt60_s)
    tail *= gain_of_db(-direct_db) / np.sqrt(np.sum(np.square(tail)))
    impulse = np.zeros(delay + 1 + frames)
    impulse[delay] = 1.0
    impulse[delay + 1 :] += tail
    return np.asarray(impulse / np.sqrt(np.sum(np.square(impulse))), dtype=np.float32)


def unit_energy(impulse: Samples) -> Samples:
    """A recorded impulse response, brought to unit energy.

    Raises:
        ValueError: it is silent.
    """
    energy = float(np.sum(np.square(impulse, dtype=np.float64)))
    if energy <= 0.0:
        raise ValueError("an impulse response of silence")
    return np.asarray(impulse / np.sqrt(energy), dtype=np.float32)


def in_room(sound: Samples, impulse: Samples) -> Samples:
    """`sound` as it is heard through `impulse`, with its reverberation, at its own level."""
    frames = len(sound) + len(impulse) - 1
    size = 1 << (frames - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(impulse, size), size)[:frames]
    return at_level(np.asarray(heard, dtype=np.float32), rms_dbfs(sound))


def at_level(sound: Samples, level_dbfs: float) -> Samples:
    """`sound` at another mean level; turned down further where its peaks would clip."""
    gain = gain_of_db(level_dbfs - rms_dbfs(sound))
    peak = float(np.abs(sound).max(initial=0.0))
    return sound * np.float32(min(gain, 0.99 / peak) if peak > 0.0 else 1.0)


def faded(
    sound: Samples, fade_ms: int = FADE_MS, *, begin: bool = True, end: bool = True
) -> Samples:
    """A copy whose first and last `fade_ms` rise from and fall to silence, so that it sets in
    without a click."""
    fade = frames_of_ms(fade_ms)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    copy = sound.astype(np.float32)
    if begin:
        copy[:fade] *= ramp
    if end:
        copy[-fade:] *= ramp[::-1]
    return copy


def band_limited(sound: Samples, low_hz: float, high_hz: float) -> Samples:
    """`sound` as a small loudspeaker plays it: nothing outside the band."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1.0 / SAMPLE_RATE)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0.0
    return np.asarray(np.fft.irfft(spectrum, len(sound)), dtype=np.float32)


def _burst(
    rng: np.random.Generator, length_s: float, low_hz: float, high_hz: float, decay_s: float
) -> Samples:
    """Filtered noise that sets in within 1 ms and falls by e every `decay_s`."""
    frames = round(length_s * SAMPLE_RATE)
    seconds = np.arange(frames) / SAMPLE_RATE
    envelope = np.minimum(seconds / 0.001, 1.0) * np.exp(-seconds / decay_s)
    padded = filtered_noise(max(frames, 512), low_hz, high_hz, rng)[:frames]
    return np.asarray(padded * envelope, dtype=np.float32)


def _add(sound: Samples, at_s: float, burst: Samples) -> None:
    first = round(at_s * SAMPLE_RATE)
    room = sound[first : first + len(burst)]
    room += burst[: len(room)]


def _levelled(sound: Samples) -> Samples:
    """Whole 10 ms frames, the loudest at `PEAK_DBFS`."""
    whole = sound[: len(sound) // BLOCK_FRAMES * BLOCK_FRAMES]
    gain = gain_of_db(PEAK_DBFS - float(levels_dbfs(whole).max()))
    return np.asarray(np.clip(whole * np.float32(gain), -1.0, 1.0), dtype=np.float32)
