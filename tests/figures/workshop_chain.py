"""From a checkpoint to an engine, as commands, for each of the three kinds of model.

`python -m tests.figures.workshop_chain FOLDER` makes a Whisper, a Llama and a Piper checkpoint in
FOLDER (new), types the commands that a hobbyist would, and prints what was typed and what came.
The Whisper is the one of tests/workshop/data and knows twenty words; the other two are random, so
the Llama's chain is repeated with the model of the starter pack, unpacked to a checkpoint.
"""

from __future__ import annotations

import json
import lzma
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

from edge_assistant.audio.files import write_wav
from edge_assistant.store.store import Store
from tests.engines.piper_file import piper_config
from tests.workshop.back_to_checkpoint import main as back_to_checkpoint
from tests.workshop.piper_voice import write_named_voice
from tests.workshop.spoken_words import Utterance, spoken
from tests.workshop.tiny_llama import write_tiny_llama
from tests.workshop.tiny_whisper import write_tiny_whisper

DATA: Final = Path(__file__).parents[1] / "workshop" / "data" / "piper"
NUM_SYMBOLS: Final = 64
"""Phonemes that the small voices know."""

SAID: Final = Utterance(words=("seven", "zero", "nine", "four"), voice="en-gb-x-rp+m3")


def run(*words: str | Path) -> None:
    """Type one command, and print it with what came; the chain ends where one fails."""
    typed = [str(each) for each in words]
    short = (Path(each).name if "/" in each else each for each in typed)
    print(f"\n$ edge-assistant {shlex.join(short)}")
    done = subprocess.run(
        [sys.executable, "-m", "edge_assistant", *typed],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout.rstrip(), flush=True)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}")


def whisper(folder: Path) -> None:
    """Safetensors to ggml to fewer bits to words."""
    checkpoint = write_tiny_whisper(folder / "whisper-checkpoint")
    clip = spoken(SAID)
    assert clip is not None
    sound = folder / "seven-zero-nine-four.wav"
    write_wav(sound, clip.audio)
    made = folder / "whisper-f16.bin"
    run("convert", checkpoint, made, "--check", "--sound", sound)
    for name in ("q8_0", "q5_1"):
        run("quantize", made, folder / f"whisper-{name}.bin", "--type", name)
    for name in ("f16", "q8_0", "q5_1"):
        run("transcribe", sound, "--stt", folder / f"whisper-{name}.bin")


def llama(folder: Path, checkpoint: Path, *, is_trained: bool) -> None:
    """A checkpoint to GGUF to fewer bits, checked, and compared where there is anything to say."""
    made = folder / f"{checkpoint.name}-f16.gguf"
    run("convert", checkpoint, made, "--check")
    others = []
    for name in ("Q8_0", "Q6_K", "Q4_K_M"):
        others.append(folder / f"{checkpoint.name}-{name}.gguf")
        run("quantize", made, others[-1], "--type", name)
    if is_trained:
        run("compare", made, *others, "--rounds", "5", "--page", folder / "comparison.html")


def piper(folder: Path) -> None:
    """A checkpoint to ONNX to fewer bits, to ORT, and in halves."""
    for name in ("base.onnx", "tuned.ckpt"):
        packed = (DATA / f"medium-{name}.xz").read_bytes()
        (folder / f"medium-{name}").write_bytes(lzma.decompress(packed))
    config = piper_config()
    known = {key: ids for key, ids in config["phoneme_id_map"].items() if max(ids) < NUM_SYMBOLS}
    (folder / "medium-base.onnx.json").write_text(json.dumps(config | {"phoneme_id_map": known}))
    base, made = folder / "medium-base.onnx", folder / "voice.onnx"
    run("export", folder / "medium-tuned.ckpt", made, "--to", "onnx", "--like", base)
    # So small a network gets larger where int8 adds its nodes; the next one is large enough.
    voice = write_named_voice(folder / "named")
    for name in ("fp16", "fp16-weights", "int8"):
        run("quantize", voice, folder / f"voice-{name}.onnx", "--type", name)
    run("export", voice, folder / "halves.onnx", "--to", "split")
    run("export", voice, folder / "voice.ort", "--to", "ort")
    for each in (made, folder / "voice-int8.onnx"):
        run("models", "verify", each)


def main(folder: Path) -> None:
    """All three, and the language model of the starter pack."""
    folder.mkdir(parents=True)
    whisper(folder)
    llama(folder, write_tiny_llama(folder / "tiny-llama"), is_trained=False)
    back_to_checkpoint(Store.default().path("smollm2-135m-instruct"), folder / "smollm2")
    llama(folder, folder / "smollm2", is_trained=True)
    piper(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
