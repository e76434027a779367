"""A stand-in for systemd: it starts a service and listens at NOTIFY_SOCKET."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

HUNG_S = 60.0
"""Whatever takes longer than this is not slow but hung."""


class Supervisor:
    """One service at a time, and what it says.

    Args:
        folder: for the socket, the folder of RuntimeDirectory= and the service's output.
        is_abstract: the socket has no path but a name of Linux's.
        watchdog_s: WatchdogSec=; none by default.
    """

    def __init__(
        self, folder: Path, *, is_abstract: bool = False, watchdog_s: float | None = None
    ) -> None:
        self.runtime = folder / "runtime"
        self.runtime.mkdir()
        self.output = folder / "output.txt"
        self.said: list[str] = []
        """Every line of every datagram so far."""
        self._address = f"@edge-assistant-{os.getpid()}" if is_abstract else str(folder / "notify")
        self._watchdog_s = watchdog_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address.replace("@", "\0", 1))
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def child(self) -> subprocess.Popen[bytes]:
        """The service that was started last."""
        assert self._child is not None
        return self._child

    @property
    def text(self) -> str:
        """All that any service has printed."""
        return self.output.read_text("utf-8", "replace")

    def start(self, environ: Mapping[str, str], *arguments: str, verbose: bool = False) -> None:
        """Start `edge-assistant run --service`."""
        self.said.clear()
        given = {"NOTIFY_SOCKET": self._address, "RUNTIME_DIRECTORY": str(self.runtime)}
        if self._watchdog_s is not None:
            given["WATCHDOG_USEC"] = str(round(self._watchdog_s * 1e6))
        command = [sys.executable, "-m", "edge_assistant", *(["-vv"] if verbose else [])]
        with self.output.open("ab") as output:
            self._child = subprocess.Popen(
                [*command, "run", "--service", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environ, **given},
            )

    def expect(self, line: str) -> None:
        """Listen until a line that begins like this has come."""
        give_up_s = time.monotonic() + HUNG_S
        while not any(each.startswith(line) for each in self.said):
            assert self.child.poll() is None, f"exit {self.child.returncode}: {self.text}"
            assert time.monotonic() < give_up_s, f"no {line!r} in {self.said}: {self.text}"
            self.listen(0.1)

    def listen(self, for_s: float) -> list[str]:
        """What is said in the next so many seconds."""
        heard: list[str] = []
        end_s = time.monotonic() + for_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                heard += self._socket.recv(4096).decode().split("\n")
            except TimeoutError:
                break
        self.said += heard
        return heard

    def end(self, signum: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.child.send_signal(signum)
        return self.child.wait(HUNG_S)

    def close(self) -> None:
        """Leave nothing running."""
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait(HUNG_S)
        self._socket.close()
