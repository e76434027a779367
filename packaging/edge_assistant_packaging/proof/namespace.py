"""A network namespace with nothing in it, entered between fork and exec.

By `unshare(2)` itself and not by the program of that name, so that nothing needs to be installed.
"""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
"""Loaded now: between fork and exec nothing is imported."""
_OWN: Final = Path("/proc/self/ns/net")
_NEWUSER: Final = 0x1000_0000
_NEWNET: Final = 0x4000_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """The network as the process inside sees it, before its program begins."""

    kind: str
    """`network` (by root) or `user and network` (by anybody)."""
    identity: str
    """`net:[4026532...]`: another number than outside."""
    interfaces: tuple[str, ...]
    routes: int
    """IPv4 and IPv6, those of the loopback device included."""
    addresses: int
    """IPv6 addresses; not even ::1 where the loopback device is down."""


def own_identity() -> str:
    """The namespace of this process."""
    return str(_OWN.readlink()) if _OWN.is_symlink() else ""


def enter(report: int) -> None:
    """Leave every network behind; called in the child. Writes a `Namespace` as JSON to `report`.

    Raises:
        OSError: the kernel does not allow it; the reason went to `report`.
    """
    try:
        kind = _unshare()
    except OSError as error:
        os.write(report, json.dumps({"error": str(error)}).encode())
        raise
    seen = {
        "kind": kind,
        "identity": str(_OWN.readlink()),
        "interfaces": [line.partition(":")[0].strip() for line in _lines("dev")[2:]],
        "routes": len(_lines("route")[1:]) + len(_lines("ipv6_route")),
        "addresses": len(_lines("if_inet6")),
    }
    os.write(report, json.dumps(seen).encode())


def parse(data: bytes) -> Namespace | str:
    """What `enter` has written: the namespace, or why there is none."""
    if not data:
        return "the child ended before it entered a namespace"
    seen = json.loads(data)
    if "error" in seen:
        return str(seen["error"])
    return Namespace(**{**seen, "interfaces": tuple(seen["interfaces"])})


def _unshare() -> str:
    if _LIBC.unshare(_NEWNET) == 0:
        return "network"
    user, group = os.geteuid(), os.getegid()
    if _LIBC.unshare(_NEWUSER | _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    # The same number inside as outside: files keep their owner, and nobody becomes root.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)
    return "user and network"


def _lines(name: str) -> list[str]:
    try:
        return Path(f"/proc/self/net/{name}").read_text().splitlines()
    except FileNotFoundError:  # a kernel without IPv6
        return []
