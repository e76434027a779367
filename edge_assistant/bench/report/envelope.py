"""Waveforms as a page can carry them: an envelope to look at, and a small file to listen to."""

from __future__ import annotations

import io
import math
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples

LONGEST_AUDIO_S: Final = 45.0
"""Longer conversations are heard from their worst part on; a page must stay easy to send."""


def envelope(samples: Samples, step_s: float) -> bytes:
    """255 * sqrt(peak) of each step; the root lets quiet speech be seen next to loud speech.

    `samples` is float32, (frames,), 16000 Hz. The last step may be shorter.
    """
    size = max(1, round(step_s * SAMPLE_RATE))
    if not len(samples):
        return b""
    padded = np.zeros(math.ceil(len(samples) / size) * size, dtype=np.float32)
    padded[: len(samples)] = np.abs(np.nan_to_num(samples))
    peaks = np.minimum(padded.reshape(-1, size).max(axis=1), 1.0)
    return bytes(np.round(255 * np.sqrt(peaks)).astype(np.uint8))


def flac(user: Samples, reply: Samples, begin_s: float = 0.0) -> bytes:
    """A FLAC file of the two channels from `begin_s` on: left the user, right the reply.

    Every browser of today plays FLAC, and a silent channel costs nearly nothing in it.
    """
    import soundfile

    first = max(0, round(begin_s * SAMPLE_RATE))
    last = min(max(len(user), len(reply)), first + round(LONGEST_AUDIO_S * SAMPLE_RATE))
    stereo = np.zeros((max(0, last - first), 2), dtype=np.float32)
    for channel, samples in enumerate((user, reply)):
        part = np.nan_to_num(samples[first:last])
        stereo[: len(part), channel] = np.clip(part, -1.0, 1.0)
    file = io.BytesIO()
    soundfile.write(file, stereo, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
