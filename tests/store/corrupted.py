"""Spoiled model files against the store, as tests and as a command that prints counts and times.

python -m tests.store.corrupted             200 against `Store.open`, 12,500 against the parsers
python -m tests.store.corrupted --unlisted  and 200 by their path, with a run in a child each
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_assistant.errors import ModelError
from edge_assistant.store import Store
from edge_assistant.store.entry import Kind
from edge_assistant.store.headers import sniff
from edge_assistant.store.store import default_root
from tests.fakes.model_files import GOOD, corruptions
from tests.store.build import ENGINES, install, known_models, store_of
from tests.store.hostile import GOOD_ENOUGH_S, attack, bases, real_base

NATIVE = ("pywhispercpp", "llama_cpp", "onnxruntime")
PER_FORMAT = 50
PER_BASE = 2500
PER_REAL = 400
REAL = (".gguf", ".ort", ".onnx", ".bin")


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


def run_hostile(name: str, count: int, seed: int = 5) -> dict[str, Any]:
    """Attack one parser; `name` is that of a made file, or the path of a real one."""
    made = {base.name: base for base in bases()}
    base = made[name] if name in made else real_base(Path(name))
    with tempfile.TemporaryDirectory() as folder:
        return vars(attack(base, Path(folder), count, seed, guard=True))


def _hostile() -> bool:
    """Attack every parser in a child of its own, so that a death can be counted."""
    real = [path for path in default_root().glob("*/*") if path.suffix in REAL and sniff(path)]
    work = [(base.name, PER_BASE) for base in bases()] + [(str(path), PER_REAL) for path in real]
    total: Counter[str] = Counter()
    refused: list[tuple[float, float]] = []
    worst: tuple[Any, ...] = (0.0, 0.0, "")
    for name, count in work:
        command = [sys.executable, "-m", "tests.store.corrupted", "--hostile", name, str(count)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
        if done.returncode != 0:
            total["deaths"] += 1
            print(f"{Path(name).name}: the process ended with {done.returncode}")
            continue
        found = json.loads(done.stdout)
        for key in ("crashes", "hangs", "unprintable"):
            total[key] += len(found[key])
            print("".join(f"{key}: {line}\n" for line in found[key][:5]), end="")
        total["inputs"] += found["inputs"]
        total["accepted"] += sum(found["accepted"].values())
        times = list(zip(found["refused_s"], found["refused_cpu_s"], strict=True))
        refused += times
        worst = max(worst, tuple(found["worst"]))
        print(f"{Path(name).name}: {found['inputs']} inputs, refused {len(times)}", end="")
        print(f", accepted {found['accepted']}; {_times(times, found['worst'])}")
    print(f"all: {dict(total)}, refused {len(refused)}; {_times(refused, worst)}")
    return not any(total[key] for key in ("deaths", "crashes", "hangs", "unprintable"))


def _times(refused: list[tuple[float, float]], worst: Sequence[Any]) -> str:
    slow = sum(took_s >= GOOD_ENOUGH_S for took_s, _ in refused)
    slow_cpu = sum(cpu_s >= GOOD_ENOUGH_S for _, cpu_s in refused)
    return (
        f"refused in p50 {statistics.median(took_s for took_s, _ in refused) * 1e3:.2f} ms, "
        f"{GOOD_ENOUGH_S * 1e3:.0f} ms or more: {slow_cpu} of the CPU, {slow} by the clock; "
        f"worst {worst[0] * 1e3:.1f} ms of the CPU ({worst[1] * 1e3:.1f} by the clock: {worst[2]})"
    )


def main(arguments: list[str]) -> int:
    """Print the counts; the files are opened in children, so that a death can be counted."""
    if arguments[:1] == ["--hostile"]:
        print(json.dumps(run_hostile(arguments[1], int(arguments[2]))))
        return 0
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
    print(f"process deaths: {int(code < 0)}", flush=True)
    return abs(code) if code else int(not _hostile())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
