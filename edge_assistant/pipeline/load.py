"""How busy and how hot the machine is: a few small files of the kernel, read once a second at most.

| what | where | unknown |
|---|---|---|
| work of other programs | `/proc/stat` less the CPU time of this process | off Linux, at first |
| waiting for a CPU | `/proc/pressure/cpu` | kernels without PSI |
| heat | trip points, `scaling_max_freq`, the Pi's firmware | off Linux |

What is not known is None and counts as fine. macOS tells of heat only through a program that takes
longer to ask than a reply may take, so nothing is known there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PERIOD_S: Final = 1.0
"""Shortest time between two looks; what was seen stands until then."""

MAX_ZONES: Final = 8
"""Thermal zones that are looked at; some boards have dozens, and each is a read."""

PI_FIRMWARE: Final = "devices/platform/soc/soc:firmware/get_throttled"
PI_SLOWED: Final = 0b1111
"""Bits of the Raspberry Pi's firmware that say that it slows the cores down now: under-voltage,
frequency capped, throttled, soft temperature limit. The bits above tell of the past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one look found; None where the machine does not say."""

    other_cores: float | None = None
    """Cores that other programs kept busy since the look before, waiting for a hypervisor
    included."""
    pressure: float | None = None
    """Share of the last ten seconds in which some thread waited for a CPU, 0 to 1, ours included:
    shows also the quota of a container, which leaves the cores idle."""
    is_throttled: bool | None = None
    """The cores are slowed down because of heat or a weak power supply."""


class LoadSensor:
    """Looks at the machine; `read` from any thread.

    A look took 0.1 ms on two cores of an EPYC, and 1 us in between (medians of 200). Not tried on a
    board with thermal zones.

    Args:
        proc: where `/proc` is mounted; a folder of files in tests.
        sys: where `/sys` is mounted, as above.
        now_s: monotonic seconds.
        own_cpu_s: CPU seconds of this process so far, all threads.
        ticks_per_s: unit of `/proc/stat`.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys: Path = Path("/sys"),
        *,
        now_s: Callable[[], float] = time.monotonic,
        own_cpu_s: Callable[[], float] = time.process_time,
        ticks_per_s: int = 100,
    ) -> None:
        self._proc, self._sys = proc, sys
        self._now_s, self._own_cpu_s, self._ticks_per_s = now_s, own_cpu_s, ticks_per_s
        self._lock = threading.Lock()
        self._load = Load()
        self._looked_s: float | None = None
        self._others_s: float | None = None  # CPU seconds of everybody else at the last look
        self._zones = _passive_zones(sys)
        self._limits = sorted(sys.glob("devices/system/cpu/cpufreq/policy*/scaling_max_freq"))
        self._highest_khz: dict[Path, int] = {}

    def read(self) -> Load:
        """What the last look found; looks again where that is a second ago."""
        with self._lock:
            now_s = self._now_s()
            before_s = self._looked_s
            if before_s is None or now_s - before_s >= PERIOD_S:
                self._looked_s = now_s
                self._load = Load(
                    other_cores=self._other_cores(None if before_s is None else now_s - before_s),
                    pressure=_pressure(self._proc / "pressure" / "cpu"),
                    is_throttled=self._is_throttled(),
                )
            return self._load

    def _other_cores(self, passed_s: float | None) -> float | None:
        busy_s = _busy_s(self._proc / "stat", self._ticks_per_s)
        before_s = self._others_s
        self._others_s = others_s = None if busy_s is None else busy_s - self._own_cpu_s()
        if others_s is None or before_s is None or passed_s is None:
            return None
        # The kernel counts in ticks of 10 ms, so a quiet second may come out below zero.
        return max(0.0, (others_s - before_s) / passed_s)

    def _is_throttled(self) -> bool | None:
        signs = (self._is_hot(), self._is_capped(), self._is_slowed_by_firmware())
        known = [sign for sign in signs if sign is not None]
        return any(known) if known else None

    def _is_hot(self) -> bool | None:
        """A zone is where its passive trip point lies: there the kernel begins to slow down."""
        readings = [(_number(temp), trip) for temp, trip in self._zones]
        known = [temp >= trip for temp, trip in readings if temp is not None]
        return any(known) if known else None

    def _is_capped(self) -> bool | None:
        """The highest frequency that is allowed has sunk since we began to look.

        The kernel lowers it to cool down. Below the hardware's own limit from the start is a
        setting of the user's and no news.
        """
        known = False
        capped = False
        for path in self._limits:
            khz = _number(path)
            if khz is None:
                continue
            known = True
            highest = self._highest_khz[path] = max(khz, self._highest_khz.get(path, khz))
            capped = capped or khz < highest
        return capped if known else None

    def _is_slowed_by_firmware(self) -> bool | None:
        bits = _number(self._sys / PI_FIRMWARE, base=16)
        return None if bits is None else bool(bits & PI_SLOWED)


def available_cores(sys: Path = Path("/sys")) -> int:
    """Cores that this process may use: its affinity, and the quota of its container (cgroup v2)."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota, _, period = _text(sys / "fs" / "cgroup" / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def _busy_s(path: Path, ticks_per_s: int) -> float | None:
    """CPU seconds of all programs since boot: user, nice, system, irq, softirq, steal."""
    fields = _text(path).partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu" or not all(each.isdigit() for each in fields[1:9]):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(each) for each in fields[1:9])
    return (user + nice + system + irq + softirq + steal) / ticks_per_s


def _pressure(path: Path) -> float | None:
    """`some avg10=1.28 ...`, in percent."""
    for field in _text(path).partition("\n")[0].split():
        name, _, value = field.partition("=")
        if name == "avg10":
            try:
                return float(value) / 100.0
            except ValueError:
                return None
    return None


def _passive_zones(sys: Path) -> list[tuple[Path, int]]:
    """The temperature file and the lowest passive trip point, thousandths of a degree, of each
    zone that has one."""
    found: list[tuple[Path, int]] = []
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        kinds = [path for path in zone.glob("trip_point_*_type") if _text(path) == "passive"]
        trips = [_number(path.with_name(path.name.replace("_type", "_temp"))) for path in kinds]
        set_trips = [trip for trip in trips if trip is not None and trip > 0]  # 0: not in use
        if set_trips:
            found.append((zone / "temp", min(set_trips)))
    return found[:MAX_ZONES]


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """What the file says, stripped; empty where it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # also a sensor that is asleep
        return ""
