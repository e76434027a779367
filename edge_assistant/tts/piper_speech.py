"""Audio from phonemes: a Piper graph in two halves, sound by sound, or whole where it has none.

Difference to one-shot synthesis, and times: `python -m tests.figures.piper_stream`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import Samples, sanitize
from edge_assistant.cancel import CancelToken
from edge_assistant.onnx import (
    InferenceFailed,
    failing_as_ours,
    open_session,
    session_options,
    stoppable,
)
from edge_assistant.tts.piper_graph import GraphUnknown, cut
from edge_assistant.tts.trim import AUDIBLE, audible_span

_LOGGER: Final = logging.getLogger(__name__)

Feed = Mapping[str, NDArray[Any]]
"""Inputs of a Piper graph by name: those of one run of phonemes."""

MARGIN: Final = 16
"""Columns of the latent decoded on both sides of a slice and thrown away.

A sample depends on 11 columns on either side in the medium architecture and on 14 in the high one
(kernels and dilations of piper_train, summed over the stages), so that with 16 the difference to
one-shot synthesis is rounding.
"""
LEAST: Final = 16
"""Columns of the first slice, 186 ms at 22050 Hz: with less most of the work would be margin."""
MOST: Final = 256
"""Columns of a slice, 3 s: bounds the memory of the vocoder."""

_PEAK: Final = 0.9
"""A sentence that is made whole is scaled to this peak; piper-tts does the same to 1.0."""
_TRIAL_PEAK: Final = 0.7
"""A sentence that comes in slices has the gain that brings the trial to this peak."""
_KNEE: Final = 0.9


class Speech(Protocol):
    """The graph of a voice."""

    @property
    def inputs(self) -> frozenset[str]:
        """Names that a feed must have."""
        ...

    def pieces(self, feeds: Sequence[Feed], token: CancelToken) -> Iterator[tuple[Samples, float]]:
        """The audio of one sentence, levelled, piece by piece.

        Args:
            feeds: of its runs of phonemes, which follow each other.
            token: ends a running inference within one graph node.

        Yields:
            Samples, and the share of the sentence's audio (0..1) that has been given with them.

        Raises:
            InferenceFailed: onnxruntime failed.
        """
        ...


def open_speech(
    model: Path, trial: Sequence[Feed], sample_rate: int, *, hint: str, num_threads: int
) -> Speech:
    """`model` in two halves, and whole where it cannot be cut.

    Args:
        model: the .onnx file.
        trial: a phrase that the halves have to speak before they are trusted.
        sample_rate: of the voice, Hz.
        hint: what to type if the file cannot be opened.
        num_threads: of one inference.

    Raises:
        ModelNotFound: there is no such file.
        ModelCorrupt: onnxruntime does not take it.
    """
    try:
        sliced = Sliced(model, num_threads)
        sliced.try_out(trial, sample_rate)
        return sliced
    except (GraphUnknown, InferenceFailed, OSError) as error:
        _LOGGER.info("%s makes each sentence as a whole: %s", model.name, error)
        return Whole(model, hint=hint, num_threads=num_threads)


class Whole:
    """One piece for each sentence, scaled to a common peak."""

    def __init__(self, model: Path, *, hint: str, num_threads: int) -> None:
        self._session: Any = open_session(model, hint=hint, num_threads=num_threads)
        self.inputs = _inputs(self._session)

    def pieces(self, feeds: Sequence[Feed], token: CancelToken) -> Iterator[tuple[Samples, float]]:
        raw = np.concatenate([_run(self._session, feed, token).reshape(-1) for feed in feeds])
        finite = _finite(raw)
        peak = float(np.abs(finite).max(initial=0.0))
        yield (sanitize(finite * np.float32(_PEAK / peak)) if peak > AUDIBLE else finite), 1.0


class Sliced:
    """The latent of a sentence once, then its audio slice by slice.

    Sessions hold the same weights as one of the whole graph would.

    Raises:
        GraphUnknown: the graph cannot be cut.
        InferenceFailed: onnxruntime does not take the halves.
        OSError: the file cannot be read.
    """

    def __init__(self, model: Path, num_threads: int) -> None:
        halves = cut(model.read_bytes())
        self._latent = halves.latent
        self._encoder: Any = _opened(halves.encoder, num_threads)
        self._decoder: Any = _opened(halves.decoder, num_threads)
        self.inputs = _inputs(self._encoder)
        self.gain = 1.0
        self.rtf = 0.0
        """Time that the vocoder takes over the time that its audio plays, from the trial."""

    def pieces(self, feeds: Sequence[Feed], token: CancelToken) -> Iterator[tuple[Samples, float]]:
        latents = [self.latent(feed, token) for feed in feeds]
        total = sum(latent.shape[2] for latent in latents)
        done = 0
        ahead = 0.0
        for feed, latent in zip(feeds, latents, strict=True):
            begin = 0
            while begin < latent.shape[2]:
                end = begin + next_slice(ahead, latent.shape[2] - begin, self.rtf)
                raw = self.audio(feed, latent, begin, end, token)
                done += end - begin
                samples = limited(_finite(raw) * np.float32(self.gain))
                yield samples, done / total
                ahead += (end - begin) * (1 if ahead else _audible_share(samples))
                begin = end

    def latent(self, feed: Feed, token: CancelToken) -> NDArray[np.float32]:
        """Float32 (1, channels, columns) of one run of phonemes."""
        return _run(self._encoder, feed, token)

    def audio(
        self,
        feed: Feed,
        latent: NDArray[np.float32],
        begin: int,
        end: int,
        token: CancelToken,
        margin: int = MARGIN,
    ) -> Samples:
        """The audio of the columns from `begin` to `end`, as the network gives it."""
        first, last = max(0, begin - margin), min(latent.shape[2], end + margin)
        window = np.ascontiguousarray(latent[:, :, first:last])
        raw = _run(self._decoder, {**feed, self._latent: window}, token).reshape(-1)
        hop = len(raw) // (last - first)
        return raw[(begin - first) * hop : (end - first) * hop]

    def try_out(self, feeds: Sequence[Feed], sample_rate: int) -> None:
        """Speak a phrase in slices and at once; it sets the gain and the pace, and warms up.

        Raises:
            GraphUnknown: both differ, by more than -60 dB; or there is nothing to hear.
            InferenceFailed: onnxruntime failed.
        """
        if not feeds or not self.inputs <= feeds[0].keys():
            raise GraphUnknown("no trial fits its inputs")
        token, feed = CancelToken(), feeds[0]
        latent = self.latent(feed, token)
        columns = latent.shape[2]
        seam = min(LEAST, columns)
        slices = [self.audio(feed, latent, 0, seam, token)]
        if seam < columns:
            slices.append(self.audio(feed, latent, seam, columns, token))
        began_s = time.perf_counter()
        whole = self.audio(feed, latent, 0, columns, token)
        took_s = time.perf_counter() - began_s
        sliced = np.concatenate(slices)
        peak = float(np.abs(whole).max(initial=0.0))
        if not peak > AUDIBLE:  # a NaN fails every comparison
            raise GraphUnknown("the trial gave silence")
        if len(sliced) != len(whole) or not np.abs(sliced - whole).max() <= AUDIBLE * peak:
            raise GraphUnknown("its vocoder looks further than its margin")
        self.gain = _TRIAL_PEAK / peak
        self.rtf = took_s * sample_rate / len(whole)


def next_slice(ahead: float, left: int, rtf: float) -> int:
    """How many of the `left` columns to decode next.

    Every slice plays for at least twice the time that it and its margins take, so at least half of
    what was given is still to be played. A slice is larger than that where it takes at most a
    quarter of the time given: half of what is left, as others work on the same cores.

    Args:
        ahead: columns given since the sentence was first audible.
        left: columns of the latent that are not decoded yet, at least 1.
        rtf: of the vocoder; from 0.5 on a sentence is decoded as a whole.
    """
    if rtf >= 0.5:
        return left
    least = max(LEAST, ceil(4 * MARGIN * rtf / (1 - 2 * rtf)))
    size = min(MOST, int(ahead / (4 * rtf)) - 2 * MARGIN) if rtf > 0 else MOST
    size = max(least, size)
    return left if left < size + MARGIN else size


def limited(samples: Samples) -> Samples:
    """Bend what is above the knee so that it stays below 1.

    Each sample for itself: no state, so slices meet as they would in one piece.
    """
    over = np.abs(samples) - np.float32(_KNEE)
    if not (over > 0).any():
        return samples
    room = np.float32(1 - _KNEE)
    bent = np.copysign(_KNEE + room * np.tanh(over / room), samples)
    return np.where(over > 0, bent, samples).astype(np.float32)


def _audible_share(samples: Samples) -> float:
    """The part of `samples` that is left once silence in front of it is trimmed."""
    span = audible_span(samples)
    return 0.0 if span is None else 1 - span[0] / len(samples)


def _opened(model: bytes, num_threads: int) -> Any:
    """A session over a model that is in memory."""
    import onnxruntime

    options = session_options(num_threads)
    with failing_as_ours():
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # It keeps the bytes, a second copy of the weights, to begin again with another provider.
    session.disable_fallback()
    session._model_bytes = None
    return session


def _inputs(session: Any) -> frozenset[str]:
    return frozenset(node.name for node in session.get_inputs())


def _run(session: Any, feed: Feed, token: CancelToken) -> NDArray[np.float32]:
    mine = {name: feed[name] for name in _inputs(session)}
    with stoppable(token) as run_options:
        return np.asarray(session.run(None, mine, run_options)[0], dtype=np.float32)


def _finite(samples: Samples) -> Samples:
    """NaN and infinities are silence."""
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
