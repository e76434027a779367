"""A bundle of 16 KiB for tests: real files, a key of its own, nothing of the clock."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from edge_assistant_packaging.bundle.build import Built, Facts, build
from edge_assistant_packaging.signing import KeyPair

BUNDLE_BYTES: Final = 16 * 1024
PAIR: Final = KeyPair(key_id=b"testonly", seed=bytes(range(32)))
LONG: Final = (
    "wheels/charset_normalizer-3.4.4-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"
    ".manylinux_2_28_x86_64.whl"
)
"""A wheel whose name does not fit into a plain header."""
FACTS: Final = Facts(
    name="kiosk",
    version="0.1.0",
    build=7,
    platform="linux-x86_64",
    profile="kiosk",
    python="3.11",
    cpu_flags="x86-64-v3",
    cpu_features="avx2 fma",
    is_permissive_only=False,
    made_at_s=1_700_000_000,
)


def stage(folder: Path, seed: int = 0) -> Path:
    """Fill a folder with what makes a bundle of `BUNDLE_BYTES`."""
    noise = random.Random(seed)
    sizes = {LONG: 1500, "models/vad/silero_vad.onnx": 3584, "models/empty": 0, "sbom.cdx.json": 77}
    for name, size_bytes in sizes.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(noise.randbytes(size_bytes))
    (folder / "config").mkdir()
    (folder / "config" / "config.toml").write_text("[turns]\nlisten = 'open'\n")
    script = folder / "install.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    return folder


def make(folder: Path, name: str = "kiosk.bundle", facts: Facts = FACTS) -> Built:
    """Stage and build below `folder`."""
    staging = stage(folder / f"staging-{name}")
    return build(staging, facts, folder / name, PAIR)
