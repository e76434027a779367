"""What this machine has, and what is left of it: cores, instruction sets, memory and its speed.

Linux tells under /proc and /sys, limits of a container (cgroup v1 and v2) included. macOS tells
less: what is not known is None or empty, and the smallest sensible guess is made where a number
must be.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge_assistant.bench.machine import this_machine as describe
from edge_assistant.fit.choose import Memory
from edge_assistant.fit.predict import Hardware
from edge_assistant.pipeline.load import available_cores

PROC: Final = Path("/proc")
SYS: Final = Path("/sys")

INSTRUCTION_SETS: Final = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("amx_int8", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve"),
)
"""Those that engines have kernels for, by the kernel's names: x86, then ARM."""

UNKNOWN_FREE_SHARE: Final = 0.6
"""Of the RAM, where the system does not say what is free (macOS)."""

READ_BYTES: Final = 256_000_000
"""For the bandwidth, all threads together: far more than caches hold."""
READ_SHARE: Final = 0.1
"""Of the free memory that is taken for it at most."""
READ_S: Final = 0.6
MATRIX: Final = 512
"""Rows and columns of a float32 product: 3 MB, which stays in the caches of a core."""
MATRIX_S: Final = 0.3
MAX_THREADS: Final = 4
"""As of the engines: see `pipeline.scheduler.Limits`."""

_NO_LIMIT: Final = 1 << 60
"""cgroup v1 says this much and more for `no limit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was found."""

    cpu: str | None
    system: str
    physical_cores: int | None
    usable_cores: int
    """Logical cores that this process may use: affinity, and the quota of its container."""
    instruction_sets: tuple[str, ...]
    memory: Memory
    limit: str
    """What limits the memory below what the machine has: `cgroup`, or empty."""


def look(models: Path, proc: Path = PROC, sys: Path = SYS) -> Machine:
    """Describe this machine as it is now; nothing is measured.

    Args:
        models: folder of the store, which may not be there yet.
        proc: where the kernel tells; a folder of files in tests.
        sys: as `proc`.
    """
    described = describe(proc)
    total, free = _memory(proc, described.ram_bytes)
    limit = ""
    for limit_bytes, used_bytes in _cgroup_memory(proc, sys):
        total = min(total, limit_bytes)
        if limit_bytes - used_bytes < free:
            free, limit = max(0, limit_bytes - used_bytes), "cgroup"
    return Machine(
        cpu=described.cpu,
        system=described.system,
        physical_cores=_physical_cores(sys),
        usable_cores=_usable_cores(proc, sys),
        instruction_sets=_instruction_sets(proc),
        memory=Memory(ram_bytes=total, free_bytes=free, disk_free_bytes=_disk_free(models)),
        limit=limit,
    )


def measure(machine: Machine) -> Hardware:
    """Read memory and multiply matrices for about a second, on as many threads as engines have."""
    threads = min(machine.usable_cores, MAX_THREADS)
    one = _matrix_flops(1)
    return Hardware(
        bandwidth_bytes_s=_bandwidth_bytes_s(threads, machine.memory.free_bytes),
        flops=one if threads == 1 else _matrix_flops(threads),
        flops_per_core=one,
    )


def _bandwidth_bytes_s(threads: int, free_bytes: int) -> float:
    size = max(8_000_000, min(READ_BYTES, int(READ_SHARE * free_bytes))) // threads // 4
    arrays = [np.ones(size, dtype=np.float32) for _ in range(threads)]
    # BLAS's dot product only reads, and numpy lets go of the GIL meanwhile.
    passes = _passes(threads, lambda index: np.dot(arrays[index], arrays[index]), READ_S)
    return passes * size * 4


def _matrix_flops(threads: int) -> float:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((MATRIX, MATRIX), dtype=np.float32)
    outs = [np.empty_like(matrix) for _ in range(threads)]
    passes = _passes(threads, lambda index: np.matmul(matrix, matrix, out=outs[index]), MATRIX_S)
    return passes * 2.0 * MATRIX**3


def _passes(threads: int, work: Callable[[int], object], length_s: float) -> float:
    """Calls of `work` per second, all threads together; the quicker half of the time counts.

    Threads of BLAS itself are not wanted here: the command line sets OMP_NUM_THREADS to 1.
    """
    took_s: list[list[float]] = [[] for _ in range(threads)]
    until_s = time.perf_counter() + length_s

    def run(index: int) -> None:
        while not took_s[index] or time.perf_counter() < until_s:
            began_s = time.perf_counter()
            work(index)
            took_s[index].append(time.perf_counter() - began_s)

    others = [threading.Thread(target=run, args=(index,)) for index in range(1, threads)]
    for each in others:
        each.start()
    run(0)
    for each in others:
        each.join()
    return sum(1 / float(np.median(each)) for each in took_s)


def _memory(proc: Path, ram_bytes: int | None) -> tuple[int, int]:
    """All of it, and what is free for a new process, in bytes."""
    fields = {
        key: int(rest.split()[0]) * 1024
        for key, colon, rest in (
            line.partition(":") for line in _text(proc / "meminfo").splitlines()
        )
        if colon and rest.split()[:1] and rest.split()[0].isdigit()
    }
    total = fields.get("MemTotal") or ram_bytes or 0
    return total, fields.get("MemAvailable", int(UNKNOWN_FREE_SHARE * total))


def _cgroup_memory(proc: Path, sys: Path) -> list[tuple[int, int]]:
    """Limit and use of every group that this process is in, in bytes; pages of files that could be
    given back are not used."""
    found = []
    for folder, limit, used in (
        *((f, "memory.max", "memory.current") for f in _groups(proc, sys, "")),
        *(
            (f, "memory.limit_in_bytes", "memory.usage_in_bytes")
            for f in _groups(proc, sys, "memory")
        ),
    ):
        limit_bytes, used_bytes = _text(folder / limit), _text(folder / used)
        if not limit_bytes.isdigit() or int(limit_bytes) >= _NO_LIMIT:
            continue
        stat = dict(line.partition(" ")[::2] for line in _text(folder / "memory.stat").splitlines())
        given_back = stat.get("total_inactive_file") or stat.get("inactive_file") or "0"
        in_use = int(used_bytes) if used_bytes.isdigit() else 0
        found.append((int(limit_bytes), max(0, in_use - int(given_back))))
    return found


def _usable_cores(proc: Path, sys: Path) -> int:
    cores = available_cores(sys)
    for folder in _groups(proc, sys, ""):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        cores = min(cores, _whole_cores(quota, period) or cores)
    for folder in _groups(proc, sys, "cpu"):
        quota = _text(folder / "cpu.cfs_quota_us")
        cores = min(cores, _whole_cores(quota, _text(folder / "cpu.cfs_period_us")) or cores)
    return max(1, cores)


def _whole_cores(quota: str, period: str) -> int | None:
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return None  # `max` in v2, -1 in v1
    return max(1, int(quota) // int(period))


def _groups(proc: Path, sys: Path, controller: str) -> list[Path]:
    """Folders of the cgroup of this process and all above it, as far as they can be seen; v2 for an
    empty controller. Within a container the path may be that of the host, and only the mount is
    there."""
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, names, path = (*line.split(":", 2), "", "")[:3]
        if controller in names.split(","):
            mount = sys / "fs" / "cgroup" / controller
            inner = mount / path.strip("/")
            return [mount, *(each for each in (inner, *inner.parents) if mount in each.parents)]
    return []


def _physical_cores(sys: Path) -> int | None:
    paths = sys.glob("devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
    siblings = {_text(path) for path in paths} - {""}
    return len(siblings) if siblings else _macos("hw.physicalcpu")


def _macos(name: str) -> int | None:
    if platform.system() != "Darwin":
        return None
    try:
        done = subprocess.run(
            ["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return int(done.stdout) if done.stdout.strip().isdigit() else None


def _instruction_sets(proc: Path) -> tuple[str, ...]:
    for line in _text(proc / "cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            has = set(value.split())
            return tuple(name for name in INSTRUCTION_SETS if name in has)
    return ()


def _disk_free(folder: Path) -> int:
    for each in (folder, *folder.parents):
        if each.is_dir():
            return shutil.disk_usage(each).free
    return shutil.disk_usage(os.sep).free


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""
