"""Two files of one model, run on the same inputs: how far apart is what they give?

A Piper voice speaks phonemes with its noise scales at 0, so that every run gives the same. Silero
and Smart Turn hear a sentence of espeak-ng through the adapters of the runtime. Of other models
the declared inputs are filled with random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.resample import resample
from edge_assistant.borders import failing_as
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import EdgeAssistantError, ModelError
from edge_assistant.onnx import open_session, session_options
from edge_assistant.tts.espeak import EspeakVoice
from edge_assistant.tts.piper_config import read_piper_config
from edge_assistant.turn_detector.logmel import NUM_COLUMNS, NUM_MELS
from edge_assistant.turn_detector.smart_turn import SmartTurn
from edge_assistant.vad.silero import SileroVad
from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.onnx_models.log_mel import log_mel_distance_db

Answer = NDArray[np.float32]
Feed = dict[str, NDArray[Any]]

SAME_SHARE: Final = 1e-4
"""Of the reference's peak: float32 in another order of sums stays far below it (2e-6 measured)."""

_RUNS_OF_IDS: Final = (16, 64, 160)
"""Phoneme ids of the runs that a voice speaks: a word, a clause, a sentence."""
_TEXT: Final = "What is the weather like today? I would like to know, and then, set a timer."
_HINT: Final = "use the original"
_LONGEST: Final = 300
"""Characters of a library's message that are shown."""


class InputsUnknown(WorkshopError):
    """Nobody can say what to feed the model, so nothing was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What two files of one model gave for the same inputs."""

    inputs: str
    """What they were given."""
    max_abs: float
    mean_abs: float
    peak: float
    """Largest absolute number of the reference, in the same unit."""
    log_mel_db: float | None
    """Voices: mean difference of the log-mel pictures, dB."""
    lengths: tuple[int, int]
    """Numbers that the reference gave, and the other one."""

    def __str__(self) -> str:
        apart = f"max {self.max_abs:.2e}, mean {self.mean_abs:.2e} at a peak of {self.peak:.2f}"
        mel = "" if self.log_mel_db is None else f", log-mel {self.log_mel_db:.2f} dB"
        other = ""
        if self.lengths[0] != self.lengths[1]:
            other = f"; {self.lengths[1]} numbers in place of {self.lengths[0]}"
        return f"difference over {self.inputs}: {apart}{mel}{other}"


def agreement(reference: Path, candidate: Path) -> Agreement:
    """Run both files on the same inputs.

    Args:
        reference: an ONNX file that was let in; a voice with its JSON beside it, if there is one.
        candidate: the ONNX or ORT file that was made from it.

    Raises:
        InputsUnknown: `inputs-unknown`.
        WorkshopError: `reference-fails`, the reference itself does (of a voice: its JSON names ids
            that it does not know); `not-runnable`, the candidate fails, or gives what is no number.
    """
    inputs, run, sample_rate = _runner(reference)

    def fails(error: Exception) -> WorkshopError:
        return WorkshopError(
            "reference-fails",
            f"{reference.name} does not run over {inputs}: {_short(error)}",
            "get the file anew; beside a voice, its own JSON",
        )

    with failing_as(fails):
        expected = run(reference)

    def broken(error: Exception) -> WorkshopError:
        return WorkshopError(
            "not-runnable",
            f"what was made of {reference.name} does not run: {_short(error)}",
            _HINT,
        )

    try:
        with failing_as(broken):
            given = run(candidate)
    except ModelError as error:
        raise broken(error) from error
    if not all(np.isfinite(answer).all() for answer in given):
        raise WorkshopError(
            "not-runnable", f"what was made of {reference.name} gives NaN or infinity", _HINT
        )
    return compared(inputs, expected, given, sample_rate)


def compared(
    inputs: str, expected: list[Answer], given: list[Answer], sample_rate: int | None
) -> Agreement:
    """Compare answers one by one; of two different lengths the common beginning.

    Args:
        inputs: what both were given, for people.
        expected: from the reference.
        given: from the other, as many.
        sample_rate: Hz, where the answers are sounds.
    """
    pairs = [
        (one[: len(other)], other[: len(one)]) for one, other in zip(expected, given, strict=True)
    ]
    apart = np.concatenate([np.abs(one - other) for one, other in pairs])
    distances = [log_mel_distance_db(*pair, sample_rate) for pair in pairs if sample_rate]
    return Agreement(
        inputs=inputs,
        max_abs=float(apart.max(initial=0.0)),
        mean_abs=float(apart.mean()) if len(apart) else 0.0,
        peak=max(float(np.abs(each).max(initial=0.0)) for each in expected),
        log_mel_db=float(np.mean(distances)) if distances else None,
        lengths=(sum(map(len, expected)), sum(map(len, given))),
    )


def require_same(found: Agreement, what: str) -> None:
    """Refuse what has to be the same model and is not.

    Raises:
        WorkshopError: `made-differs`.
    """
    is_same = found.max_abs <= SAME_SHARE * found.peak  # a NaN fails it
    if found.lengths[0] != found.lengths[1] or not is_same:
        raise WorkshopError(
            "made-differs", f"{what} gives other numbers than the original: {found}", _HINT
        )


def piper_feeds(names: set[str], num_ids: int) -> list[Feed]:
    """Runs of phonemes without noise for a Piper graph with inputs `names`.

    Every second id is the pad, 0, as Piper's front end puts it.
    """
    feeds = []
    for count in _RUNS_OF_IDS:
        ids = np.random.default_rng(count).integers(1, num_ids, (1, count), dtype=np.int64)
        ids[0, 1::2] = 0
        feed: Feed = {
            "input": ids,
            "input_lengths": np.array([count], dtype=np.int64),
            "scales": np.array([0.0, 1.0, 0.0], dtype=np.float32),
            "sid": np.array([0], dtype=np.int64),
        }
        feeds.append({name: feed[name] for name in names})
    return feeds


def is_piper(names: set[str]) -> bool:
    """Whether a graph with these inputs is a Piper voice."""
    return (
        {"input", "input_lengths", "scales"} <= names <= {"input", "input_lengths", "scales", "sid"}
    )


def voice_facts(model: Path) -> tuple[int, int]:
    """(phoneme ids, sample rate in Hz) of a voice, from the JSON beside it or else the usual."""
    with suppress(ModelError):
        config = read_piper_config(model.with_name(f"{model.name}.json"))
        highest = max(max(ids) for ids in config.phoneme_id_map.values())
        return highest + 1, config.audio.sample_rate
    return 100, 22_050


def opened(model: bytes) -> Any:
    """A session over a model in memory.

    Raises:
        WorkshopError: `not-runnable`.
    """
    import onnxruntime

    def broken(error: Exception) -> WorkshopError:
        return WorkshopError(
            "not-runnable", f"onnxruntime does not take it: {_short(error)}", _HINT
        )

    with failing_as(broken):
        return onnxruntime.InferenceSession(
            model, session_options(1), providers=["CPUExecutionProvider"]
        )


def _short(error: Exception) -> str:
    """onnxruntime can print half a graph."""
    text = error.message if isinstance(error, EdgeAssistantError) else str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _runner(model: Path) -> tuple[str, Callable[[Path], list[Answer]], int | None]:
    """What is fed, what runs a file on it, and the sample rate of the answers if they are sound."""
    session = open_session(model, hint=_HINT)

    def session_of(path: Path) -> Any:
        return session if path == model else opened(path.read_bytes())

    inputs = session.get_inputs()
    names = {each.name for each in inputs}
    if is_piper(names):
        num_ids, sample_rate = voice_facts(model)
        feeds = piper_feeds(names, num_ids)
        return (
            f"{len(feeds)} runs of phonemes",
            lambda path: _fed(session_of(path), feeds),
            sample_rate,
        )
    if len(inputs) == 1 and inputs[0].shape[1:] == [NUM_MELS, NUM_COLUMNS]:
        return "a spoken sentence in 8 parts", _turn_ends, None
    if {2, 3} <= {len(each.shape) for each in inputs} and len(session.get_outputs()) == 2:
        return "the windows of a spoken sentence", _speech_probs, None
    feeds = [_random_feed(inputs, seed) for seed in range(3)]
    try:
        with failing_as(lambda error: InputsUnknown("inputs-unknown", str(error))):
            session.run(None, feeds[0])
    except InputsUnknown as error:
        raise InputsUnknown(
            "inputs-unknown", f"no inputs of ours fit {model.name}: {error.message}", _HINT
        ) from error
    return f"{len(feeds)} sets of random inputs", lambda path: _fed(session_of(path), feeds), None


def _fed(session: Any, feeds: list[Feed]) -> list[Answer]:
    """All outputs for each feed, one after the other."""
    return [
        np.concatenate([np.asarray(each, dtype=np.float32).reshape(-1) for each in outputs])
        for outputs in (session.run(None, feed) for feed in feeds)
    ]


def _speech_probs(path: Path) -> list[Answer]:
    vad = SileroVad(path)
    size, sound = vad.window_frames, _spoken()
    windows = (sound[at : at + size] for at in range(0, len(sound) - size + 1, size))
    return [np.array([vad.speech_prob(window) for window in windows], dtype=np.float32)]


def _turn_ends(path: Path) -> list[Answer]:
    judge, sound, token = SmartTurn(path), _spoken(), CancelToken()
    ends = (len(sound) * part // 8 for part in range(1, 9))
    return [np.array([judge.end_probability(sound[:end], token) for end in ends], dtype=np.float32)]


@cache
def _spoken() -> Samples:
    """A sentence of espeak-ng at 16 kHz, between silences; the same for every file."""
    voice = EspeakVoice()
    speech = np.concatenate([each.samples for each in voice.synthesize(_TEXT, CancelToken())])
    quiet = np.zeros(SAMPLE_RATE // 2, dtype=np.float32)
    return np.concatenate([quiet, resample(speech, voice.sample_rate, SAMPLE_RATE), quiet])


def _random_feed(inputs: Any, seed: int) -> Feed:
    """Numbers for the declared shapes; of open dimensions the first is 1, the others 16."""
    random = np.random.default_rng(seed)
    feed: Feed = {}
    for each in inputs:
        shape = [
            size if isinstance(size, int) else 1 if axis == 0 else 16
            for axis, size in enumerate(each.shape)
        ]
        if each.type == "tensor(float)":
            feed[each.name] = random.normal(size=shape).astype(np.float32)
        elif each.type in ("tensor(int64)", "tensor(int32)"):
            kind = np.int64 if each.type == "tensor(int64)" else np.int32
            feed[each.name] = random.integers(0, 2, shape).astype(kind)
        elif each.type == "tensor(bool)":
            feed[each.name] = np.ones(shape, dtype=np.bool_)
        else:
            raise InputsUnknown("inputs-unknown", f"an input of type {each.type}", _HINT)
    return feed
