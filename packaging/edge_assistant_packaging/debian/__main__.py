"""`python -m edge_assistant_packaging.debian`: what `make deb` runs."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.store import default_root
from edge_assistant_packaging.debian.package import ARCHITECTURES, Order, build, this_platform
from edge_assistant_packaging.epoch import source_date_epoch
from edge_assistant_packaging.staging import default_cache
from edge_assistant_packaging.wheels import house
from edge_assistant_packaging.wheels.target import Target

GATHERED = Path("build/deb/wheels")


def main(arguments: list[str] | None = None) -> int:
    """Make the packages and name them; the exit code."""
    given = _arguments().parse_args(arguments)
    try:
        target = Target(platform=given.platform, cpu=given.cpu)
        order = _order(given, target)
        if order.wheels == GATHERED:
            _gather(order, target)
        with tempfile.TemporaryDirectory(prefix="edge-assistant-deb-") as workspace:
            for path in build(order, Path(workspace)):
                print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    except EdgeAssistantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make deb", description=__doc__)
    parser.add_argument(
        "--wheels",
        type=Path,
        default=GATHERED,
        help="folder of wheels to take as they are; else those of this checkout are gathered",
    )
    parser.add_argument(
        "--models", type=Path, default=default_root(), help="store that has the starter pack"
    )
    parser.add_argument("--no-models", action="store_true", help="only the program")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"))
    parser.add_argument("--platform", choices=sorted(ARCHITECTURES), default=this_platform())
    parser.add_argument("--revision", type=int, default=1)
    parser.add_argument("--cpu", help="which processors llama.cpp is compiled for")
    parser.add_argument("--cpu-flags", help="what the llama.cpp of the wheels needs of a processor")
    parser.add_argument("--maintainer", default="Edge Assistant <edge-assistant@localhost>")
    return parser


def _order(given: argparse.Namespace, target: Target) -> Order:
    features = target.processor.features
    if given.cpu_flags is not None:
        features = tuple(given.cpu_flags.split())
    return Order(
        wheels=given.wheels,
        models=None if given.no_models else given.models,
        output=given.output,
        platform=given.platform,
        revision=given.revision,
        made_at_s=source_date_epoch() if "SOURCE_DATE_EPOCH" in os.environ else _committed_at_s(),
        maintainer=given.maintainer,
        cpu_flags=features,
    )


def _gather(order: Order, target: Target) -> None:
    """The wheels of this checkout as it is now, and of all that it needs, as for a bundle."""
    order.wheels.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=order.wheels.parent) as draft:
        filled = Path(draft) / "wheels"
        house.fill(
            filled,
            target,
            cache=default_cache(),
            made_at_s=order.made_at_s,
            wheels_from=None,
            permissive_only=False,
        )
        shutil.rmtree(order.wheels, ignore_errors=True)
        filled.replace(order.wheels)


def _committed_at_s() -> int:
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else int(time.clock_gettime(0))


if __name__ == "__main__":
    sys.exit(main())
