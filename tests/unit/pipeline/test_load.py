"""What the sensors make of the kernel's files; the files are ours."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_assistant.pipeline.load import PI_FIRMWARE, Load, LoadSensor, available_cores

PRESSURE = "some avg10={:.2f} avg60=1.14 avg300=1.02 total=494529031\nfull avg10=0.00 avg60=0.00\n"
MAX_FREQ = "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq"


@dataclass
class Machine:
    """A folder that looks like `/proc` and `/sys`, and two clocks."""

    root: Path
    now_s: float = 50.0
    own_cpu_s: float = 3.0
    sensors: list[LoadSensor] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
        return path

    def busy(self, *ticks: int) -> None:
        """user, nice, system, idle, iowait, irq, softirq, steal."""
        line = " ".join(str(each) for each in ticks)
        self.write("proc/stat", f"cpu  {line} 0 0\ncpu0 {line} 0 0\nintr 1\n")

    def zone(
        self, number: int, millidegrees: int, kind: str = "passive", trip: int = 80_000
    ) -> None:
        folder = f"sys/class/thermal/thermal_zone{number}"
        self.write(f"{folder}/temp", f"{millidegrees}\n")
        self.write(f"{folder}/trip_point_0_type", f"{kind}\n")
        self.write(f"{folder}/trip_point_0_temp", f"{trip}\n")

    def sensor(self) -> LoadSensor:
        if not self.sensors:
            self.sensors.append(
                LoadSensor(
                    self.root / "proc",
                    self.root / "sys",
                    now_s=lambda: self.now_s,
                    own_cpu_s=lambda: self.own_cpu_s,
                )
            )
        return self.sensors[0]

    def look(self) -> Load:
        """What a look finds a second after the one before."""
        self.now_s += 1.0
        return self.sensor().read()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_without_these_files_is_unknown(machine: Machine) -> None:
    assert machine.look() == Load()
    assert machine.look() == Load()


def test_other_load_is_everybodys_time_less_ours(machine: Machine) -> None:
    machine.busy(1000, 10, 100, 9999, 50, 1, 2, 3)
    assert machine.look().other_cores is None, "one look has nothing to compare with"
    machine.busy(1060, 20, 120, 10_999, 950, 2, 4, 10)  # 1.00 s of work; idle and iowait are none
    machine.own_cpu_s += 0.25
    assert machine.look().other_cores == pytest.approx(0.75)


def test_our_own_work_is_no_other_load(machine: Machine) -> None:
    machine.busy(1000, 0, 0, 0, 0, 0, 0, 0)
    machine.look()
    machine.busy(1199, 0, 0, 0, 0, 0, 0, 0)
    machine.own_cpu_s += 2.0  # the tick that is missing has not been counted yet
    assert machine.look().other_cores == 0.0


def test_the_time_between_two_looks_counts(machine: Machine) -> None:
    machine.busy(1000, 0, 0, 0, 0, 0, 0, 0)
    machine.look()
    machine.busy(1400, 0, 0, 0, 0, 0, 0, 0)
    machine.now_s += 7.0
    assert machine.look().other_cores == pytest.approx(0.5)


@pytest.mark.parametrize(
    "text", ["", "cpu 1 2\n", "cpu  a b c d e f g h i\n", "intr 1 2 3 4 5 6 7 8\n"]
)
def test_a_stat_that_is_none_is_unknown(machine: Machine, text: str) -> None:
    machine.write("proc/stat", text)
    machine.look()
    assert machine.look().other_cores is None


def test_looks_are_a_second_apart(machine: Machine) -> None:
    machine.write("proc/pressure/cpu", PRESSURE.format(1.28))
    assert machine.look().pressure == pytest.approx(0.0128)
    machine.write("proc/pressure/cpu", PRESSURE.format(50))
    machine.now_s += 0.9
    assert machine.sensor().read().pressure == pytest.approx(0.0128)
    machine.now_s += 0.1
    assert machine.sensor().read().pressure == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["", "some\n", "some avg10=much\n"])
def test_a_pressure_that_is_none_is_unknown(machine: Machine, text: str) -> None:
    machine.write("proc/pressure/cpu", text)
    assert machine.look().pressure is None


def test_a_zone_at_its_passive_trip_point_is_throttled(machine: Machine) -> None:
    machine.zone(0, 45_000)
    machine.zone(1, 79_999)
    assert machine.look().is_throttled is False
    machine.zone(1, 80_000)
    assert machine.look().is_throttled is True


@pytest.mark.parametrize(("kind", "trip"), [("critical", 80_000), ("passive", 0), ("passive", -1)])
def test_other_trip_points_say_nothing(machine: Machine, kind: str, trip: int) -> None:
    machine.zone(0, 95_000, kind, trip)
    assert machine.look().is_throttled is None


def test_a_sensor_that_fails_to_read_is_unknown(machine: Machine) -> None:
    machine.zone(0, 95_000)
    machine.sensor()
    (machine.root / "sys/class/thermal/thermal_zone0/temp").unlink()
    assert machine.look().is_throttled is None


def test_a_lowered_frequency_limit_is_throttled(machine: Machine) -> None:
    machine.write(MAX_FREQ, "1800000\n")  # perhaps the user's own choice: no news
    assert machine.look().is_throttled is False
    machine.write(MAX_FREQ, "1500000\n")
    assert machine.look().is_throttled is True
    machine.write(MAX_FREQ, "2400000\n")
    assert machine.look().is_throttled is False
    machine.write(MAX_FREQ, "1800000\n")
    assert machine.look().is_throttled is True


@pytest.mark.parametrize(
    ("bits", "is_throttled"),
    [("0", False), ("50000", False), ("1", True), ("50005", True), ("8", True), ("80008", True)],
)
def test_the_pis_firmware_tells_of_now_and_of_the_past(
    machine: Machine, bits: str, is_throttled: bool
) -> None:
    machine.write(f"sys/{PI_FIRMWARE}", f"{bits}\n")
    assert machine.look().is_throttled is is_throttled


def test_one_sign_of_heat_is_enough(machine: Machine) -> None:
    machine.zone(0, 45_000)
    machine.write(MAX_FREQ, "1800000\n")
    machine.write(f"sys/{PI_FIRMWARE}", "2\n")
    assert machine.look().is_throttled is True


@pytest.mark.parametrize(
    ("quota", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("150000 100000", 1)]
)
def test_a_container_has_the_cores_of_its_quota(machine: Machine, quota: str, cores: int) -> None:
    machine.write("sys/fs/cgroup/cpu.max", f"{quota}\n")
    assert available_cores(machine.root / "sys") == cores


@pytest.mark.parametrize("quota", ["max 100000", "6400000 100000", "", "0 0"])
def test_without_a_quota_it_is_what_the_process_may_use(machine: Machine, quota: str) -> None:
    machine.write("sys/fs/cgroup/cpu.max", f"{quota}\n")
    everywhere = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    assert available_cores(machine.root / "sys") == everywhere


def test_this_very_machine_can_be_looked_at() -> None:
    sensor = LoadSensor()
    load = sensor.read()
    assert load.pressure is None or 0.0 <= load.pressure <= 1.0
    assert sensor.read() is load, "looked at once"
