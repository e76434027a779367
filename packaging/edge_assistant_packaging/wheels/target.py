"""The machine that a bundle is for, in the words of wheels and compilers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import PLATFORMS

GLIBC: Final = (2, 36)
"""Of Debian 12 and of the Raspberry Pi OS made of it: the oldest that we ship for."""
_OLDEST_GLIBC: Final = {"x86_64": (2, 5), "aarch64": (2, 17)}
_OLD_NAMES: Final = {(2, 5): "manylinux1", (2, 12): "manylinux2010", (2, 17): "manylinux2014"}
ELF_MACHINES: Final = {"x86_64": 62, "aarch64": 183}
"""`e_machine` of an ELF header, by the name of the processor (System V ABI)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """A kind of processor that llama.cpp is compiled for."""

    flags: tuple[str, ...]
    """CMake's."""
    features: tuple[str, ...]
    """What each core has to have, as Linux calls it in /proc/cpuinfo."""


CPUS: Final = {
    "linux-x86_64": {
        "x86-64-v3": Cpu(
            flags=(
                *("-DGGML_NATIVE=OFF", "-DGGML_SSE42=ON", "-DGGML_AVX=ON", "-DGGML_AVX2=ON"),
                *("-DGGML_BMI2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON"),
            ),
            features=("sse4_2", "avx", "avx2", "bmi2", "fma", "f16c"),
        ),
    },
    "linux-aarch64": {
        "armv8": Cpu(flags=("-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8-a"), features=()),
        "armv8.2-dotprod": Cpu(
            flags=("-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"),
            features=("atomics", "asimdhp", "asimddp"),
        ),
    },
}
"""By platform and name, the one that we take unasked first: x86-64-v3 is Haswell (2013) and later,
but not every Celeron and Atom; armv8 is any 64-bit ARM; armv8.2-dotprod is Cortex-A76 and later,
which a Raspberry Pi 5 has and a Pi 4 has not. `atomics` are part of armv8.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A platform, a kind of processor, a Python and a C library."""

    platform: str
    cpu: str | None = None
    """A name of `CPUS`; None: the first, and nothing is known of a wheel that is given."""
    python: str = field(default=f"{sys.version_info.major}.{sys.version_info.minor}")
    """`3.11`."""
    glibc: tuple[int, int] = GLIBC

    def __post_init__(self) -> None:
        if self.platform not in PLATFORMS:
            raise ShippingError(
                "platform-unknown",
                f"no bundle is made for {self.platform!r}",
                f"the platforms are {', '.join(PLATFORMS)}",
            )
        if self.cpu is not None and self.cpu not in CPUS[self.platform]:
            raise ShippingError(
                "cpu-unknown",
                f"{self.cpu} is no processor of {self.platform}",
                f"--cpu is one of {', '.join(CPUS[self.platform])}",
            )

    @property
    def processor(self) -> Cpu:
        """What we compile for."""
        kinds = CPUS[self.platform]
        return kinds[self.cpu or next(iter(kinds))]

    @property
    def machine(self) -> str:
        """`x86_64` or `aarch64`."""
        return self.platform.removeprefix("linux-")

    @property
    def abi(self) -> str:
        """`cp311`."""
        return f"cp{self.python.replace('.', '')}"

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platform tags that run there, the most demanding first."""
        names: list[str] = []
        oldest = _OLDEST_GLIBC[self.machine]
        for minor in range(self.glibc[1], oldest[1] - 1, -1):
            names.append(f"manylinux_2_{minor}_{self.machine}")
            if old := _OLD_NAMES.get((2, minor)):
                names.append(f"{old}_{self.machine}")
        return (*names, f"linux_{self.machine}")

    def takes(self, wheel_name: str) -> bool:
        """Whether a wheel of this name can be installed there.

        Raises:
            ValueError: that is no name of a wheel.
        """
        from packaging.tags import compatible_tags, cpython_tags
        from packaging.utils import parse_wheel_filename

        version = tuple(int(part) for part in self.python.split("."))
        own = cpython_tags(version, [self.abi], self.platforms)
        pure = compatible_tags(version, self.abi, self.platforms)
        return not {*own, *pure}.isdisjoint(parse_wheel_filename(wheel_name)[3])
