"""Word accuracy of the tiny Whisper before and after each quantisation, through whisper.cpp.

`python -m tests.figures.tiny_whisper [N]` speaks N utterances (400) in voices that training never
heard, and half as many in an accent that it never heard, with the noise and the levels of training.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import islice
from pathlib import Path

from edge_assistant_quantize.whisper.convert import convert_whisper
from edge_assistant_quantize.whisper.quantise import quantise_whisper

from edge_assistant.cancel import CancelToken
from edge_assistant.engine_bench.wer import word_error_rate
from edge_assistant.stt.whispercpp import WhisperCppRecognizer
from tests.workshop.spoken_words import HELD_OUT_ACCENT, HELD_OUT_VOICES, Clip, clips
from tests.workshop.tiny_whisper import write_tiny_whisper

TYPES = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
SEED = 2
"""Training looks at its progress with seed 1."""


def right(path: Path, said: list[Clip]) -> str:
    """Share of words and of whole utterances that are right."""
    recognizer = WhisperCppRecognizer(path, num_threads=1, gpu=False)
    pairs = [
        (each.utterance.text, recognizer.transcribe(each.audio, CancelToken()).text)
        for each in said
    ]
    recognizer.close()
    whole = sum(expected == heard for expected, heard in pairs) / len(pairs)
    return f"{1.0 - word_error_rate(pairs):6.1%} ({whole:6.1%})"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    sets = {
        "held-out voices": list(islice(clips(HELD_OUT_VOICES, SEED), count)),
        "held-out accent": list(islice(clips(HELD_OUT_ACCENT, SEED), count // 2)),
    }
    for name, said in sets.items():
        words = sum(len(each.utterance.words) for each in said)
        print(f"{name}: {len(said)} utterances, {words} words")
    print("\n| type | MB | " + " | ".join(f"{name}: words (utterances)" for name in sets) + " |")
    print("| --- | ---: |" + " ---: |" * len(sets))
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "tiny-f16.bin"
        convert_whisper(write_tiny_whisper(Path(folder) / "checkpoint"), plain)
        for type_name in ("f16", *TYPES):
            path = Path(folder) / f"tiny-{type_name}.bin"
            if path != plain:
                quantise_whisper(plain, path, type_name)
            figures = " | ".join(right(path, said) for said in sets.values())
            print(f"| {type_name} | {path.stat().st_size / 1e6:.1f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
