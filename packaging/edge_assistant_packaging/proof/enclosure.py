"""Runs a program under watch: cut off from every network, and with its system calls written down.

Two ways to watch: `strace`, where it is installed and may trace, and otherwise a seccomp filter
that this process answers itself (`seccomp`). The second sees sockets and no files.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.proof import namespace, seccomp
from edge_assistant_packaging.proof.namespace import Namespace
from edge_assistant_packaging.proof.system_calls import Call, read_calls

Watch = Literal["strace", "seccomp"]

LONGEST_TEXT_BYTES: Final = 1 << 20
"""Of one call, as strace keeps it; what is longer is marked, see `Call.is_cut`."""

SOCKET_CALLS: Final = (
    *("%network", "io_uring_setup", "setns", "execve", "open", "openat", "openat2"),
)
FILE_CALLS: Final = (
    *("open", "openat", "openat2", "creat", "memfd_create", "mmap", "unlink", "unlinkat"),
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "io_uring_setup"),
    *("rename", "renameat", "renameat2", "sendfile", "copy_file_range", "splice"),
    *("truncate", "ftruncate", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat"),
    *("mkdir", "mkdirat", "setxattr", "lsetxattr", "fsetxattr"),
    *("sendto", "sendmsg", "sendmmsg", "socketpair"),
)

_PREFIX: Final = "trace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended, and what was seen of it."""

    exit_code: int
    output: bytes
    """Standard output and standard error."""
    events: bytes
    """What it wrote to the pipe that its `events` argument names."""
    watch: Watch
    calls: tuple[Call, ...]
    namespace: Namespace | None
    no_namespace: str
    """Why there was none, though one was asked for."""


def choose_watch() -> tuple[Watch, str]:
    """The best that works here, and why not the other."""
    if shutil.which("strace") is None:
        return "seccomp", "strace is not installed"
    tried = subprocess.run(
        [*_strace(Path(os.devnull), ("%network",), one_file=True), "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode == 0:
        return "strace", ""
    return "seccomp", f"strace does not work here: {tried.stderr.strip()[:200]}"


def run(
    command: Callable[[str], Sequence[str]],
    *,
    environ: Mapping[str, str],
    folder: Path,
    watch: Watch,
    calls: Sequence[str] = SOCKET_CALLS,
    is_cut_off: bool,
    longest_s: float,
) -> Ran:
    """Run a program to its end.

    Args:
        command: makes the command of the path where the program is to write its events. That is a
            pipe: a proof of what is written must not itself let the words be written.
        environ: the whole environment.
        folder: where it runs.
        watch: how its calls are seen.
        calls: which, for strace.
        is_cut_off: in an empty network namespace; where that cannot be had, it runs without one
            and `no_namespace` says why.
        longest_s: after that it is ended.

    Raises:
        ShippingError: `proof-not-run`: it took too long.
    """
    refused = namespace_refused() if is_cut_off else ""
    enters = is_cut_off and not refused
    with tempfile.TemporaryDirectory(prefix="edge-assistant-trace-") as trace:
        pipes = _Pipes()
        listener = seccomp.Listener() if watch == "seccomp" else None
        arguments = list(command(pipes.events_path))
        if listener is None:
            arguments = [*_strace(Path(trace) / _PREFIX, calls), *arguments]

        process = subprocess.Popen(
            arguments,
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pipes.child_ends,
            preexec_fn=_preparation(pipes.namespace_end if enters else None, listener),
            start_new_session=True,
        )
        output = _wait(process, pipes, longest_s)
        seen = _calls(Path(trace), listener, longest_s)
    inside = namespace.parse(pipes.namespace_data) if enters else refused
    return Ran(
        exit_code=process.returncode,
        output=output,
        events=pipes.events_data,
        watch=watch,
        calls=tuple(seen),
        namespace=inside if isinstance(inside, Namespace) else None,
        no_namespace=inside if isinstance(inside, str) else "",
    )


def _calls(trace: Path, listener: seccomp.Listener | None, longest_s: float) -> list[Call]:
    if listener is None:  # strace itself ends with the last one that it traces
        return read_calls(trace, _PREFIX)
    seen, is_over = listener.finish(longest_s)
    if not is_over:
        raise ShippingError(
            "proof-not-run",
            f"a program that the turn has started was not over {longest_s:.0f} s after it",
            "`ps -ef` shows what it left behind",
        )
    return seen


def _preparation(
    namespace_end: int | None, listener: seccomp.Listener | None
) -> Callable[[], None]:
    """What the child does between fork and exec."""

    def prepare() -> None:
        if namespace_end is not None:
            namespace.enter(namespace_end)
        if listener is not None:
            listener.install()

    return prepare


def namespace_refused() -> str:
    """Why no network namespace can be had here; empty where one can."""
    read_end, write_end = os.pipe()
    try:
        subprocess.run(
            ["true"],
            preexec_fn=lambda: namespace.enter(write_end),
            pass_fds=[write_end],
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        os.close(write_end)
        found = namespace.parse(os.read(read_end, 1 << 16))
        return found if isinstance(found, str) else "it could not be entered"
    else:
        os.close(write_end)
        return ""
    finally:
        os.close(read_end)


def _wait(process: subprocess.Popen[bytes], pipes: _Pipes, longest_s: float) -> bytes:
    pipes.start_reading()
    try:
        output, _ = process.communicate(timeout=longest_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        output, _ = process.communicate()
        raise ShippingError(
            "proof-not-run",
            f"the turn was not over after {longest_s:.0f} s",
            "try `edge-assistant converse` by hand, or give a shorter --speech",
        ) from None
    finally:
        if process.poll() is None:  # Ctrl-C
            _kill(process)
            process.wait()
        pipes.finish()
    return output


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With everything that it started: strace, killed alone, lets what it traces go on."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class _Pipes:
    """Two pipes from the child: its events, and the namespace it is in."""

    def __init__(self) -> None:
        self._events_from, self._events_end = os.pipe()
        self._namespace_from, self.namespace_end = os.pipe()
        self.child_ends = (self._events_end, self.namespace_end)
        self.events_path = f"/dev/fd/{self._events_end}"
        self.events_data = b""
        self.namespace_data = b""
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def start_reading(self) -> None:
        """Now that the child has its ends, ours are closed."""
        for end in self.child_ends:
            os.close(end)
        self._thread.start()

    def finish(self) -> None:
        """Once the child is gone; a grandchild that lives on with the pipe is not waited for."""
        self._thread.join(timeout=5.0)

    def _read(self) -> None:
        with open(self._events_from, "rb") as events, open(self._namespace_from, "rb") as inside:  # noqa: PTH123
            self.events_data = events.read()
            self.namespace_data = inside.read()


def _strace(output: Path, calls: Sequence[str], *, one_file: bool = False) -> list[str]:
    return [
        *("strace", "-f" if one_file else "-ff", "-ttt", "-qq", "-y", "-xx"),
        *("-s", str(LONGEST_TEXT_BYTES), "--seccomp-bpf", "-e", "signal=none"),
        *("-e", f"trace={','.join(f'?{name}' for name in calls)}", "-o", str(output), "--"),
    ]
