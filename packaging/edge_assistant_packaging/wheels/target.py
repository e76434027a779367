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
CPU_FLAGS: Final = {
    "linux-x86_64": (
        *("-DGGML_NATIVE=OFF", "-DGGML_SSE42=ON", "-DGGML_AVX=ON", "-DGGML_AVX2=ON"),
        *("-DGGML_BMI2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON"),
    ),
    "linux-aarch64": ("-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"),
}
"""x86-64-v3 (Haswell of 2013 and later; not every Celeron and Atom); Cortex-A76 and later, which a
Raspberry Pi 5 has and a Pi 4 has not."""
CPU_FEATURES: Final = {
    "linux-x86_64": ("sse4_2", "avx", "avx2", "bmi2", "fma", "f16c"),
    "linux-aarch64": ("atomics", "asimdhp", "asimddp"),
}
"""What these flags need of a processor, as /proc/cpuinfo calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A platform, a Python and a C library."""

    platform: str
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
