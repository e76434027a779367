"""What a machine says of itself, from files as kernels write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_assistant.fit import machine as machines

MEMINFO = "MemTotal:        4000000 kB\nMemFree: 100 kB\nMemAvailable:    3000000 kB\n"
ARM = "processor : 0\nFeatures  : fp asimd evtstrm crc32 asimdhp asimddp i8mm\n"
X86 = "processor : 0\nmodel name : Some CPU\nflags : fpu avx avx2 fma f16c sse4_2\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def looked(tmp_path: Path, proc: dict[str, str], sys: dict[str, str]) -> machines.Machine:
    return machines.look(
        tmp_path / "no" / "models",
        write(tmp_path / "proc", {"meminfo": MEMINFO, **proc}),
        write(tmp_path / "sys", sys),
    )


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)


def test_a_plain_machine(tmp_path: Path) -> None:
    found = looked(tmp_path, {"cpuinfo": X86}, {})
    assert found.cpu == "Some CPU"
    assert found.usable_cores == 4
    assert found.instruction_sets == ("sse4_2", "avx", "avx2", "fma", "f16c")
    assert found.memory.ram_bytes == 4_000_000 * 1024
    assert found.memory.free_bytes == 3_000_000 * 1024
    assert found.memory.disk_free_bytes > 0
    assert found.limit == ""


def test_two_threads_of_a_core_are_one_core(tmp_path: Path) -> None:
    topology = "devices/system/cpu/cpu{}/topology/thread_siblings_list"
    siblings = {topology.format(n): f"{n % 2},{n % 2 + 2}\n" for n in range(4)}
    found = looked(tmp_path, {"cpuinfo": ARM}, siblings)
    assert found.physical_cores == 2
    assert found.instruction_sets == ("asimd", "asimdhp", "asimddp", "i8mm")


def test_limits_of_a_container(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        {"self/cgroup": "0::/\n"},
        {
            "fs/cgroup/memory.max": "1000000000\n",
            "fs/cgroup/memory.current": "400000000\n",
            "fs/cgroup/memory.stat": "anon 1\ninactive_file 100000000\n",
            "fs/cgroup/cpu.max": "250000 100000\n",
        },
    )
    assert found.memory.ram_bytes == 1_000_000_000
    assert found.memory.free_bytes == 700_000_000
    assert found.limit == "cgroup"
    assert found.usable_cores == 2


def test_limits_of_a_service_within_others(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        {"self/cgroup": "0::/system.slice/assistant.service\n"},
        {
            "fs/cgroup/system.slice/memory.max": "2000000000\n",
            "fs/cgroup/system.slice/memory.current": "0\n",
            "fs/cgroup/system.slice/assistant.service/memory.max": "max\n",
            "fs/cgroup/system.slice/assistant.service/cpu.max": "100000 100000\n",
        },
    )
    assert found.memory.free_bytes == 2_000_000_000
    assert found.usable_cores == 1


def test_limits_of_the_first_cgroups(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        {"self/cgroup": "4:memory:/box/7\n1:cpu,cpuacct:/\n"},
        {
            "fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            "fs/cgroup/memory/box/7/memory.limit_in_bytes": "500000000\n",
            "fs/cgroup/memory/box/7/memory.usage_in_bytes": "300000000\n",
            "fs/cgroup/memory/box/7/memory.stat": "total_inactive_file 50000000\n",
            "fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert found.memory.free_bytes == 250_000_000
    assert found.usable_cores == 4


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    found = machines.look(tmp_path, tmp_path / "no-proc", tmp_path / "no-sys")
    assert found.instruction_sets == ()
    assert 0 < found.memory.free_bytes < found.memory.ram_bytes


def test_this_machine_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "READ_S", 0.01)
    monkeypatch.setattr(machines, "MATRIX_S", 0.01)
    found = machines.measure(looked(tmp_path, {}, {}))
    assert found.bandwidth_bytes_s > 0
    assert found.flops > 0
    assert found.flops_per_core > 0
