"""How much memory this process has and had."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def now_bytes() -> int | None:
    """Resident memory; None where the system has no /proc."""
    return _field("VmRSS")


def peak_bytes() -> int | None:
    """The most that was ever resident.

    Not `getrusage`: Linux carries its maximum over from the parent, whose memory the child shares
    until it runs its own program.
    """
    return _field("VmHWM")


def _field(name: str) -> int | None:
    try:
        text = STATUS.read_text("ascii", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
