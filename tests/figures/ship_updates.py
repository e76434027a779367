"""Figures of deltas and of the voice that is a program; run it, it prints a table.

    python -m tests.figures.ship_updates [FOLDER]

Two bundles are made of the models of the starter pack that are installed here (as large as a real
one, without wheels), build 2 with one file of 1 MB changed; then the delta, and the bundle of it.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge_assistant_packaging.bundle.build import Facts, build
from edge_assistant_packaging.bundle.verify import verify
from edge_assistant_packaging.signing import generate
from edge_assistant_packaging.updates.delta import apply_delta, make_delta

from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.store.store import default_root
from edge_assistant.tts.espeak_program import EspeakProgramVoice, program_version

SENTENCE = "The weather in the north will be dry and mild until the evening."
ROUNDS = 30
FACTS = Facts(
    name="figures",
    version="0.1.0",
    build=1,
    platform="linux-x86_64",
    profile="starter",
    python="3.11",
    cpu_flags="",
    cpu_features="",
    is_permissive_only=False,
    made_at_s=1_700_000_000,
)


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        deltas(Path(folder))
    voice()


def deltas(folder: Path) -> None:
    """Make, and apply, a delta between two bundles of real models."""
    pair = generate()
    staging = folder / "staging"
    shutil.copytree(default_root(), staging / "models", ignore=shutil.ignore_patterns(".*"))
    (staging / "install.sh").write_text("#!/bin/sh\n")
    changed = staging / "wheels" / "edge_assistant-0.1.0-py3-none-any.whl"
    changed.parent.mkdir()
    for number in (1, 2):
        changed.write_bytes(random.Random(number).randbytes(1_000_000))
        facts = replace(FACTS, build=number)
        build(staging, facts, folder / f"{number}.bundle", pair)
    old, new = folder / "1.bundle", folder / "2.bundle"
    told("bundle", f"{new.stat().st_size / 1e6:.1f} MB")
    key = pair.public
    told("verify", timed(lambda: verify(new, key)))
    told("delta, made", timed(lambda: make_delta(old, new, folder / "x.delta", key)))
    told("delta", f"{(folder / 'x.delta').stat().st_size / 1e6:.2f} MB")
    made = folder / "made.bundle"
    told("delta, applied", timed(lambda: apply_delta(old, folder / "x.delta", made, key)))
    told("the same bytes", str(made.read_bytes() == new.read_bytes()))


def voice() -> None:
    """Time to a sentence, and from cancelling to a child that is gone."""
    speaker = EspeakProgramVoice("en-us")
    told("espeak-ng", program_version())
    firsts, ends, sound_s = [], [], 0.0
    for _ in range(ROUNDS):
        begun_s = time.monotonic()
        (chunk,) = speaker.synthesize(SENTENCE, CancelToken())
        firsts.append(time.monotonic() - begun_s)
        sound_s = len(chunk.samples) / speaker.sample_rate
    with tempfile.TemporaryDirectory() as folder:
        slow = Path(folder) / "espeak-ng"
        real = speaker.program
        slow.write_text(f'#!/bin/sh\n[ -e "{folder}/armed" ] && exec sleep 60\nexec {real} "$@"\n')
        slow.chmod(0o755)
        hanging = EspeakProgramVoice("en-us", program=str(slow))
        (Path(folder) / "armed").touch()
        ends = [cancelled_after(hanging) for _ in range(ROUNDS)]
    told(f"a sentence of {sound_s:.1f} s", spread(firsts))
    told("cancelled, child reaped, call ended", spread(ends))
    told("load", f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def cancelled_after(hanging: EspeakProgramVoice) -> float:
    """From `cancel` to the end of the call, of a child that gives nothing."""
    token = CancelToken()
    at_s = [0.0]

    def cancel() -> None:
        at_s[0] = time.monotonic()
        token.cancel("figure")

    timer = threading.Timer(0.1, cancel)
    timer.start()
    try:
        list(hanging.synthesize(SENTENCE, token))
    except TurnCancelled:
        ended_s = time.monotonic()
    timer.join()
    return ended_s - at_s[0]


def timed(work: Callable[[], object]) -> str:
    """How long it took."""
    begun_s = time.monotonic()
    work()
    return f"{time.monotonic() - begun_s:.2f} s"


def spread(values_s: list[float]) -> str:
    """Median and the longest, in ms."""
    return f"median {statistics.median(values_s) * 1e3:.1f} ms, longest {max(values_s) * 1e3:.1f}"


def told(what: str, figure: str) -> None:
    """One line."""
    print(f"{what:40} {figure}", flush=True)


if __name__ == "__main__":
    main()
