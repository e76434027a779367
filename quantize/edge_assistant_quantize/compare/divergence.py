"""How far one language model's predictions are from the text, and from another model's.

All in nats, on float32 rows of logits or of log probabilities, (positions, vocabulary).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of tokens that is evaluated together; what is scored is at its end."""

    begin: int
    first: int
    """The first token that is scored; those before it are its context."""
    end: int


def spans(count: int, window: int, stride: int) -> Iterator[Span]:
    """Windows that overlap, so that every token but the very first is scored once.

    In the first window tokens have little before them; in all others at least `window - stride`.

    Args:
        count: tokens of the text.
        window: tokens that are evaluated together.
        stride: tokens that a window adds to the one before; less than `window`.
    """
    begin, first = 0, 1
    while first < count:
        end = min(begin + window, count)
        yield Span(begin=begin, first=first, end=end)
        first, begin = end, end - (window - stride)


def log_probabilities(logits: Rows) -> Rows:
    """The logarithm of the softmax of every row."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide.astype(np.float32)


def surprises(log_probs: Rows, tokens: Sequence[int]) -> Values:
    """Negative log likelihood of the token that really came, for every row."""
    rows = np.arange(len(tokens))
    return np.asarray(-log_probs[rows, np.asarray(tokens)], dtype=np.float64)


def divergences(reference: Rows, other: Rows) -> Values:
    """Kullback-Leibler divergence of `other` from `reference`, for every row: at least 0.

    The sum over the vocabulary of p (log p - log q), with p of the reference: what it costs, in
    nats a token, to take the other model's predictions for the reference's.
    """
    wide = reference.astype(np.float64)
    found = (np.exp(wide) * (wide - other.astype(np.float64))).sum(axis=1)
    return np.asarray(np.maximum(found, 0.0))  # float32 rows leave a rounding error below 0


def agreements(reference: Rows, other: Rows) -> NDArray[np.bool_]:
    """For every row: both think the same token the likeliest."""
    return np.asarray(reference.argmax(axis=1) == other.argmax(axis=1))
