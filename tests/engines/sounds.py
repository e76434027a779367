"""Sounds that hold no speech, made from formulas, the same on every machine."""

from __future__ import annotations

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), dtype=np.float32)


def white_noise(seconds: float, *, dbfs: float, seed: int = 0) -> Samples:
    noise = np.random.default_rng(seed).normal(size=int(seconds * SAMPLE_RATE))
    return np.asarray(noise * 10 ** (dbfs / 20), dtype=np.float32)


def tone(seconds: float, *, dbfs: float, hz: float = 440.0) -> Samples:
    turns = hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(10 ** (dbfs / 20) * np.sqrt(2) * np.sin(2 * np.pi * turns), dtype=np.float32)
