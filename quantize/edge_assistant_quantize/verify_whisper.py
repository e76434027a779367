"""Holds a ggml file against the checkpoint that it was made of, by running both on the same sound.

    python -m edge_assistant_quantize.verify_whisper FOLDER MODEL.bin SOUND.wav

The reference (numpy, Hugging Face's tensors) hears the sound and decodes greedily; whisper.cpp
hears the same samples, through the mel filters of its file, is given the same tokens one by one,
and its scores of the whole vocabulary are compared at every step. Swapped, transposed or misnamed
tensors load without a word, and are found here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.files import read_sound
from edge_assistant.audio.format import Samples, sanitize
from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.headers import inspect
from edge_assistant_quantize import ggml_files, whisper_steps
from edge_assistant_quantize.convert_whisper import read_config, read_tensors
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.mel import HOP_FRAMES, SPAN_FRAMES, log_mel, mel_filters
from edge_assistant_quantize.whisper_names import theirs
from edge_assistant_quantize.whisper_reference import WhisperReference
from edge_assistant_quantize.whisper_tokens import num_ordinary

MAX_SHARE: Final = 0.02
"""An F16 file agrees if its scores are off by at most this share of their spread. Seen on random
models: 0.0008 for right ones; 0.07 for the mildest mistake (two norm biases swapped, every best
token still the same), 0.3 to 0.7 for swapped or transposed matrices."""

_TIMEOUT_S: Final = 600.0
_TAIL: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far whisper.cpp on one file is from the reference on its checkpoint."""

    tokens: tuple[int, ...]
    """What the reference says, greedily."""
    same_tokens: int
    """Steps at which whisper.cpp's best token is the reference's."""
    steps: int
    max_abs: float
    """Largest difference of two scores (logits)."""
    mean_abs: float
    spread: float
    """Standard deviation of the reference's scores."""
    max_share: float

    @property
    def share(self) -> float:
        """Mean difference as a share of the spread: about 1 for two unrelated models."""
        return self.mean_abs / self.spread

    @property
    def agrees(self) -> bool:
        """Whether that is within the bound. False for scores that are not numbers."""
        return self.share <= self.max_share


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightError:
    """How far the weights of a file are from those of the checkpoint, after unpacking."""

    max_abs: float
    mean_abs: float
    worst_tensor: str


def verify_whisper(
    folder: Path, model: Path, audio: Samples, *, steps: int = 8, max_share: float = MAX_SHARE
) -> Agreement:
    """Run the checkpoint in numpy and the ggml file in whisper.cpp.

    Audio: float32 mono, (frames,), 16000 Hz, at most 30 s are heard.

    Args:
        folder: the checkpoint, as for `convert_whisper`.
        model: the file; packed ones need a larger `max_share`.
        audio: the sound.
        steps: tokens to decode, unless the reference ends earlier.
        max_share: see `Agreement.agrees`.

    Raises:
        ModelCorrupt, ModelNotFound: one of the two cannot be read.
        WorkshopError: `model-does-not-run`: whisper.cpp refused the file, or died of it.
    """
    config = read_config(folder)
    stored = read_tensors(folder)
    inspect(model, "ggml")
    audio = sanitize(audio[:SPAN_FRAMES])
    reference = WhisperReference({name: tensor.values for name, tensor in stored.items()}, config)
    columns = 2 * int(config["max_source_positions"])
    picture = log_mel(audio, mel_filters(int(config["num_mel_bins"])))[:, :columns]
    encoded = reference.encode(picture)
    prompt = _prompt(int(config["vocab_size"]))
    end = num_ordinary(int(config["vocab_size"]))
    said = reference.greedy(prompt, encoded, steps=steps, end=end)
    # The last token is only looked at, not followed.
    wanted = reference.logits(said[:-1], encoded)[len(prompt) - 1 :]
    got = _scores(model, audio, prompt, said[len(prompt) : -1])
    if got.shape != wanted.shape:
        raise _fails(model, f"{got.shape[1]} tokens, not {wanted.shape[1]} as the checkpoint")
    with np.errstate(invalid="ignore"):  # scores that are no numbers agree with nothing
        difference = np.abs(got - wanted)
    return Agreement(
        tokens=tuple(said[len(prompt) :]),
        same_tokens=int((got.argmax(axis=1) == wanted.argmax(axis=1)).sum()),
        steps=len(wanted),
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
        spread=float(wanted.std()),
        max_share=max_share,
    )


def weight_error(folder: Path, model: Path) -> WeightError:
    """Compare the weights tensor by tensor: what rounding did to them.

    The names are matched by the converter's own table, so this says nothing about that table; only
    `verify_whisper` does.

    Raises:
        ModelCorrupt, ModelNotFound: one of the two cannot be read.
    """
    stored = read_tensors(folder)
    worst, worst_name, total, count = -1.0, "", 0.0, 0
    for tensor in ggml_files.read(model).tensors:
        wanted = stored[theirs(tensor.name)].values().reshape(tensor.shape)
        difference = np.abs(tensor.values() - wanted)
        if float(difference.max()) > worst:
            worst, worst_name = float(difference.max()), tensor.name
        total += float(difference.sum(dtype=np.float64))
        count += difference.size
    return WeightError(max_abs=worst, mean_abs=total / count, worst_tensor=worst_name)


def _prompt(n_vocab: int) -> list[int]:
    """Start of transcript, English, transcribe, no timestamps; English-only models know two.

    Numbers of `whisper_vocab` in whisper.cpp; 51866 tokens are a language more.
    """
    start = num_ordinary(n_vocab) + 1
    if n_vocab == 51864:
        return [start, 50362]
    more = n_vocab - 51865
    return [start, start + 1, 50359 + more, 50363 + more]


def _scores(
    model: Path, audio: Samples, prompt: list[int], tokens: list[int]
) -> NDArray[np.float32]:
    # whisper.cpp reflects 200 samples at the start, whatever it is given.
    padded = np.zeros(max(len(audio), 100 * HOP_FRAMES), dtype=np.float32)
    padded[: len(audio)] = audio
    with tempfile.TemporaryDirectory() as name:
        job, output = Path(name) / "job.npz", Path(name) / "scores.npy"
        np.savez(
            job, audio=padded, prompt=np.array(prompt, np.int32), tokens=np.array(tokens, np.int32)
        )
        # -P: the folder of that file is no place to import from.
        program = [sys.executable, "-P", str(whisper_steps.__file__)]
        try:
            done = subprocess.run(
                [*program, str(_library()), str(model.absolute()), str(job), str(output)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _fails(model, f"no answer in {_TIMEOUT_S:.0f} s") from error
        if done.returncode != 0:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise _fails(model, f"code {done.returncode}: {''.join(last)[:_TAIL]}")
        scores: NDArray[Any] = np.load(output)
    return scores.astype(np.float32, copy=False)


def _library() -> Path:
    """whisper.cpp's library in the wheel: the copy that its binding is linked to comes first."""
    try:
        inside = files("pywhispercpp") or []
    except PackageNotFoundError:
        inside = []
    found = [
        Path(str(file.locate()))
        for file in inside
        if "whisper" in file.name
        and not file.name.startswith("_")
        and {".so", ".dylib", ".dll"} & set(file.suffixes)
    ]
    # auditwheel, delocate and delvewheel put it into a folder of its own.
    found.sort(key=lambda path: not path.parent.name.endswith((".libs", ".dylibs")))
    if not found:
        raise WorkshopError(
            "whisper-library-missing",
            "pywhispercpp is installed without whisper.cpp's library",
            "pip install --force-reinstall pywhispercpp",
        )
    return found[0]


def _fails(model: Path, reason: str) -> WorkshopError:
    return WorkshopError(
        "model-does-not-run",
        f"whisper.cpp cannot run {model.name}: {reason}",
        "convert the checkpoint again",
    )


def main(arguments: list[str]) -> int:
    """Write the agreement to stdout; 1 if there is none, 2 if one side could not be run."""
    folder, model, sound = map(Path, arguments)
    try:
        found = verify_whisper(folder, model, read_sound(sound))
        error = weight_error(folder, model)
    except EdgeAssistantError as failed:
        sys.stderr.write(f"{failed}\n")
        return 2
    sys.stdout.write(
        f"scores: off by {found.mean_abs:.3g} in the mean ({found.share:.2%} of their spread), "
        f"{found.max_abs:.3g} at most; {found.same_tokens} of {found.steps} best tokens the same\n"
        f"weights: off by {error.mean_abs:.3g} in the mean, {error.max_abs:.3g} at most "
        f"({error.worst_tensor})\n"
    )
    return 0 if found.agrees else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
