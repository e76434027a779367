"""What machine this is, and what it was doing meanwhile.

Linux tells all of it under /proc. Where a system does not tell (macOS has no steal, and no /proc),
the answer is None, never a guess.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

PACKAGES: Final = (
    "edge-assistant",
    "llama-cpp-python",
    "numpy",
    "onnxruntime",
    "piper-tts",
    "pywhispercpp",
    "soxr",
)
"""Distributions whose version changes what a bench measures; those not installed are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine, for the report. None: it does not say."""

    cpu: str | None
    cores: int | None
    """Logical cores that this process may use."""
    ram_bytes: int | None
    system: str
    python: str
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process tree has used since it began."""

    cpu_s: float
    """User and system time, with that of children that have ended and were waited for."""
    peak_rss_bytes: int
    """Sum of the peaks of the processes alive now: an upper bound where there are several."""


def this_machine(proc: Path = PROC) -> Machine:
    """Describe the machine that this process runs on."""
    return Machine(
        cpu=_cpu_model(proc),
        cores=cores(),
        ram_bytes=_ram_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions=dict(_versions()),
    )


def cores() -> int | None:
    """Logical cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count()


def load_average() -> float | None:
    """Load average of the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def steal_s(proc: Path = PROC) -> float | None:
    """CPU seconds that the hypervisor has taken away since boot, over all cores."""
    times = _cpu_times(proc)
    return times[7] if times is not None and len(times) > 7 else None


def busy_s(proc: Path = PROC) -> float | None:
    """CPU seconds that all processes together have used since boot."""
    times = _cpu_times(proc)
    if times is None or len(times) < 7:
        return None
    user, nice, system, _idle, _iowait, irq, softirq = times[:7]
    return user + nice + system + irq + softirq


def tree_usage(session: int, proc: Path = PROC) -> Usage | None:
    """What the processes of one session have used; None where /proc does not tell or none is left.

    Args:
        session: id of the session, which is the process id of its leader.
        proc: where the kernel tells.
    """
    ticks, peak, found = 0, 0, False
    for stat in _stats(proc):
        fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
        if len(fields) > 14 and int(fields[3]) == session:
            found = True
            ticks += sum(int(value) for value in fields[11:15])
            peak += _peak_rss_bytes(proc / stat.split(" ", 1)[0] / "status")
    if not found:
        return None
    return Usage(cpu_s=ticks / os.sysconf("SC_CLK_TCK"), peak_rss_bytes=peak)


def _stats(proc: Path) -> Iterator[str]:
    try:
        names = os.listdir(proc)  # noqa: PTH208 - the names are all we need, hundreds of them
    except OSError:
        return
    for name in names:
        if name.isdigit():
            text = _read(proc / name / "stat")
            if text is not None:  # it may have ended since
                yield text


def _peak_rss_bytes(status: Path) -> int:
    for line in (_read(status) or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu_times(proc: Path) -> tuple[float, ...] | None:
    """The fields of the first line of /proc/stat (proc(5)), in seconds."""
    first = (_read(proc / "stat") or "").partition("\n")[0].split()
    if not first or first[0] != "cpu":
        return None
    return tuple(int(value) / os.sysconf("SC_CLK_TCK") for value in first[1:])


def _cpu_model(proc: Path) -> str | None:
    # A Raspberry Pi names the board, x86 the processor.
    board = _read(proc / "device-tree" / "model")
    if board:
        return board.strip("\0\n ")
    for line in (_read(proc / "cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    if platform.system() == "Darwin":
        return _ask("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or None


def _ram_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _ask(*command: str) -> str | None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return None
