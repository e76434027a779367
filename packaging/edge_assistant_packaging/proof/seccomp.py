"""Sees sockets where there is no strace: a seccomp filter whose questions this process answers.

The filter (`SECCOMP_RET_USER_NOTIF`; that its last user has gone is told from Linux 5.9 on) is kept
through fork and exec and cannot be taken off, so that threads and grandchildren are seen too. It
sees how a socket is made, what is connected and what is sent to; it sees no files. Layouts and
numbers: `linux/seccomp.h`, `linux/audit.h`.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading
import time
from typing import Final, NamedTuple

from edge_assistant_packaging.proof.system_calls import Call


class _Machine(NamedTuple):
    audit: int
    seccomp: int
    watched: dict[int, str]


_WATCHED: Final = (
    *("socket", "connect", "accept", "accept4", "sendto", "sendmsg", "sendmmsg", "setns"),
    "io_uring_setup",
)
_X86_64: Final = (41, 42, 43, 288, 44, 46, 307, 308, 425)
_AARCH64: Final = (198, 203, 202, 242, 206, 211, 269, 268, 425)
_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, 317, dict(zip(_X86_64, _WATCHED, strict=True))),
    "aarch64": _Machine(0xC00000B7, 277, dict(zip(_AARCH64, _WATCHED, strict=True))),
}
_MACHINE: Final = _MACHINES.get(platform.machine())
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_NO_NEW_PRIVILEGES: Final = 38
_SET_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_ALLOW: Final = 0x7FFF0000
_ASK: Final = 0x7FC00000
_RECEIVE: Final = 0xC0502100
_ANSWER: Final = 0xC0182101
_CONTINUE: Final = 1
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_OTHER_ABI: Final = 0x4000_0000
"""Numbers from here on are of the x32 ABI; nothing of ours is."""
_UNASKED: Final = socket.MSG_DONTROUTE | socket.MSG_CONFIRM | socket.MSG_EOR | socket.MSG_MORE
"""Flags of the one `sendmsg` that may not wait for an answer: it hands over the listener. They mean
nothing to a local socket, and nobody else has use for all of them."""
_LOOK_S: Final = 0.05
_QUESTION: Final = struct.Struct("=QIIiIQ6Q")
_REPLY: Final = struct.Struct("=QqiI")
_MESSAGE: Final = struct.Struct("=QI")
"""The beginning of a `msghdr`: where the address is, and its length."""
_MESSAGES_STEP: Final = 64
"""From one `mmsghdr` to the next."""
_MOST_MESSAGES: Final = 64
_FAMILIES: Final = {family.value: family.name for family in socket.AddressFamily}


class Listener:
    """Installed in one child between fork and exec; asked from a thread of the parent."""

    def __init__(self) -> None:
        self._ours, self._childs = socket.socketpair()
        self._calls: list[Call] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="seccomp", daemon=True)
        self._thread.start()

    def install(self) -> None:
        """In the child: from now on every watched call waits for the parent.

        Raises:
            OSError: this kernel or machine does not offer it.
        """
        if _MACHINE is None:
            raise OSError(errno.ENOSYS, "no seccomp filter for this machine")
        code = _filter(_MACHINE)
        program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(code))
        if _LIBC.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        listener = _LIBC.syscall(_MACHINE.seccomp, _SET_FILTER, _NEW_LISTENER, program)
        if listener < 0:
            raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
        self._childs.sendmsg(
            [b"x"],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))],
            _UNASKED,
        )
        os.close(listener)

    def finish(self, longest_s: float) -> tuple[list[Call], bool]:
        """Once the child has ended: what it and its children asked for.

        Args:
            longest_s: so long a child that it left behind is waited for.

        Returns:
            The calls, and whether all are gone that could make more of them.
        """
        self._childs.close()
        self._thread.join(longest_s)
        is_over = not self._thread.is_alive()
        self._done.set()
        self._thread.join()
        self._ours.close()
        return self._calls, is_over

    def _serve(self) -> None:
        while not select.select([self._ours], [], [], _LOOK_S)[0]:
            if self._done.is_set():
                return
        _, descriptors, _, _ = socket.recv_fds(self._ours, 1, 1)
        if not descriptors:
            return
        (listener,) = descriptors
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        try:
            while not self._done.is_set():
                for _, events in poll.poll(_LOOK_S * 1000):
                    if events & select.POLLIN:
                        self._answer(listener)
                    elif events & select.POLLHUP:
                        return  # the last one under the filter is gone
        finally:
            os.close(listener)

    def _answer(self, listener: int) -> None:
        question = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
        except OSError:  # it was killed while it waited
            return
        identity, pid, _, number, audit, _, *arguments = _QUESTION.unpack(question)
        self._calls.append(_call(pid, number, audit, arguments))
        reply = bytearray(_REPLY.pack(identity, 0, 0, _CONTINUE))
        try:
            fcntl.ioctl(listener, _ANSWER, reply)
        except OSError:
            return


def available() -> str:
    """Why the filter cannot be had here; empty where it can."""
    child = Listener()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child.install()
        except OSError as error:
            os.write(write_end, str(error).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as reader:  # noqa: PTH123 - a descriptor
        reason = reader.read().decode()
    os.waitpid(pid, 0)
    child.finish(_LOOK_S)
    return reason


def _filter(machine: _Machine) -> ctypes.Array[ctypes.c_char]:
    """Another architecture, another ABI or a watched number: ask. Anything else: allow."""
    numbers = list(machine.watched)
    count = len(numbers)
    (sendmsg,) = (number for number, name in machine.watched.items() if name == "sendmsg")
    steps = [
        (_LOAD, 0, 0, 4),
        (_IF_EQUAL, 0, count + 6, machine.audit),
        (_LOAD, 0, 0, 0),
        (_IF_AT_LEAST, count + 4, 0, _OTHER_ABI),
        (_IF_EQUAL, 0, 2, sendmsg),
        (_LOAD, 0, 0, 32),  # its flags
        (_IF_EQUAL, count, count + 1, _UNASKED),
        *((_IF_EQUAL, count - index, 0, number) for index, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ASK),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    return ctypes.create_string_buffer(code, len(code))


def _call(pid: int, number: int, audit: int, arguments: list[int]) -> Call:
    name, text = "foreign_abi", str(number)
    if _MACHINE is not None and audit == _MACHINE.audit and number in _MACHINE.watched:
        name = _MACHINE.watched[number]
        text = ", ".join(map(str, arguments[:3]))
    result = "0"
    if name == "socket":
        family = _FAMILIES.get(arguments[0], f"AF_{arguments[0]}")
        text = f"{family}, {arguments[1]}, {arguments[2]}"
    elif name == "connect":
        text, result = _address(pid, arguments[1], arguments[2])
    elif name.startswith("send"):
        text, result = _destination(pid, name, arguments)
    return Call(thread=pid, at_s=time.monotonic(), name=name, arguments=text, result=result)


def _destination(pid: int, name: str, arguments: list[int]) -> tuple[str, str]:
    """Of what is sent without a connection; the first one of several."""
    if name == "sendto":
        addresses = [(arguments[4], arguments[5] & 0xFFFF_FFFF)]
    else:
        count = min(arguments[2], _MOST_MESSAGES) if name == "sendmmsg" else 1
        raw = _read(pid, arguments[1], (count - 1) * _MESSAGES_STEP + _MESSAGE.size)
        starts = range(0, len(raw) - _MESSAGE.size + 1, _MESSAGES_STEP)
        addresses = [_MESSAGE.unpack_from(raw, start) for start in starts]
    for where, size_bytes in addresses:
        if where and size_bytes:
            return _address(pid, where, size_bytes)
    return "0", "0"


def _read(pid: int, where: int, size_bytes: int) -> bytes:
    """A thread's memory; nothing where it may not be read."""
    try:
        with open(f"/proc/{pid}/mem", "rb") as memory:  # noqa: PTH123
            memory.seek(where)
            return memory.read(size_bytes)
    except (OSError, ValueError):
        return b""


def _address(pid: int, where: int, size_bytes: int) -> tuple[str, str]:
    """Where a thread sends or connects to; and whether that is there to answer."""
    raw = _read(pid, where, min(size_bytes, 128))
    if not raw:
        return "0, {sa_family=AF_UNREADABLE}", "0"
    family = _FAMILIES.get(int.from_bytes(raw[:2], "little"), "AF_UNKNOWN")
    if family != "AF_UNIX":
        return f"0, {{sa_family={family}}}", "0"
    path = raw[2:].rstrip(b"\0") if raw[2:3] == b"\0" else raw[2:].partition(b"\0")[0]
    is_there = path.startswith(b"\0") or os.path.exists(path)  # noqa: PTH110 - bytes
    text = "".join(f"\\x{byte:02x}" for byte in path)
    return f'0, {{sa_family=AF_UNIX, sun_path="{text}"}}', "0" if is_there else "-1 ENOENT"
