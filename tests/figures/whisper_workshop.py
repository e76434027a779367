"""What converting and quantising a Whisper does to sizes, weights and scores; what is caught.

`python -m tests.figures.whisper_workshop [tiny|base|wrong|kills ...]`, on a quiet machine. The
models have the shapes of OpenAI's and random weights: sizes and times are real, what they hear is
not. numpy runs the checkpoint, whisper.cpp the file, on the same sound and the same tokens.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edge_assistant_quantize.made import Made
from edge_assistant_quantize.whisper.convert import convert_whisper
from edge_assistant_quantize.whisper.quantise import TARGETS, quantise_whisper
from edge_assistant_quantize.whisper.verify import verify_whisper, weight_error

from tests.workshop.hf_whisper import MULTILINGUAL, random_weights, whisper_config, write_folder
from tests.workshop.test_whisper_verify import WRONG, sound

STEPS = 4
SHAPES = {"tiny": (384, 4, 6), "base": (512, 6, 8)}
"""Width, layers, heads."""
KILLS = 20
_CHILD = (
    "import sys; from pathlib import Path\n"
    "from edge_assistant_quantize.whisper.quantise import quantise_whisper\n"
    "print('begins', flush=True)\n"
    "quantise_whisper(Path(sys.argv[1]), Path(sys.argv[2]), 'q8_0')\n"
)


def checkpoint(folder: Path, shape: str) -> Path:
    width, layers, heads = SHAPES[shape]
    config = whisper_config(width=width, layers=layers, heads=heads, n_vocab=MULTILINGUAL)
    return write_folder(folder / "checkpoint", config, random_weights(config), dtype="BF16")


def row(name: str, made: Made, folder: Path) -> None:
    types = ", ".join(f"{each.tensors} {each.type_name}" for each in made.types)
    print(f"| {name} | {made.size_bytes / 1e6:.1f} | {types} | {made.took_s:.1f} ", end="")
    found = verify_whisper(folder, made.path, sound(), steps=STEPS)
    error = weight_error(folder, made.path)
    print(f"| {error.max_abs:.2g} | {error.mean_abs:.2g} ", end="")
    print(f"| {found.max_abs:.3g} | {found.mean_abs:.3g} | {found.share:.2%} ", end="")
    print(f"| {found.same_tokens} of {found.steps} |", flush=True)


def sizes(shape: str, folder: Path) -> None:
    """One table of a model in all types."""
    source = checkpoint(folder, shape)
    plain = convert_whisper(source, folder / "f16.bin")
    spread = verify_whisper(source, plain.path, sound(), steps=STEPS).spread
    print(
        f"\n{shape}: {plain.source_bytes / 1e6:.1f} MB of bfloat16, scores spread by {spread:.3g}"
    )
    print("| type | MB | tensors | s | weights: max | mean | scores: max | mean | share | same |")
    print("| --- |" + " ---: |" * 9)
    row("f16", plain, source)
    for name in TARGETS:
        if name != "f16":
            row(name, quantise_whisper(plain.path, folder / f"{name}.bin", name), source)


def wrong(folder: Path) -> None:
    """Conversions of the right names and shapes, which whisper.cpp loads."""
    config = whisper_config()
    right = write_folder(folder / "right", config, random_weights(config))
    print("\n| conversion | scores: max | mean | share | same | verdict |")
    print("| --- |" + " ---: |" * 5)
    changes: dict[str, Callable[..., None]] = {"right": lambda _: None} | WRONG
    for number, (name, change) in enumerate(changes.items()):
        weights = random_weights(config)
        change(weights)
        spoiled = write_folder(folder / f"wrong{number}", config, weights)
        made = convert_whisper(spoiled, folder / f"wrong{number}.bin")
        found = verify_whisper(right, made.path, sound(), steps=STEPS)
        verdict = "agrees" if found.agrees else "caught"
        print(f"| {name} | {found.max_abs:.3g} | {found.mean_abs:.3g} | {found.share:.2%} ", end="")
        print(f"| {found.same_tokens} of {found.steps} | {verdict} |", flush=True)


def kills(folder: Path) -> None:
    """Kill the quantiser at random instants; what is there then is whole, or nothing is."""
    plain = convert_whisper(checkpoint(folder, "tiny"), folder / "f16.bin").path
    output = folder / "out" / "small.bin"
    output.parent.mkdir()
    whole = quantise_whisper(plain, folder / "q8_0.bin", "q8_0")
    expected = whole.path.read_bytes()
    longest_s = 2.0 * whole.took_s
    rng = random.Random(3)
    there = half = 0
    for _ in range(KILLS):
        output.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(plain), str(output)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0.0, longest_s))
        child.kill()
        child.wait()
        if output.exists():
            there += 1
            half += output.read_bytes() != expected
    left = len(list(output.parent.glob(".*.part")))
    print(
        f"\n{KILLS} kills within {longest_s:.1f} s: {there} outputs, {half} of them not whole, ",
        end="",
    )
    print(f"{left} hidden neighbours left")


def main() -> None:
    for what in sys.argv[1:] or ["tiny", "base", "wrong", "kills"]:
        with tempfile.TemporaryDirectory() as name:
            if what in SHAPES:
                sizes(what, Path(name))
            else:
                {"wrong": wrong, "kills": kills}[what](Path(name))


if __name__ == "__main__":
    main()
