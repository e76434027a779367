"""Train the tiny Whisper on espeak-ng's speech, on a CPU, and write data/tiny_whisper.npz.

A program, not a test: `pip install jax`, then `python -m tests.workshop.train_tiny_whisper`.
docs/workshop/tiny-whisper.md tells what came of it.

What makes it quick is that espeak-ng says when each word is spoken. Besides its real task, the next
token, the model learns three that are taken away afterwards: which word is being spoken at each
position of the encoder, which one of the utterance it is, and that the decoder looks there. Most
steps leave the silence out that `audio_ctx` adds behind the sound; the last ones have it, and
everything else as whisper.cpp has it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from edge_assistant.engine_bench.wer import word_error_rate
from tests.workshop import spoken_words
from tests.workshop.spoken_words import MOST_WORDS, WORDS
from tests.workshop.tiny_whisper import KEY_STEP, STATE
from tests.workshop.tiny_whisper_clips import (
    END,
    IGNORED,
    LENGTH,
    NO_TIMESTAMPS,
    NUM_TOKENS,
    SHORT,
    START,
    Examples,
    batch,
    examples,
)
from tests.workshop.whisper_jax import (
    Heard,
    Weights,
    decode,
    encode,
    lifted,
    linear,
    new_weights,
)

SEED: Final = 5
BATCH: Final = 32
WARM_UP_STEPS: Final = 100
RATE: Final = 3e-3
LAST_RATE: Final = 3e-5
DECAY: Final = 0.01
LONGEST_GRADIENT: Final = 1.0
HELP: Final = "help."
"""Begins the names of the weights of the extra tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some steps on windows of one length."""

    steps: int
    num_positions: int


def main() -> None:
    options = _options()
    started_s = time.perf_counter()
    data = examples(spoken_words.clips(spoken_words.TRAINING_VOICES, SEED), options.clips)
    checks = {
        "held-out voices": examples(spoken_words.clips(spoken_words.HELD_OUT_VOICES, 1), 400),
        "held-out accent": examples(spoken_words.clips(spoken_words.HELD_OUT_ACCENT, 1), 200),
    }
    print(f"{options.clips} clips after {time.perf_counter() - started_s:.0f} s", flush=True)
    phases = (
        Phase(steps=options.steps, num_positions=SHORT),
        Phase(steps=options.last_steps, num_positions=KEY_STEP),
    )
    for step, weights in trained(data, phases):
        print(f"after {step} steps, {time.perf_counter() - started_s:.0f} s:", end="", flush=True)
        for name, check in checks.items():
            print(f"  {name} {word_accuracy(weights, check):.1%}", end="", flush=True)
        print(flush=True)
        save(weights, options.output)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("tests/workshop/data/tiny_whisper.npz"))
    parser.add_argument("--clips", type=int, default=12_000)
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--last-steps", type=int, default=500)
    return parser.parse_args()


def save(weights: Weights, path: Path) -> None:
    """Write what the model needs, in float16."""
    kept = {name: each for name, each in lifted(weights).items() if not name.startswith(HELP)}
    rows: dict[str, Any] = {name: np.asarray(kept[name], np.float16) for name in sorted(kept)}
    np.savez_compressed(path, **rows)


def trained(data: Examples, phases: tuple[Phase, ...]) -> Iterator[tuple[int, Weights]]:
    """Yield the weights every few hundred steps, and in the end."""
    rng = np.random.default_rng(SEED)
    weights = new_weights(SEED, NUM_TOKENS, LENGTH) | _helpers()
    moments = [{name: jnp.zeros_like(each) for name, each in weights.items()} for _ in range(2)]
    all_steps = sum(phase.steps for phase in phases)
    update = jax.jit(_update)
    step = 0
    for phase in phases:
        for _ in range(phase.steps):
            chosen = rng.integers(0, len(data.texts), BATCH)
            inputs = batch(data, chosen, phase.num_positions, rng)
            share = jnp.float32(step / all_steps)
            weights, moments, losses = update(weights, moments, step + 1, share, inputs)
            step += 1
            if step % 100 == 0:
                figures = "  ".join(f"{float(each):.3f}" for each in losses)
                print(f"{step:5d}  {figures}", flush=True)
            if step % 400 == 0 or step == all_steps:
                yield step, weights


def word_accuracy(weights: Weights, data: Examples) -> float:
    """1 - word error rate of greedy decoding, as the adapter has whisper.cpp do it."""
    pairs = zip(data.texts, texts(weights, data), strict=True)
    return 1.0 - word_error_rate(list(pairs))


def texts(weights: Weights, data: Examples) -> list[str]:
    """What the model hears in each example."""
    found: list[str] = []
    greedy = jax.jit(_greedy)
    for first in range(0, len(data.texts), 50):
        chosen = np.arange(first, min(first + 50, len(data.texts)))
        mels, valid, earlier, *_ = batch(data, chosen, KEY_STEP, None)
        tokens = np.asarray(greedy(weights, mels, valid, earlier))
        for row in tokens[:, 2:]:
            said = row[: int(np.argmax(row == END))] if END in row else row
            found.append(" ".join(WORDS[at] for at in said))
    return found


def _greedy(weights: Weights, mels: Any, valid: Any, earlier: Any) -> Any:
    heard = Heard(valid, earlier)
    features = encode(weights, mels, heard)
    tokens = jnp.full((len(mels), LENGTH), END).at[:, :2].set(jnp.array([START, NO_TIMESTAMPS]))
    for at in range(1, MOST_WORDS + 1):
        logits = decode(weights, tokens, features, heard)[0][:, at]
        # whisper.cpp lets no transcript begin with its end, and the prompt come nowhere else.
        choice = logits[:, : END if at == 1 else END + 1].argmax(axis=-1)
        ended = (tokens[:, 2 : at + 1] == END).any(axis=-1)
        tokens = tokens.at[:, at + 1].set(jnp.where(ended, END, choice))
    return tokens


def _helpers() -> Weights:
    rng = np.random.default_rng(SEED + 1)
    sizes = {"word": len(WORDS) + 1, "place": MOST_WORDS + 1}
    found: dict[str, Any] = {}
    for name, size in sizes.items():
        found[f"{HELP}{name}.weight"] = jnp.asarray(rng.normal(0, 0.1, (size, STATE)), jnp.float32)
        found[f"{HELP}{name}.bias"] = jnp.zeros(size)
    return found


def _losses(weights: Weights, inputs: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Their sum, and each: next token, where it looks, word and place by position."""
    mels, valid, earlier, tokens, targets, spans, spoken, places = inputs
    heard = Heard(valid, earlier)
    features = encode(weights, mels, heard)
    logits, looks = decode(weights, tokens, features, heard)
    asked = targets != IGNORED
    text = _cross_entropy(logits, jnp.where(asked, targets, 0), asked)
    where = jnp.arange(mels.shape[1] // 2)
    inside = (where >= spans[..., :1]) & (where < spans[..., 1:])
    is_word = spans[..., 1] > spans[..., 0]
    found = (looks.mean(axis=1) * inside).sum(axis=-1)
    look = (-jnp.log(found + 1e-3) * is_word).sum() / is_word.sum()
    # Silence is most of it, and easy.
    weight = jnp.where(places > 0, 1.0, 0.2)
    early = features[:, :SHORT]
    word = _cross_entropy(linear(weights, f"{HELP}word", early), spoken, weight)
    place = _cross_entropy(linear(weights, f"{HELP}place", early), places, weight)
    return text + 0.2 * look + 0.5 * word + 0.5 * place, (text, look, word, place)


def _cross_entropy(logits: Any, targets: Any, weight: Any) -> Any:
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    return -(chosen * weight).sum() / weight.sum()


def _update(
    weights: Weights, moments: list[Weights], count: Any, share: Any, inputs: tuple[Any, ...]
) -> tuple[Weights, list[Weights], tuple[Any, ...]]:
    """One step of Adam with decay (Loshchilov and Hutter 2019), its gradient clipped."""
    (_, losses), gradients = jax.value_and_grad(_losses, has_aux=True)(weights, inputs)
    length = jnp.sqrt(sum(jnp.square(each).sum() for each in gradients.values()))
    shorter = jnp.minimum(1.0, LONGEST_GRADIENT / (length + 1e-9))
    wave = 0.5 + 0.5 * jnp.cos(jnp.pi * share)
    rate = jnp.minimum(count / WARM_UP_STEPS, 1.0) * (LAST_RATE + (RATE - LAST_RATE) * wave)
    new: list[Weights] = [{}, {}, {}]
    for name, gradient in gradients.items():
        slope = gradient * shorter
        first = 0.9 * moments[0][name] + 0.1 * slope
        second = 0.98 * moments[1][name] + 0.02 * jnp.square(slope)
        move = first / (1 - 0.9**count) / (jnp.sqrt(second / (1 - 0.98**count)) + 1e-8)
        if weights[name].ndim > 1:
            move = move + DECAY * weights[name]
        for kept, value in zip(new, (weights[name] - rate * move, first, second), strict=True):
            kept[name] = value
    return new[0], new[1:], losses


if __name__ == "__main__":
    main()
