"""Sound files in and out (libsndfile through soundfile: WAV, FLAC, OGG, MP3)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize, to_mono
from edge_assistant.audio.resample import Resampler
from edge_assistant.errors import AudioFormatError

PIECE_FRAMES: Final = 1 << 20
"""Frames that are read, mixed down and resampled at a time."""


def read_sound(path: Path, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Read a file as mono float32, (frames,), at `sample_rate`; channels are averaged.

    Raises:
        AudioFormatError: there is no such file, or it is not sound that libsndfile knows.
    """
    import soundfile

    if not path.is_file():
        raise AudioFormatError(
            "sound-file-missing", f"{path} is not a file", "check the path with: ls"
        )
    try:
        with soundfile.SoundFile(path) as file:
            resampler = Resampler(file.samplerate, sample_rate)
            # In pieces: hours of many channels at a high rate would not fit beside the result.
            pieces = [
                resampler.process(sanitize(to_mono(block)))
                for block in file.blocks(PIECE_FRAMES, dtype="float32", always_2d=True)
            ]
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFormatError(
            "sound-file-unreadable",
            f"{path} cannot be read as sound: {error}",
            "convert it with: ffmpeg -i FILE -ar 16000 -ac 1 out.wav",
        ) from error
    pieces.append(resampler.process(np.zeros(0, dtype=np.float32), last=True))
    return np.concatenate(pieces)


def write_wav(path: Path, samples: Samples, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono PCM16 WAV.

    Raises:
        AudioFormatError: the file cannot be written.
    """
    import soundfile

    clipped = np.clip(np.nan_to_num(samples), -1.0, 1.0)
    try:
        with path.open("wb") as file:  # ours, so that the reason of a failure is the system's own
            soundfile.write(file, clipped, sample_rate, subtype="PCM_16", format="WAV")
    except (soundfile.SoundFileError, OSError) as error:
        path.unlink(missing_ok=True)
        raise AudioFormatError(
            "sound-file-unwritable",
            f"{path} cannot be written: {error}",
            "choose another folder, or free some space",
        ) from error
