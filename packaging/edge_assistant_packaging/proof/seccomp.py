"""Sees sockets where there is no strace: a seccomp filter whose questions this process answers.

The filter (`SECCOMP_RET_USER_NOTIF`, Linux 5.5) is kept through fork and exec and cannot be taken
off, so that threads and grandchildren are seen too. It sees how a socket is made and what is
connected; it sees no files. Layouts and numbers: `linux/seccomp.h`, `linux/audit.h`.
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


_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E, 317, {41: "socket", 42: "connect", 308: "setns", 425: "io_uring_setup"}
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, {198: "socket", 203: "connect", 268: "setns", 425: "io_uring_setup"}
    ),
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
_LOOK_S: Final = 0.05
_QUESTION: Final = struct.Struct("=QIIiIQ6Q")
_REPLY: Final = struct.Struct("=QqiI")
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
            [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))]
        )
        os.close(listener)

    def finish(self) -> list[Call]:
        """Once the child has ended: what it and its children asked for."""
        self._done.set()
        self._childs.close()
        self._thread.join()
        self._ours.close()
        return self._calls

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
    child.finish()
    return reason


def _filter(machine: _Machine) -> ctypes.Array[ctypes.c_char]:
    """Another architecture, another ABI or a watched number: ask. Anything else: allow."""
    numbers = list(machine.watched)
    steps = [
        (_LOAD, 0, 0, 4),
        (_IF_EQUAL, 0, len(numbers) + 3, machine.audit),
        (_LOAD, 0, 0, 0),
        (_IF_AT_LEAST, len(numbers) + 1, 0, _OTHER_ABI),
        *((_IF_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
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
    return Call(thread=pid, at_s=time.monotonic(), name=name, arguments=text, result=result)


def _address(pid: int, where: int, size_bytes: int) -> tuple[str, str]:
    """What a thread connects to, read from its memory; and whether that is there to answer."""
    try:
        with open(f"/proc/{pid}/mem", "rb") as memory:  # noqa: PTH123
            memory.seek(where)
            raw = memory.read(min(size_bytes, 128))
    except OSError:
        return "0, {sa_family=AF_UNREADABLE}", "0"
    family = _FAMILIES.get(int.from_bytes(raw[:2], "little"), "AF_UNKNOWN")
    if family != "AF_UNIX":
        return f"0, {{sa_family={family}}}", "0"
    path = raw[2:].rstrip(b"\0") if raw[2:3] == b"\0" else raw[2:].partition(b"\0")[0]
    is_there = path.startswith(b"\0") or os.path.exists(path)  # noqa: PTH110 - bytes
    text = "".join(f"\\x{byte:02x}" for byte in path)
    return f'0, {{sa_family=AF_UNIX, sun_path="{text}"}}', "0" if is_there else "-1 ENOENT"
