"""Two bundles of one product, the second with something new, and a catalog that names them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from edge_assistant_packaging.bundle.build import Built, build

from tests.shipping.small_bundle import FACTS, PAIR, stage

NEW_BYTES = 700


def make_two(folder: Path) -> tuple[Built, Built]:
    """Builds 7 and 8; the new one has a changed file, one that is there twice, and one less."""
    staged = stage(folder / "staging-old")
    old = build(staged, FACTS, folder / "old.bundle", PAIR)
    noise = random.Random(8).randbytes(NEW_BYTES)
    for name in ("models/vad/new.onnx", "models/vad/again.onnx"):
        (staged / name).write_bytes(noise)
    (staged / "config" / "config.toml").write_text("[turns]\nlisten = 'push'\n")
    (staged / "sbom.cdx.json").unlink()
    new = build(staged, replace(FACTS, build=8), folder / "new.bundle", PAIR)
    return old, new
