"""200 spoiled model files against `Store.open`, as a test and as a command that prints counts.

python -m tests.store.corrupted
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from edge_assistant.errors import ModelError
from edge_assistant.store import Store
from edge_assistant.store.entry import Kind
from tests.fakes.model_files import GOOD, corruptions
from tests.store.build import ENGINES, install, known_models, store_of

NATIVE = ("pywhispercpp", "llama_cpp", "onnxruntime")
PER_FORMAT = 50


@dataclass(kw_only=True)
class Outcome:
    """What became of the files."""

    accepted_good: int = 0
    good: int = 0
    refused: int = 0
    spoiled: int = 0
    accepted: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    without_way_out: list[str] = field(default_factory=list)


def run(root: Path, per_format: int = PER_FORMAT, seed: int = 20) -> Outcome:
    """Open every good file, then every spoiled one in its place, as a disk or a bad copy would."""
    store = store_of(root, *known_models())
    outcome = Outcome()
    for index, name in enumerate(GOOD):
        model_id = ENGINES[name][0]
        path = install(store, model_id, GOOD[name])
        outcome.good += 1
        outcome.accepted_good += store.open(model_id).path == path
        for what, data in corruptions(name, per_format, seed + index):
            path.write_bytes(data)
            outcome.spoiled += 1
            _try(store, model_id, f"{name}, {what}", outcome)
        path.write_bytes(GOOD[name]())
        outcome.good += 1
        outcome.accepted_good += store.open(model_id).path == path
    return outcome


def _try(store: Store, model_id: str, what: str, outcome: Outcome) -> None:
    try:
        store.open(model_id)
    except ModelError as error:
        outcome.refused += 1
        outcome.codes[error.code] += 1
        if not (error.message and error.hint):
            outcome.without_way_out.append(what)
    else:
        outcome.accepted.append(what)


def run_unlisted(root: Path, per_format: int, seed: int = 20) -> Counter[str]:
    """Open spoiled files by their path: nobody has a hash of them, header and child must do."""
    store = store_of(root / "store")
    outcome: Counter[str] = Counter()
    for index, name in enumerate(GOOD):
        path = root / name
        kind: Kind | None = "vad" if name == "model.onnx" else None
        for what, data in corruptions(name, per_format, seed + index):
            if what == "wrong type":
                continue  # by its path, a sound file of another type is simply that type
            path.write_bytes(data)
            label = "flipped" if what.startswith("bit") else "other"
            try:
                store.open(path, kind)
            except ModelError as error:
                died = "ended by SIG" in error.message
                outcome[f"{label}: {'child died, we did not' if died else error.code}"] += 1
            else:
                outcome[f"{label}: accepted"] += 1
    return outcome


def main(arguments: list[str]) -> int:
    """Print the counts; the files are opened in a child, so that a death can be counted."""
    if arguments[:1] == ["--child"]:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(Path(folder))
            print(f"good files accepted: {outcome.accepted_good}/{outcome.good}")
            print(f"spoiled files refused: {outcome.refused}/{outcome.spoiled}", end="; ")
            print(f"{dict(outcome.codes)}; accepted: {outcome.accepted}")
            if arguments[1:] == ["--unlisted"]:
                print(f"named by path: {dict(run_unlisted(Path(folder), PER_FORMAT))}")
        return 0 if outcome.refused == outcome.spoiled else 1
    command = [sys.executable, "-m", "tests.store.corrupted", "--child", *arguments]
    code = subprocess.run(command, check=False).returncode
    print(f"process deaths: {int(code < 0)}")
    return abs(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
