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


SOUND = {
    "metadata that paint",
    "properties without end",
    "a property that paints",
    "one tensor, sound",
    "tensors as many as allowed",
    "strings as many as allowed",
    "phonemes of many ids",
    "a licence that paints",
}
"""Odd, but no harm to any library: what cannot be shown is left out."""


@pytest.mark.parametrize("name", COUNTS)
def test_of_those_made_by_hand_only_sound_ones_are_accepted(name: str, tmp_path: Path) -> None:
    base = base_of(name)
    outcome = attack(base, tmp_path, len(base.by_hand), seed=0)
    names = {f"by hand: {what}" for what, _ in base.by_hand}
    assert outcome.refused.keys() | outcome.accepted.keys() == names
    assert set(outcome.accepted) == {f"by hand: {what}" for what in SOUND} & names
