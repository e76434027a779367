"""One run of the system's `espeak-ng` program: text in on stdin, a WAV out on stdout.

The program shares no memory with us and is called as anybody would call it in a terminal: it is no
part of the assistant, and no package of ours brings it.
"""

from __future__ import annotations

import os
import selectors
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from edge_assistant.cancel import CancelToken
from edge_assistant.errors import SynthesisError

_LONGEST_SILENCE_S: Final = 20.0
"""Without a byte from the child. The first comes after 20 ms on a desktop."""
_PIECE_BYTES: Final = 1 << 16
_KEPT_COMPLAINT_BYTES: Final = 2000
_WAV_HEADER: Final = struct.Struct("<4s4x4s4sIHHIIHH4s4x")
"""RIFF, WAVE, fmt, its size, PCM, channels, rate, bytes a second, block, bits, data. The two sizes
are skipped: who writes to a pipe does not know them."""
_NOWHERE: Final = {
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "PULSE_SERVER": "unix:/nonexistent",
}
"""Although nothing is to be played, espeak-ng asks for a PulseAudio server, for `--version` too: it
might be one on the network, and libpulse might start one. So it is told of one that cannot be
there."""
_KEPT: Final = ("PATH", "ESPEAK_DATA_PATH", "LD_LIBRARY_PATH")
_RATES: Final = range(8_000, 48_001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a child said."""

    samples: NDArray[np.int16]
    """(frames,), one channel."""
    sample_rate: int
    """Hz; 0 where the child gave nothing at all."""


class ChildRefused(SynthesisError):
    """The program itself said no; the message ends with its own words."""


def environment() -> dict[str, str]:
    """What the program gets of ours, whatever it is asked: five variables at most."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | _NOWHERE


def speak(arguments: Sequence[str], text: str, *, max_s: float, token: CancelToken) -> Spoken:
    """Run the program once, on the calling thread.

    Args:
        arguments: the program's path first; nothing of `text`.
        text: what is said; goes to stdin as UTF-8.
        max_s: the child is killed where it gives more sound than that.
        token: cancelling kills the child at once, from the thread that cancels.

    Raises:
        ChildRefused: it ended with an error.
        SynthesisError: it cannot be started, hangs, gives no WAV, or never ends.
    """
    token.raise_if_cancelled()
    with _started(arguments) as child:
        forget = token.on_cancel(child.kill)
        try:
            sound, complaint = _exchange(child, text.encode(), max_s)
            code = child.wait(_LONGEST_SILENCE_S)
        except subprocess.TimeoutExpired as error:
            raise _failed("stuck", "it closed its output and does not end") from error
        finally:
            forget()
    token.raise_if_cancelled()
    if code != 0:
        words = " ".join(complaint.decode(errors="replace").split())
        raise ChildRefused(
            "espeak-program-refused",
            f"{arguments[0]} ended with {code}: {words or 'no word of why'}",
            "try it by hand: echo hello | espeak-ng --stdin",
        )
    return _parsed(sound)


@contextmanager
def _started(arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The child, which is gone and reaped afterwards, whatever happens."""
    try:
        # A group of its own: Ctrl-C in a terminal is for us, and we end it.
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            process_group=0,
        )
    except OSError as error:
        raise _failed("unstartable", f"{error.strerror}: {arguments[0]}") from error
    try:
        yield child
    finally:
        child.kill()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()
        child.wait()


def _exchange(child: subprocess.Popen[bytes], text: bytes, max_s: float) -> tuple[bytes, bytes]:
    """Feed stdin and read both outputs, so that no full pipe can stop all of us."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    unsent, sound, complaint = memoryview(text), bytearray(), bytearray()
    heard_s = time.monotonic()
    with selectors.DefaultSelector() as selector:
        os.set_blocking(child.stdin.fileno(), False)
        selector.register(child.stdin, selectors.EVENT_WRITE)
        for pipe in (child.stdout, child.stderr):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_LONGEST_SILENCE_S):
                if key.fileobj is child.stdin:
                    unsent = _feed(child.stdin, selector, unsent)
                    continue
                piece = os.read(key.fd, _PIECE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stdout:
                    sound += piece
                    heard_s = time.monotonic()
                    _check_length(sound, max_s)
                elif len(complaint) < _KEPT_COMPLAINT_BYTES:
                    complaint += piece
            if time.monotonic() - heard_s > _LONGEST_SILENCE_S:
                raise _failed("stuck", f"nothing came for {_LONGEST_SILENCE_S:.0f} s")
    return bytes(sound), bytes(complaint[:_KEPT_COMPLAINT_BYTES])


def _feed(stdin: IO[bytes], selector: selectors.BaseSelector, unsent: memoryview) -> memoryview:
    try:
        unsent = unsent[os.write(stdin.fileno(), unsent[:_PIECE_BYTES]) :]
    except BlockingIOError:
        return unsent
    except BrokenPipeError:  # it ended early: its code and its words say why
        unsent = unsent[:0]
    if not unsent:
        selector.unregister(stdin)
        stdin.close()
    return unsent


def _check_length(sound: bytearray, max_s: float) -> None:
    if len(sound) > _WAV_HEADER.size + 2 * _RATES[-1] * max_s:
        raise _failed("endless", f"it gave more than {max_s:.0f} s of sound")


def _parsed(wav: bytes) -> Spoken:
    if not wav:
        return Spoken(samples=np.zeros(0, dtype=np.int16), sample_rate=0)
    if len(wav) < _WAV_HEADER.size:
        raise _failed("no-sound", f"it gave {len(wav)} bytes, which is no WAV")
    riff, wave, fmt, fmt_bytes, pcm, channels, rate, _, _, bits, data = _WAV_HEADER.unpack_from(wav)
    form = (riff, wave, fmt, fmt_bytes, pcm, channels, bits, data)
    if form != (b"RIFF", b"WAVE", b"fmt ", 16, 1, 1, 16, b"data") or rate not in _RATES:
        raise _failed("no-sound", "what it gave is no WAV of one channel and 16 bits")
    count = (len(wav) - _WAV_HEADER.size) // 2
    samples = np.frombuffer(wav, dtype="<i2", count=count, offset=_WAV_HEADER.size)
    return Spoken(samples=samples.astype(np.int16, copy=False), sample_rate=rate)


def _failed(what: str, why: str) -> SynthesisError:
    return SynthesisError(
        f"espeak-program-{what}",
        f"the program espeak-ng failed: {why}",
        "try it by hand: echo hello | espeak-ng --stdin; or: sudo apt install espeak-ng",
    )
