"""Real recordings for measuring; never part of the repository."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from tests.pipe.client import RATE, Sound


@dataclass(frozen=True, kw_only=True)
class Recording:
    path: Path
    text: str
    seconds: float
    facts: dict[str, Any]

    def sound(self) -> Sound:
        """Mono, 16 kHz."""
        samples, rate = soundfile.read(self.path, dtype="float32", always_2d=True)
        return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE), dtype=np.float32)


def speech_folder() -> Path | None:
    """Where the recordings are: EDGE_ASSISTANT_SPEECH, or `shared/speech` beside the checkout."""
    named = os.environ.get("EDGE_ASSISTANT_SPEECH")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "speech"
    return folder if (folder / "manifest.jsonl").is_file() else None


def recordings(prefix: str) -> list[Recording]:
    """All recordings whose file begins with `prefix`, in the manifest's order.

    Raises:
        SystemExit: there are no recordings on this machine.
    """
    folder = speech_folder()
    if folder is None:
        raise SystemExit("no recordings: set EDGE_ASSISTANT_SPEECH to a folder with manifest.jsonl")
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    return [
        Recording(
            path=folder / entry["file"],
            text=entry.get("text") or "",
            seconds=entry["seconds"],
            facts=entry,
        )
        for entry in entries
        if entry["file"].startswith(prefix)
    ]
