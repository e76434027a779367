"""The other end of the pipe: starts a system, exchanges blocks with it, and leaves nothing of it.

POSIX only: the system gets a session of its own, so that all it starts can be ended with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from edge_assistant.audio.format import SAMPLE_RATE

PIPE_BLOCK_FRAMES: Final = SAMPLE_RATE // 50
"""20 ms: the block of the contract, docs/interfaces.md."""

PIPE_BLOCK_BYTES: Final = 2 * PIPE_BLOCK_FRAMES

_LOOK_S: Final = 0.05
"""How often to look whether a process that says nothing is still there."""


class PartnerFailed(Exception):
    """The system died, hung or broke the contract; the message says which. Never leaves the bench:
    the examiner makes a void outcome of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a system may take before it counts as hung. Real seconds."""

    start_s: float = 120.0
    """From process start until block 0 comes back: models are loaded meanwhile."""
    block_s: float = 5.0
    """For any later block."""
    end_s: float = 15.0
    """From the end of input until the process has ended."""


class Partner:
    """One process that honours `converse --pipe`. Used by one thread, as a context manager.

    Leaving the context kills whatever is left of its process group.

    Raises:
        PartnerFailed: it cannot be started.
    """

    def __init__(self, command: Sequence[str], patience: Patience) -> None:
        self._patience = patience
        self._blocks = 0
        # A file, not a pipe: nobody has to empty it while blocks are on their way.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._complaints.close()
            raise PartnerFailed(f"cannot be started: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._stdout.fileno(), select.POLLIN)

    @property
    def session(self) -> int:
        """Id of its session and process group."""
        return self._process.pid

    def exchange(self, block: bytes) -> bytes:
        """Send one block and return the one that answers it.

        Raises:
            PartnerFailed: it died, hung or broke the contract.
        """
        self._expect_silence()
        try:
            sent = os.write(self._stdin.fileno(), block)
        except BlockingIOError:
            sent = 0
        except OSError:  # a broken pipe
            raise PartnerFailed(self._how_it_ended()) from None
        if sent != len(block):
            raise PartnerFailed(f"answers without reading its input ({self._blocks} blocks)")
        answer = self._read_block()
        self._blocks += 1
        return answer

    def end(self) -> None:
        """End the input and wait for the end of the process.

        Raises:
            PartnerFailed: it does not end, or not with exit code 0.
        """
        self._stdin.close()
        try:
            code = self._process.wait(timeout=self._patience.end_s)
        except subprocess.TimeoutExpired:
            raise PartnerFailed(
                f"had not ended {self._patience.end_s:g} s after the end of its input"
            ) from None
        if code != 0:
            raise PartnerFailed(self._how_it_ended())

    def __enter__(self) -> Partner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The group outlives its leader as long as it has members; without any the id is unknown.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.session, signal.SIGKILL)
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
        self._complaints.close()

    def _expect_silence(self) -> None:
        if self._poll.poll(0):
            surplus = os.read(self._stdout.fileno(), 65536)
            if not surplus:
                raise PartnerFailed(self._how_it_ended())
            raise PartnerFailed(
                f"breaks the contract: {len(surplus)} bytes too many after {self._blocks} blocks"
            )

    def _read_block(self) -> bytes:
        limit_s = self._patience.block_s if self._blocks else self._patience.start_s
        deadline_s = time.monotonic() + limit_s
        answer = b""
        while len(answer) < PIPE_BLOCK_BYTES:
            if not self._is_readable(deadline_s):
                got = f" ({len(answer)} of {PIPE_BLOCK_BYTES} bytes came)" if answer else ""
                raise PartnerFailed(f"hangs: block {self._blocks} not back in {limit_s:g} s{got}")
            piece = os.read(self._stdout.fileno(), PIPE_BLOCK_BYTES - len(answer))
            if not piece:
                raise PartnerFailed(self._how_it_ended())
            answer += piece
        return answer

    def _is_readable(self, deadline_s: float) -> bool:
        """Whether something comes before `deadline_s`.

        Raises:
            PartnerFailed: the process has ended, though a child of it may hold its output open.
        """
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._poll.poll(min(left_s, _LOOK_S) * 1000):
                return True
            if self._process.poll() is not None and not self._poll.poll(0):
                raise PartnerFailed(self._how_it_ended())
        return False

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return f"closed its output after {self._blocks} blocks"
        how = f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"
        errors = self._complaints.fileno()
        # Not seek and read: the position is shared with whoever still writes there.
        tail = os.pread(errors, 2000, max(0, os.fstat(errors).st_size - 2000))
        last = tail.decode(errors="replace").strip().splitlines()[-1:]
        return f"{how} after {self._blocks} blocks" + "".join(f": {line}" for line in last)
