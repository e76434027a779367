"""Moonshine's decoder: greedy, with a key-value cache, and quicker where its words can be guessed.

A pass over many tokens costs hardly more than one over a single token (24 tokens 19 ms, one token
7 ms a step on one x86 core). So the words of the pass before, over the beginning of the same
speech, are given to the model at once: where it would have said the same they are taken over in one
pass. Behind one that differs the guess is laid against the text anew, and the next few tokens of it
are given with each pass. What the model says is what counts, a wrong guess only costs time. This is
speculative decoding with an older transcript as the draft (Leviathan, Kalman and Matias, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.cancel import CancelToken
from edge_assistant.stt import invention

TOKENS_PER_S: Final = 6.5
"""Cap on the decoder that Moonshine's authors recommend for English (30 s: 195 tokens)."""

NEXT_GUESSES: Final = 4
"""Tokens guessed in every pass behind the first wrong one. Of 72 pairs of a request and its
beginning 25 differ early: 82 ms of decoding without, 58, 56, 57, 62 ms with 3, 4, 6, 8 (median)."""

START_ID: Final = 1
END_ID: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What the decoder made of one piece of audio."""

    ids: list[int]
    """Without start and end token; cut off where they began to go round in circles."""
    mean_log_prob: float
    """Natural log, per token, the end token included."""


class MoonshineDecoder:
    """The merged decoder (with and without cache in one graph) of one model.

    Args:
        session: over `decoder_model_merged.ort`.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        inputs = {each.name: each.shape for each in session.get_inputs()}
        self._past = {name: shape for name, shape in inputs.items() if name.startswith("past_key_")}
        self._outputs = [each.name for each in session.get_outputs()]
        self._wants_mask = "encoder_attention_mask" in inputs
        self.is_known = "input_ids" in inputs and bool(self._past)
        """Whether the graph has the inputs that this class feeds."""

    def decode(
        self,
        hidden: NDArray[np.float32],
        mask: NDArray[np.int64],
        *,
        guess: Sequence[int],
        run_options: Any,
        token: CancelToken,
    ) -> Decoded:
        """Decode until the end token, a loop, or the limit for this length.

        Args:
            hidden: the encoder's states, (1, positions, width).
            mask: of the audio that they belong to, (1, frames) at 16 kHz.
            guess: tokens that the text may be like, as that of a shorter piece of the same sound;
                empty for none. It changes what a text costs and not the text.
            run_options: what `token` ends a running pass with.
            token: of the attempt.

        Raises:
            TurnCancelled: before the next pass.
        """
        import onnxruntime

        wrap = onnxruntime.OrtValue.ortvalue_from_numpy
        limit = math.ceil(TOKENS_PER_S * mask.shape[1] / SAMPLE_RATE)
        empty = {name: np.zeros(_empty(shape), np.float32) for name, shape in self._past.items()}
        feed = {name: wrap(values) for name, values in empty.items()}
        feed["encoder_hidden_states"] = wrap(hidden)
        if self._wants_mask:
            feed["encoder_attention_mask"] = wrap(mask)
        ids: list[int] = []
        log_probs: list[float] = []
        given, at = [START_ID, *guess[: limit - 1]], 0
        while True:
            token.raise_if_cancelled()
            feed["input_ids"] = wrap(np.array([given], dtype=np.int64))
            feed["use_cache_branch"] = wrap(np.array([bool(ids)]))
            results = self._session.run_with_ort_values(self._outputs, feed, run_options)
            before = len(ids)
            is_over = _take(results[0].numpy()[0], given, limit, ids, log_probs)
            if is_over:
                return Decoded(ids=ids, mean_log_prob=sum(log_probs) / len(log_probs))
            taken = len(ids) - before
            for name, value in zip(self._outputs[1:], results[1:], strict=True):
                is_of_words = ".decoder." in name
                if is_of_words and taken < len(given):  # forget the guesses that were not said
                    value = wrap(np.ascontiguousarray(value.numpy()[:, :, : len(ids)]))
                if not before or is_of_words:  # what it attends to in the audio stays as it is
                    feed[name.replace("present", "past_key_values")] = value
            at = _realigned(guess, at + taken - 1, ids[-1])
            given = [ids[-1], *guess[at : at + NEXT_GUESSES]]


def _realigned(guess: Sequence[int], at: int, said: int) -> int:
    """Where the guess goes on behind `said`, which was said in place of its token `at`: behind the
    nearest of the same, or else with the next one, as if one word stood for another."""
    near = [each for each in range(max(0, at - 2), at + 3) if each < len(guess)]
    same = [each for each in near if guess[each] == said]
    return min(same, key=lambda each: abs(each - at), default=at) + 1


def _take(
    logits: NDArray[np.float32],
    given: Sequence[int],
    limit: int,
    ids: list[int],
    log_probs: list[float],
) -> bool:
    """Append to `ids` what the model says after each given token, as long as that one was right;
    True where the text is over."""
    for row, following in zip(logits, [*given[1:], None], strict=True):
        said = int(row.argmax())
        log_probs.append(float(row[said]) - _log_sum_exp(row))
        if said == END_ID:
            return True
        ids.append(said)
        believable = invention.believable_tokens(ids)
        if believable is not None:
            del ids[believable:]
            return True
        if len(log_probs) >= limit:
            return True
        if said != following:
            break
    return False


def _empty(shape: list[int | str]) -> tuple[int, ...]:
    """Shape of a cache with nothing in it: batch of one, no positions."""
    fixed = [each if isinstance(each, int) else 0 for each in shape]
    return (1, *fixed[1:])


def _log_sum_exp(logits: NDArray[np.float32]) -> float:
    peak = float(logits.max())
    return peak + float(np.log(np.exp(logits - peak).sum()))
