"""How well the recogniser of the starter pack hears: word error rate and slots, and what it costs.

`python -m tests.figures.words`. Recordings of different kinds are told apart, never pooled.
"""

from __future__ import annotations

import time

from edge_assistant.cancel import CancelToken
from edge_assistant.config import load_profile
from edge_assistant.engine_bench.wer import holds_phrase, word_error_rate, words
from edge_assistant.pipeline.engines import build_recognizer
from edge_assistant.store import Store
from edge_assistant.stt.protocol import Recognizer
from tests.figures.recordings import Recording, recordings


def hear(recognizer: Recognizer, chosen: list[Recording]) -> tuple[list[str], float]:
    """The transcripts, and compute time over audio time."""
    sounds = [recording.sound() for recording in chosen]
    began_s = time.monotonic()
    texts = [recognizer.transcribe(sound, CancelToken()).text for sound in sounds]
    return texts, (time.monotonic() - began_s) / sum(recording.seconds for recording in chosen)


def main() -> None:
    recognizer = build_recognizer(load_profile("starter"), Store.default())
    everything = recordings("commands/") + recordings("read/")
    kinds = sorted({recording.facts["kind"] for recording in everything if recording.text})
    for kind in kinds:
        chosen = [r for r in everything if r.facts["kind"] == kind and r.text]
        texts, rtf = hear(recognizer, chosen)
        pairs = [(recording.text, text) for recording, text in zip(chosen, texts, strict=True)]
        count = sum(len(words(recording.text)) for recording in chosen)
        rate = word_error_rate(pairs)
        print(f"{kind}: WER {rate:.3f} (n = {len(chosen)}, {count} words), rtf {rtf:.4f}")
    orders = [r for r in everything if r.facts.get("slots")]
    texts, _ = hear(recognizer, orders)
    found = total = found_words = total_words = 0
    for recording, text in zip(orders, texts, strict=True):
        heard = words(text)
        for value in recording.facts["slots"].values():
            total += 1
            found += holds_phrase(value, text)
            total_words += len(words(value))
            found_words += sum(word in heard for word in words(value))
    print(
        f"slots: {found} of {total} whole, {found_words} of {total_words} words, n = {len(orders)}"
    )


if __name__ == "__main__":
    main()
