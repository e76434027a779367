"""systemd's readiness protocol, sd_notify(3), in a few lines: a datagram of `KEY=VALUE` lines."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

_FAMILY: Final = getattr(socket, "AF_UNIX", None)
"""None on Windows, where nobody asks to be told."""


class Notifier:
    """Tells whoever started us; any thread. Without an address it tells nobody.

    Never blocks and never raises: a supervisor that has gone must not take the conversation along.

    Args:
        address: of the datagram socket, a path, or a name behind `@` in Linux's abstract namespace;
            anything else (systemd also knows `vsock:`) is as none.
    """

    def __init__(self, address: str | None) -> None:
        self._address = ""
        if address and address[0] in "/@":
            self._address = f"\0{address[1:]}" if address[0] == "@" else address

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """The one that NOTIFY_SOCKET names."""
        return cls(environ.get("NOTIFY_SOCKET"))

    def send(self, *assignments: str) -> bool:
        """Send lines such as `READY=1` in one datagram; whether it was taken."""
        if not self._address or _FAMILY is None:
            return False
        try:
            with socket.socket(_FAMILY, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError:  # nobody there, or a queue that nobody empties
            return False
        return True

    def status(self, text: str, *assignments: str) -> bool:
        """Say in one line how it is, for `systemctl status`; with other lines in the datagram."""
        return self.send(*assignments, f"STATUS={' '.join(text.split())}")


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often WATCHDOG_USEC wants to hear from this process; None where nobody does.

    As sd_watchdog_enabled(3): a WATCHDOG_PID of another process means that it is not for us.
    """
    try:
        interval_us = int(environ.get("WATCHDOG_USEC", "0"))
        is_ours = int(environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except ValueError:
        return None
    return interval_us / 1e6 if interval_us > 0 and is_ours else None
