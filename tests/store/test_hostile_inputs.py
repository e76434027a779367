"""Thousands of inputs made to break a parser: refused, or harmless, and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.store.hostile import VOICE, Base, attack, bases

COUNTS = {"model.bin": 150, "model.gguf": 1300, "model.onnx": 1300, "model.ort": 1000, VOICE: 1300}
"""`python -m tests.store.corrupted` does more, with a guard against hangs, and takes the time."""


@cache
def base_of(name: str) -> Base:
    """Made when the first test wants it: some take a second."""
    return next(base for base in bases() if base.name == name)


@pytest.mark.parametrize("name", COUNTS)
def test_hostile_inputs_are_refused_or_harmless(name: str, tmp_path: Path) -> None:
    base = base_of(name)
    outcome = attack(base, tmp_path, COUNTS[name], seed=5)
    assert outcome.crashes == []
    assert outcome.unprintable == []
    assert outcome.inputs == COUNTS[name]
    assert outcome.refused.total() + outcome.accepted.total() == outcome.inputs
    assert outcome.refused.total() > outcome.inputs / 3
    # A flatbuffer ends in padding, which is part of nothing; of the others every byte is needed.
    needed = base.size_bytes - 8 if base.form == "ort" else base.size_bytes
    assert all(size >= needed for size in outcome.accepted_cuts)


def test_what_is_made_by_hand_is_refused_but_for_what_is_sound() -> None:
    accepted = {
        "metadata that paint",
        "as deep as allowed",
        "properties without end",
        "a property that paints",
        "one tensor, sound",
        "dimensions that multiply",
        "100,000 tensors that are one",
        "phonemes of many ids",
        "a licence that paints",
    }
    names = {what for name in COUNTS for what, _ in base_of(name).by_hand}
    assert accepted < names
    assert len(names) > 25
