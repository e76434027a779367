"""Whether a GGUF computes what its checkpoint computes: tokens, logits, and what comes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant_quantize.errors import WorkshopError
from edge_assistant_quantize.llama.bpe_reference import BpeReference
from edge_assistant_quantize.llama.gguf_logits import GgufLogits
from edge_assistant_quantize.llama.reference import LlamaReference
from edge_assistant_quantize.llama.tokenizer import Vocabulary, read_vocabulary
from edge_assistant_quantize.made import Progress

TEXTS: Final = (
    "The quick brown fox jumps over the lazy dog.",
    "What's the weather like in Zürich at 10:30? It'll be 21°C, I'd guess.",
    "def f(x):\n    return x ** 2  # square\n\n\nprint(f(1234567))",
    "Grüße aus Köln \u2013 naïve façade, señor; œuvre, Straße.",
    "東京の天気は晴れです。数字は１２３と٤٥٦。",
    "emoji 🙂👍🏽 and   spaces\t tabs \r\n lines   ",
    "Don't DON'T we'VE 'tis I'M they'll 3rd 1,000.50 x_y a-b",
)
"""Contractions, digits, blanks, line ends, other scripts: where pre-tokenisers differ."""
_MAX_TOKENS: Final = 64
_GREEDY_TOKENS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How far apart a sound conversion may be, as shares of the spread of the logits."""

    max_share: float
    mean_share: float


BOUNDS: Final = {
    "f32": Bound(max_share=1e-3, mean_share=1e-4),
    "f16": Bound(max_share=3e-2, mean_share=3e-3),
}
"""A wrong permutation is at 1 and above; rounding to float16 at every product is far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A GGUF beside the checkpoint that it was made from, on the same tokens."""

    positions: int
    """At which all logits were compared."""
    max_difference: float
    """Between two logits."""
    mean_difference: float
    spread: float
    """Standard deviation of the reference's logits, to measure the differences by."""
    same_argmax: int
    """Positions with the same likeliest token."""
    near_ties: int
    """Positions with another one, where the reference's two are closer than the difference."""
    kl_mean: float
    """Kullback-Leibler divergence of the file's distribution from the reference's, in nats."""
    greedy_tokens: int
    """How many tokens were chosen one after the other, in all texts together."""
    greedy_same: int
    texts: int
    texts_same: int
    """Texts that llama.cpp cuts into the same tokens as the checkpoint's own rules."""
    different_text: str
    """The first that it does not; empty if there is none."""

    def faults(self, type_name: str) -> tuple[str, ...]:
        """What speaks against the conversion; empty if nothing does."""
        bound = BOUNDS[type_name]
        found = []
        if self.texts_same < self.texts:
            found.append(f"other tokens for {self.different_text!r}")
        if not self.max_difference <= bound.max_share * self.spread:
            found.append(f"logits differ by up to {self.max_difference:.3g}")
        if not self.mean_difference <= bound.mean_share * self.spread:
            found.append(f"logits differ by {self.mean_difference:.3g} in the mean")
        if self.same_argmax + self.near_ties < self.positions:
            found.append(f"another likeliest token at {self.positions - self.same_argmax} places")
        return tuple(found)


def verify_llama(
    folder: Path,
    output: Path,
    texts: Sequence[str] = TEXTS,
    *,
    greedy_tokens: int = _GREEDY_TOKENS,
    progress: Progress | None = None,
) -> Agreement:
    """Run a checkpoint (numpy) and a GGUF (llama.cpp) on the same tokens, and compare.

    The tokens are those that the checkpoint's own rules make of the texts.

    Args:
        folder: the checkpoint.
        output: the GGUF, of any type: also a quantised one can be measured by this.
        texts: at most 64 tokens of each are used.
        greedy_tokens: to choose after each text; 0 to leave it out.
        progress: told the share that is done.

    Raises:
        ModelCorrupt, ModelIncompatible, WorkshopError: a side cannot be run.
    """
    tell = progress or (lambda what, share: None)
    reference = LlamaReference(folder)
    vocabulary = read_vocabulary(folder, reference.shape.vocab_size)
    with GgufLogits(output) as model:
        if model.vocab_size != reference.shape.vocab_size:
            raise WorkshopError(
                "not-the-same-model",
                f"{output.name} has {model.vocab_size} tokens, the checkpoint "
                f"{reference.shape.vocab_size}",
                "name the checkpoint that it was made from",
            )
        rules = BpeReference(vocabulary)
        tokens = [rules.encode(text) for text in texts]
        cut = [model.tokenize(text) for text in texts]
        starts = [_opened(vocabulary, each)[:_MAX_TOKENS] for each in tokens]
        runs = [[*start, *model.greedy(start, greedy_tokens)] for start in starts]
        found = [model.logits(run) for run in runs]
    tell("checking", 0.2)
    expected = reference.logits(runs)
    tell("checking", 1.0)
    same = sum(
        _chosen_alike(run[len(start) :], logits[len(start) - 1 :])
        for start, run, logits in zip(starts, runs, expected, strict=True)
    )
    different = [text for text, a, b in zip(texts, tokens, cut, strict=True) if a != b]
    return _compared(
        np.concatenate(expected),
        np.concatenate(found),
        greedy=(greedy_tokens * len(texts), same),
        texts=(len(texts), different),
    )


def _opened(vocabulary: Vocabulary, tokens: list[int]) -> list[int]:
    special = vocabulary.special
    return [special.bos, *tokens] if special.add_bos and special.bos is not None else tokens


def _chosen_alike(chosen: list[int], logits: NDArray[np.float32]) -> int:
    """How many of the tokens that one side chose the other chooses too, up to the first other.

    Where all before it are the same, this is what the other side would have chosen by itself.
    """
    wanted = logits.argmax(axis=1)
    differ = (index for index, token in enumerate(chosen) if token != wanted[index])
    return next(differ, len(chosen))


def _compared(
    expected: NDArray[np.float32],
    found: NDArray[np.float32],
    *,
    greedy: tuple[int, int],
    texts: tuple[int, list[str]],
) -> Agreement:
    difference = np.abs(expected.astype(np.float64) - found)
    best, chosen = expected.argmax(axis=1), found.argmax(axis=1)
    rows = np.arange(len(expected))
    lead = expected[rows, best].astype(np.float64) - expected[rows, chosen]
    near = (best != chosen) & (lead <= 2 * difference.max(axis=1))
    count, different = texts
    return Agreement(
        positions=len(expected),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        spread=float(expected.std()),
        same_argmax=int((best == chosen).sum()),
        near_ties=int(near.sum()),
        kl_mean=float(kl_divergence(expected, found).mean()),
        greedy_tokens=greedy[0],
        greedy_same=greedy[1],
        texts=count,
        texts_same=count - len(different),
        different_text=different[0] if different else "",
    )


def kl_divergence(expected: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Nats that are lost where `found` stands for `expected`: (positions,) from logits."""
    reference, other = _log_softmax(expected), _log_softmax(found)
    divergence: NDArray[np.float64] = (np.exp(reference) * (reference - other)).sum(axis=1)
    return divergence


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
