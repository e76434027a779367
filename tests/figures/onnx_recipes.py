"""What the ONNX recipes save, and what they cost: size, difference, time.

`python -m tests.figures.onnx_recipes`, on a quiet machine. The voice has Piper's medium
architecture (192 hidden channels, 22050 Hz) and random weights: its sizes and times are real, its
speech is noise. Silero and Smart Turn come from the store.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made
from edge_assistant_quantize.onnx_models.agreement import agreement, opened, piper_feeds
from edge_assistant_quantize.onnx_models.quantise import quantise_onnx
from edge_assistant_quantize.onnx_models.recipes import RECIPES
from edge_assistant_quantize.onnx_models.split import split_voice
from edge_assistant_quantize.onnx_models.to_ort import to_ort

from edge_assistant.errors import EdgeAssistantError, ModelError
from edge_assistant.store import Store
from tests.engines.piper_vits import MEDIUM
from tests.workshop.piper_voice import write_named_voice

RUNS = 5
NAMES = {"input", "input_lengths", "scales"}


def told(name: str, made: Made, seconds_taken: str = "") -> None:
    share = made.size_bytes / made.source_bytes
    types = ", ".join(f"{each.size_bytes} {each.type_name}" for each in made.types[:3])
    print(f"  {name}: {made.size_bytes} bytes ({share:.1%}); {types}; {made.took_s:.1f} s to make")
    for note in made.notes:
        print(f"      {note}")
    if seconds_taken:
        print(f"      {seconds_taken}")


def recipes(source: Path, folder: Path) -> dict[str, Path]:
    """Everything that can be made of a model; its path by recipe."""
    print(f"{source.name}: {source.stat().st_size} bytes")
    found = {"float32": source}
    for name in RECIPES:
        try:
            made = quantise_onnx(source, folder / f"{source.stem}-{name}.onnx", name)
        except WorkshopError as error:
            print(f"  {name}: refused: {error}")
            continue
        told(name, made)
        found[name] = made.path
    try:
        told("ort", to_ort(source, folder / f"{source.stem}.ort"))
    except EdgeAssistantError as error:
        print(f"  ort: refused: {error}")
    return found


def times(voices: dict[str, Path], sample_rate: int = 22_050) -> None:
    """One run of 160 phonemes, the voices taken in turns."""
    feed = piper_feeds(NAMES, 100)[-1]
    sessions = {name: opened(path.read_bytes()) for name, path in voices.items()}
    frames = {name: session.run(None, feed)[0].size for name, session in sessions.items()}
    took: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(RUNS):
        for name, session in sessions.items():
            began_s = time.perf_counter()
            session.run(None, feed)
            took[name].append(time.perf_counter() - began_s)
    for name, each in took.items():
        rtf = median(each) * sample_rate / frames[name]
        print(f"  {name}: {median(each) * 1000:.0f} ms for 160 phonemes, rtf {rtf:.3f}, one thread")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice = write_named_voice(folder / "voice", MEDIUM)
        voices = recipes(voice, folder)
        for half in split_voice(voice, folder / "voice.onnx"):
            told(half.path.name, half)
        times(voices)
        print(f"  the same file twice: {agreement(voice, voice)}")
        store = Store.default()
        for model_id in ("silero-vad", "smart-turn-v3.2"):
            try:
                recipes(store.open(model_id).path, folder)
            except ModelError as error:
                print(f"{model_id}: {error}")


if __name__ == "__main__":
    main()
