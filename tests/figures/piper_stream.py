"""What it brings to speak a Piper sentence in slices, and how far it is from one-shot synthesis.

`python -m tests.figures.piper_stream`, on a quiet machine. The voice has the medium architecture
(192 hidden channels, 22050 Hz) and random weights, so its times are real and its speech is noise.
One thread; the time to turn text into phonemes is not in it, since both ways need it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edge_assistant.cancel import CancelToken
from edge_assistant.tts.piper_speech import MARGIN, Feed, Sliced, Speech, Whole
from tests.engines.piper_file import SAMPLE_RATE
from tests.engines.piper_vits import MEDIUM, write_vits_voice

SECONDS = (1, 3, 6, 12)
MARGINS = (0, 4, 8, 16, 32)
RUNS = 9
HOP = 256
SLICE = 64
"""Columns between the seams of the sweep."""


def feed_of(seconds: float) -> Feed:
    """Phonemes that last about so long."""
    count = round(seconds * SAMPLE_RATE / HOP / MEDIUM.columns_per_id)
    return {
        "input": np.random.default_rng(2).integers(0, 256, (1, count)),
        "input_lengths": np.array([count]),
        "scales": np.array([0.667, 1.0, 0.8], dtype=np.float32),
        "sid": np.array([0]),
    }


def speak(speech: Speech, feed: Feed) -> tuple[float, float]:
    """Seconds to the first piece, and to the last."""
    began_s = time.perf_counter()
    first_s = 0.0
    for _ in speech.pieces([feed], CancelToken()):
        first_s = first_s or time.perf_counter() - began_s
    return first_s, time.perf_counter() - began_s


def times(whole: Whole, sliced: Sliced) -> None:
    print(f"first audio, medians of {RUNS} runs each, taken in turns:")
    for seconds in SECONDS:
        feed = feed_of(seconds)
        took = [(speak(whole, feed), speak(sliced, feed)) for _ in range(RUNS)]
        one_first, one_all, cut_first, cut_all = (
            median(pair[way][which] for pair in took) for way in (0, 1) for which in (0, 1)
        )
        print(
            f"  {seconds:2} s: one-shot {one_first * 1000:4.0f} ms (rtf {one_all / seconds:.3f}), "
            f"in slices {cut_first * 1000:3.0f} ms (rtf {cut_all / seconds:.3f})"
        )


def difference(sliced: Sliced, latent: NDArray[np.float32], margin: int) -> str:
    """Audio in slices against audio in one piece, for the same latent."""
    feed, token, columns = feed_of(1), CancelToken(), latent.shape[2]
    whole = sliced.audio(feed, latent, 0, columns, token)
    parts = [
        sliced.audio(feed, latent, at, min(at + SLICE, columns), token, margin)
        for at in range(0, columns, SLICE)
    ]
    apart = np.abs(np.concatenate(parts) - whole)
    worst = float(apart.max())
    level = f"{20 * np.log10(worst / np.abs(whole).max()):.0f} dB" if worst else "identical"
    return f"max {worst:.2e}, mean {apart.mean():.2e} ({level} of the peak)"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model, _ = write_vits_voice(Path(folder), MEDIUM)
        began_s = time.perf_counter()
        whole = Whole(model, hint="", num_threads=1)
        opened_s = time.perf_counter()
        sliced = Sliced(model, 1)
        cut_s = time.perf_counter()
        sliced.try_out([feed_of(2)], SAMPLE_RATE)
        print(
            f"to load: whole {opened_s - began_s:.2f} s; in halves {cut_s - opened_s:.2f} s, "
            f"and {time.perf_counter() - cut_s:.2f} s for the trial of 2 s"
        )
        print(f"rtf of the vocoder alone, by the trial: {sliced.rtf:.3f}")
        times(whole, sliced)
        latent = sliced.latent(feed_of(6), CancelToken())
        print(f"difference to one-shot, a seam every {SLICE} columns, the same latent of 6 s:")
        for margin in MARGINS:
            mark = " <- used" if margin == MARGIN else ""
            print(f"  margin {margin:2}: {difference(sliced, latent, margin)}{mark}")


if __name__ == "__main__":
    main()
