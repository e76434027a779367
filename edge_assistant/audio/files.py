"""Sound files in and out (libsndfile through soundfile: WAV, FLAC, OGG, MP3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize, to_mono
from edge_assistant.audio.resample import resample
from edge_assistant.errors import AudioFormatError


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
        samples, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFormatError(
            "sound-file-unreadable",
            f"{path} cannot be read as sound: {error}",
            "convert it with: ffmpeg -i FILE -ar 16000 -ac 1 out.wav",
        ) from error
    return resample(sanitize(to_mono(samples)), file_rate, sample_rate)


def write_wav(path: Path, samples: Samples, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono PCM16 WAV.

    Raises:
        AudioFormatError: the file cannot be written.
    """
    import soundfile

    try:
        clipped = np.clip(np.nan_to_num(samples), -1.0, 1.0)
        soundfile.write(path, clipped, sample_rate, subtype="PCM_16", format="WAV")
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioFormatError(
            "sound-file-unwritable",
            f"{path} cannot be written: {error}",
            "choose another folder, or free some space",
        ) from error
