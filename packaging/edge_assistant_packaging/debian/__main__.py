"""`python -m edge_assistant_packaging.debian`: what `make deb` runs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.store import default_root
from edge_assistant_packaging.debian.package import ARCHITECTURES, Order, build, this_platform
from edge_assistant_packaging.errors import ShippingError

PORTABLE_BUILD = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"
"""llama.cpp for any x86-64 with AVX2 (since 2013), or any 64-bit ARM."""
PORTABLE_FLAGS = {"linux-x86_64": "avx2 fma f16c bmi2", "linux-aarch64": ""}


def main(arguments: list[str] | None = None) -> int:
    """Make the packages and name them; the exit code."""
    order = _order(arguments)
    try:
        if not any(order.wheels.glob("*.whl")):
            _fetch(order.wheels)
        with tempfile.TemporaryDirectory(prefix="edge-assistant-deb-") as workspace:
            for path in build(order, Path(workspace)):
                print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    except EdgeAssistantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _order(arguments: list[str] | None) -> Order:
    parser = argparse.ArgumentParser(prog="make deb", description=__doc__)
    parser.add_argument(
        "--wheels",
        type=Path,
        default=Path("build/deb/wheels"),
        help="folder of wheels; an empty one is filled from the package index",
    )
    parser.add_argument(
        "--models", type=Path, default=default_root(), help="store that has the starter pack"
    )
    parser.add_argument("--no-models", action="store_true", help="only the program")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"))
    parser.add_argument("--platform", choices=sorted(ARCHITECTURES), default=this_platform())
    parser.add_argument("--revision", type=int, default=1)
    parser.add_argument("--cpu-flags", help="what the llama.cpp of the wheels needs of a processor")
    parser.add_argument("--maintainer", default="Edge Assistant <edge-assistant@localhost>")
    given = parser.parse_args(arguments)
    flags = PORTABLE_FLAGS[given.platform] if given.cpu_flags is None else given.cpu_flags
    return Order(
        wheels=given.wheels,
        models=None if given.no_models else given.models,
        output=given.output,
        platform=given.platform,
        revision=given.revision,
        made_at_s=int(os.environ.get("SOURCE_DATE_EPOCH") or _committed_at_s()),
        maintainer=given.maintainer,
        cpu_flags=tuple(flags.split()),
    )


def _fetch(folder: Path) -> None:
    """Wheels of this checkout and of all that it needs, llama.cpp compiled to be passed on."""
    environ = {"CMAKE_ARGS": PORTABLE_BUILD, **os.environ}
    # pip's cache may hold a llama.cpp for this very processor.
    command = [sys.executable, "-m", "pip", "wheel", "--no-cache-dir", "-w", str(folder), "."]
    if subprocess.call(command, env=environ) != 0:
        raise ShippingError(
            "wheels-not-made", "pip could not make all wheels", "see the lines above"
        )


def _committed_at_s() -> int:
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else int(time.clock_gettime(0))


if __name__ == "__main__":
    sys.exit(main())
