"""What the ONNX recipes save, and what they cost: size, difference, time.

`python -m tests.figures.onnx_recipes [VOICE.onnx]`, on a quiet machine. Without one it makes a
voice of Piper's medium architecture (192 hidden channels, 22050 Hz) and random weights: its sizes
and times are real, its speech is noise. Silero and Smart Turn come from the store; Silero also
hears the folder of recordings, where there is one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.made import Made
from edge_assistant_quantize.onnx_models.agreement import agreement, opened, piper_feeds
from edge_assistant_quantize.onnx_models.quantise import quantise_onnx
from edge_assistant_quantize.onnx_models.recipes import RECIPES
from edge_assistant_quantize.onnx_models.split import split_voice
from edge_assistant_quantize.onnx_models.to_ort import to_ort

from edge_assistant.errors import EdgeAssistantError, ModelError
from edge_assistant.store import Store
from edge_assistant.vad.silero import SileroVad
from tests.engines.piper_vits import MEDIUM
from tests.figures.recordings import recordings, speech_folder
from tests.pipe.client import Sound
from tests.workshop.piper_voice import write_named_voice

RUNS = 5
THRESHOLD = 0.5
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


def heard(models: dict[str, Path]) -> None:
    """Silero by every recipe on all recordings of commands, against the original."""
    if speech_folder() is None:
        return
    sounds = [each.sound() for each in recordings("commands/")]
    probs = {name: _probs(path, sounds) for name, path in models.items()}
    own = probs["float32"]
    for name, each in probs.items():
        other_side = float(np.mean((each >= THRESHOLD) != (own >= THRESHOLD)))
        apart = np.abs(each - own)
        print(
            f"  {name}: {len(sounds)} recordings, {len(own)} windows: {other_side:.2%} on the "
            f"other side of {THRESHOLD}; max {apart.max():.3f}, mean {apart.mean():.4f}"
        )


def _probs(path: Path, sounds: list[Sound]) -> Sound:
    vad = SileroVad(path)
    found = []
    for sound in sounds:
        vad.reset()
        size = vad.window_frames
        starts = range(0, len(sound) - size + 1, size)
        found += [vad.speech_prob(sound[at : at + size]) for at in starts]
    return np.array(found, dtype=np.float32)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = len(sys.argv) < 2
        voice = write_named_voice(folder / "voice", MEDIUM) if made else Path(sys.argv[1])
        voices = recipes(voice, folder)
        for half in split_voice(voice, folder / "voice.onnx"):
            told(half.path.name, half)
        times(voices)
        print(f"  the same file twice: {agreement(voice, voice)}")
        store = Store.default()
        for model_id in ("silero-vad", "smart-turn-v3.2"):
            try:
                found = recipes(store.open(model_id).path, folder)
                if model_id == "silero-vad":
                    heard(found)
            except ModelError as error:
                print(f"{model_id}: {error}")


if __name__ == "__main__":
    main()
