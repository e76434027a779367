"""How the last syllables before a pause were said: melody, loudness, length.

What ends a turn is mostly said lower, softer and longer than what is to go on (Gravano and
Hirschberg 2011, Computer Speech and Language 25:601). Everything is relative to the same speaker in
the same turn, so that neither voice nor microphone matters.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples

Values = NDArray[np.float64]

HOP_FRAMES: Final = SAMPLE_RATE // 100
WINDOW_FRAMES: Final = SAMPLE_RATE // 25
"""40 ms: two periods of the deepest voice."""

LOWEST_HZ: Final = 60.0
HIGHEST_HZ: Final = 400.0

VOICED: Final = 0.5
"""Height of the autocorrelation's peak from which a window counts as voiced."""

SPEECH_DB: Final = 30.0
"""Windows more than this below the loudest are silence."""

LAST: Final = 25
"""Windows in which the end is looked at: 250 ms, about a syllable."""

FINAL: Final = 6
"""Windows whose mean is the final pitch and loudness."""

SPAN_S: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """The end of a stretch of speech against the rest of the turn."""

    pitch: float
    """Final pitch minus the turn's median, semitones; 0 where nothing is voiced."""
    pitch_slope: float
    """Over the last 250 ms, semitones a second."""
    pitch_range: float
    """Where the final pitch lies between the turn's 10th (0) and 90th percentile (1)."""
    loudness: float
    """Final level minus the turn's median, dB."""
    loudness_slope: float
    """Over the last 250 ms, dB a second."""
    last_syllable_s: float
    """Length of the last stretch above the level that parts syllables."""
    lengthening: float
    """That, by the turn's median stretch; 1 where it is the only one."""
    speech_s: float
    """Speech in the turn."""

    def values(self) -> Values:
        """As an array, in the order of the fields."""
        return np.array(astuple(self), dtype=np.float64)


def prosody(audio: Samples) -> Prosody:
    """Judge the end of the speech in `audio`: float32 (frames,), 16 kHz, the turn and its pause.

    Pure; about 10 ms of one core for 8 s. Silence gives zeros.
    """
    recent = audio[-round(SPAN_S * SAMPLE_RATE) :].astype(np.float64)
    if len(recent) < WINDOW_FRAMES:
        return _nothing()
    windows = sliding_window_view(recent, WINDOW_FRAMES)[::HOP_FRAMES]
    level_db = 10.0 * np.log10(np.mean(np.square(windows), axis=1) + 1e-10)
    spoken = np.flatnonzero(level_db > level_db.max() - SPEECH_DB)
    if not len(spoken) or level_db.max() < -60.0:
        return _nothing()
    end = int(spoken[-1]) + 1
    speech_db = level_db[spoken]
    semitones = _semitones(windows, level_db)
    voiced = np.flatnonzero(~np.isnan(semitones[:end]))
    pitch, pitch_slope, pitch_range = _ending(semitones, voiced, end)
    lengths_s = _syllables_s(level_db[:end], float(np.median(speech_db)))
    return Prosody(
        pitch=pitch,
        pitch_slope=pitch_slope,
        pitch_range=pitch_range,
        loudness=float(level_db[max(0, end - FINAL) : end].mean() - np.median(speech_db)),
        loudness_slope=_slope(np.arange(end)[-LAST:], level_db[:end][-LAST:]),
        last_syllable_s=float(lengths_s[-1]) if len(lengths_s) else 0.0,
        lengthening=float(lengths_s[-1] / np.median(lengths_s)) if len(lengths_s) else 1.0,
        speech_s=len(spoken) * HOP_FRAMES / SAMPLE_RATE,
    )


def _nothing() -> Prosody:
    return Prosody(
        pitch=0.0,
        pitch_slope=0.0,
        pitch_range=0.5,
        loudness=0.0,
        loudness_slope=0.0,
        last_syllable_s=0.0,
        lengthening=1.0,
        speech_s=0.0,
    )


def _semitones(windows: Values, level_db: Values) -> Values:
    """Pitch of each window in semitones above 1 Hz, NaN where it has none (autocorrelation)."""
    shortest, longest = round(SAMPLE_RATE / HIGHEST_HZ), round(SAMPLE_RATE / LOWEST_HZ)
    centred = (windows - windows.mean(axis=1, keepdims=True)) * np.hanning(WINDOW_FRAMES)
    spectrum = np.fft.rfft(centred, 2 * WINDOW_FRAMES, axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, : longest + 1]
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(WINDOW_FRAMES), 2 * WINDOW_FRAMES)) ** 2)
    scale = correlation[:, :1] * (taper[: longest + 1] / taper[0]) + 1e-12
    relative = correlation / scale
    lags = shortest + np.argmax(relative[:, shortest:], axis=1)
    height = relative[np.arange(len(lags)), lags]
    is_voiced = (height > VOICED) & (level_db > level_db.max() - SPEECH_DB)
    pitch = 12.0 * np.log2(SAMPLE_RATE / lags)
    return np.where(is_voiced, pitch, np.nan)


def _ending(semitones: Values, voiced: NDArray[np.intp], end: int) -> tuple[float, float, float]:
    """(final pitch against the median, slope, place in the range)."""
    last = voiced[voiced >= end - LAST]
    if len(last) < 3:
        return 0.0, 0.0, 0.5
    known = semitones[voiced]
    final = float(np.median(semitones[last][-FINAL:]))
    low, middle, high = np.percentile(known, [10, 50, 90])
    place = (final - low) / max(1.0, high - low)
    return final - float(middle), _slope(last, semitones[last]), float(np.clip(place, -1.0, 2.0))


def _slope(at: NDArray[np.intp], values: Values) -> float:
    """Change a second, by least squares."""
    if len(at) < 3:
        return 0.0
    return float(np.polyfit(at * HOP_FRAMES / SAMPLE_RATE, values, 1)[0])


def _syllables_s(level_db: Values, median_db: float) -> Values:
    """Lengths of the stretches above 6 dB below the median level."""
    is_loud = np.concatenate([[False], level_db > median_db - 6.0, [False]])
    edges = np.flatnonzero(np.diff(is_loud.astype(np.int8)))
    lengths = (edges[1::2] - edges[::2]) * HOP_FRAMES / SAMPLE_RATE
    return np.asarray(lengths[lengths >= 0.03], dtype=np.float64)
