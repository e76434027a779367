"""What `make gate` does: this checkout and the pinned baseline, held against each other in one run.

    python packaging/gate.py [--count 20] [-o DIR]

A DIR that holds a run already is gone on with. Exit code 1: this checkout is worse.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import baseline
import bootstrap

LIMITS = bootstrap.ROOT / "edge_assistant" / "bench" / "gate.toml"
RUNS = bootstrap.ROOT / "build" / "gate"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gate.py", description="Judge this checkout.")
    parser.add_argument("--count", type=int, default=20, help="trials of each scenario")
    parser.add_argument("-o", "--out", type=Path, help="folder of the run; without it: a new one")
    asked = parser.parse_args(argv)
    out = (asked.out or RUNS / datetime.now().strftime("%Y-%m-%d-%H%M%S")).resolve()
    os.chdir(bootstrap.ROOT)
    try:
        bootstrap.check_python()
        bootstrap.setup([])
        pinned = baseline.make(baseline.pinned())
        for command in commands(pinned, out, asked.count):
            bootstrap.say(f"$ {' '.join(command)}")
            code = subprocess.call(command)
            if code != 0:
                return code
    except bootstrap.SetupFailed as failure:
        print(f"\ngate failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'\ninterrupted; to go on: make gate ARGS="-o {out}"', file=sys.stderr)
        return 130
    return 0


def commands(pinned: Path, out: Path, count: int) -> list[list[str]]:
    """The run, begun or gone on with, and its judgement."""
    bench = [bootstrap.python(), "-I", "-m", "edge_assistant", "bench"]
    run = ["--system", baseline.system("baseline", pinned)]
    run += ["--system", baseline.system("candidate", bootstrap.ROOT)]
    run += ["--scenarios", ",".join(scenarios()), "--count", str(count)]
    if (out / "plan.json").exists():
        run = ["--resume"]
    return [[*bench, *run, "-o", str(out)], [*bench, "gate", str(out)]]


def scenarios() -> list[str]:
    """Those that the gate has limits for."""
    import tomllib

    limits = tomllib.loads(LIMITS.read_text("utf-8"))["limits"]
    return list(dict.fromkeys(each["scenario"] for each in limits if "scenario" in each))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
