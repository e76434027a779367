"""Kills an upgrade at random instants: is what is installed afterwards the old version or the new?

`python -m tests.figures.ship_kills [--count 200] [--folder DIR] [--seed N]`. Linux only. Each time
the whole process group gets SIGKILL: half of the times anywhere in the run, half of them after the
new version's program is written, where the change-over is. Then the installed command must say one
whole version, and the next install must work and leave nothing of the killed one. It ends with 1
and says which kill it was if that does not hold.

SIGKILL is no power cut: what the kernel has, it keeps. The order in which things come to the disk
is not tried here.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.shipping.little_bundle import Machine, build, identity, said_by

POLL_S: Final = 0.001
GONE_TIMEOUT_S: Final = 30.0


class Kills:
    """One installation that is upgraded, killed on the way, and upgraded again.

    Args:
        folder: for bundles and a home; it must be empty.
        seed: of the instants.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        (folder / "home").mkdir()
        self._machine = Machine(folder / "home")
        self._number = 0
        self._old = self._next_bundle()
        self._install(self._old)
        self._whole_s, self._late_s = self._measure()
        self.seen: collections.Counter[str] = collections.Counter()
        """What was found after the kills: which version, and how far the new one had come."""

    @property
    def durations_s(self) -> tuple[float, float]:
        """Of an upgrade that nobody kills: all of it, and from the program's being written."""
        return self._whole_s, self._late_s

    def kill_once(self, *, is_late: bool) -> None:
        """Kill one upgrade, look at what is there, and upgrade again.

        Raises:
            AssertionError: it is neither the old version nor the new, or the next install fails.
        """
        while True:
            new = self._next_bundle()
            if self._killed(new, is_late=is_late):
                break
            self._check_installed(new)  # it was done before the kill came
        says = self._machine.says()
        allowed = {said_by(self._version(self._old)): "old", said_by(self._version(new)): "new"}
        assert says in allowed, says
        self.seen[f"{allowed[says]} in use, {self._state_of(new)}"] += 1
        self._install(new)
        self._check_installed(new)

    def _measure(self) -> tuple[float, float]:
        new = self._next_bundle()
        started = time.monotonic()
        process = self._start(new)
        written_s = self._wait(process, self._program(new).exists) - started
        process.wait()
        whole_s = time.monotonic() - started
        self._check_installed(new)
        return whole_s, whole_s - written_s

    def _killed(self, bundle: Path, *, is_late: bool) -> bool:
        process = self._start(bundle)
        if is_late:
            self._wait(process, self._program(bundle).exists)
        time.sleep(self._random.uniform(0, self._late_s if is_late else self._whole_s))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        deadline_s = time.monotonic() + GONE_TIMEOUT_S
        while _is_alive(process.pid):
            assert time.monotonic() < deadline_s, "killed processes stay"
            time.sleep(POLL_S)
        return process.returncode == -signal.SIGKILL

    def _check_installed(self, bundle: Path) -> None:
        machine = self._machine
        names = {identity(self._old), identity(bundle)}
        assert machine.says() == said_by(self._version(bundle)), machine.says()
        assert set(machine.versions()) == names, machine.versions()
        assert (machine.prefix / "previous").resolve().name == identity(self._old)
        found = {each.name for each in machine.prefix.iterdir()}
        usual = {"versions", "current", "previous", "command", ".edge-assistant.lock"}
        assert found == usual, found
        shutil.rmtree(self._old)
        self._old = bundle

    def _state_of(self, bundle: Path) -> str:
        folder = self._machine.prefix / "versions" / identity(bundle)
        if not folder.exists():
            return "nothing of the new one"
        return "the new one complete" if (folder / "complete").exists() else "a part of the new one"

    def _install(self, bundle: Path) -> None:
        run = self._machine.run(bundle)
        assert run.returncode == 0, run.stderr

    def _start(self, bundle: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sh", bundle / "install.sh"],
            env=self._machine.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait(self, process: subprocess.Popen[bytes], happens: Callable[[], bool]) -> float:
        while process.poll() is None and not happens():
            time.sleep(POLL_S)
        return time.monotonic()

    def _next_bundle(self) -> Path:
        self._number += 1
        version = f"1.{self._number}.0"
        return build(self._folder / f"bundle-{version}", version, number=self._number)

    def _version(self, bundle: Path) -> str:
        return bundle.name.removeprefix("bundle-")

    def _program(self, bundle: Path) -> Path:
        return self._machine.prefix / "versions" / identity(bundle) / "bin/edge-assistant"


def _is_alive(group: int) -> bool:
    """Whether a process of the group still is there and no zombie."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="on the disk to be tried; else a temporary one")
    parser.add_argument("--seed", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        kills = Kills(Path(folder), asked.seed)
        whole_s, late_s = kills.durations_s
        print(f"an upgrade takes {whole_s:.2f} s, the last {late_s:.2f} s of it the change-over")
        for number in range(asked.count):
            try:
                kills.kill_once(is_late=number % 2 == 1)
            except AssertionError as error:
                sys.exit(f"kill {number + 1} of seed {asked.seed}: {error}")
            if number % 20 == 19:
                print(f"{number + 1} kills", flush=True)
    print(f"{asked.count} kills: the old version or the new every time, the next install worked")
    for what, times in sorted(kills.seen.items()):
        print(f"  {times:4d}  {what}")


if __name__ == "__main__":
    main()
