"""Which system calls mean that a network was reached for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_assistant_packaging.proof.system_calls import Call, readable

LOCAL_FAMILIES: Final = frozenset({"AF_UNIX", "AF_LOCAL", "AF_ALG"})
"""Between programs of this machine, and the kernel's own ciphers. AF_UNIX is looked at again where
it is connected: the program at the other end may have a network."""

_NETLINK: Final = frozenset({"AF_NETLINK", "AF_ROUTE"})
_NETLINK_OF_THE_NETWORK: Final = frozenset(
    {"NETLINK_ROUTE", "0", "NETLINK_SOCK_DIAG", "NETLINK_INET_DIAG", "4"}
)
"""By name, or by the number that seccomp sees. Asking for interfaces and addresses is the first
step of a lookup and of nothing else here."""

LOOKUP_FILES: Final = frozenset(
    {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf"}
)
"""Read by a name lookup before it opens a socket; a lookup of `localhost` opens none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What a trace tells about the network."""

    by_name: dict[str, int]
    """Calls seen, by their name."""
    by_family: dict[str, int]
    """Calls of `socket`, by family, whether they succeeded or not."""
    connects: tuple[str, ...]
    lookup_files: tuple[str, ...]
    threads: int
    """That made any of the calls."""
    breaches: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Without the breaches, which are told elsewhere."""
        return {
            "calls seen": dict(self.by_name),
            "threads that made them": self.threads,
            "sockets by family": dict(self.by_family),
            "connects": list(self.connects),
            "files of a name lookup opened": list(self.lookup_files),
        }


def reached(calls: Sequence[Call]) -> Reached:
    """Go through a trace. An attempt counts like a success: the program wanted to."""
    families = [_family(call) for call in calls if call.name == "socket"]
    connects = [call for call in calls if call.name == "connect"]
    opened = [
        path
        for call in calls
        if call.name in ("open", "openat", "openat2")
        for path in _texts(call)
        if path in LOOKUP_FILES
    ]
    return Reached(
        by_name=dict(sorted(Counter(call.name for call in calls).items())),
        by_family=dict(sorted(Counter(families).items())),
        connects=tuple(
            readable(f"{_target(call)} -> {call.result or 'ended'}") for call in connects
        ),
        lookup_files=tuple(opened),
        threads=len({call.thread for call in calls}),
        breaches=tuple(_breaches(calls, opened)),
    )


def _breaches(calls: Sequence[Call], lookup_files: Iterable[str]) -> list[str]:
    found: list[str] = []
    for call in calls:
        if call.name == "socket" and _is_of_the_network(call):
            what = f"made a socket: {call.arguments}"
        elif call.name == "connect" and (_target(call)[:7] != "AF_UNIX" or not call.failed):
            what = f"connected to {_target(call)}"
        elif call.name in ("sendto", "sendmsg", "sendmmsg") and "sa_family=AF_UNIX" in (
            call.arguments
        ):
            what = f"sent to {_target(call)}" if not call.failed else ""
        elif call.name in ("accept", "accept4") and not call.failed:
            what = "was connected to by another program"
        elif call.name == "io_uring_setup" and not call.failed:
            what = "set up io_uring, through which sockets are made unseen"
        elif call.name in ("setns", "foreign_abi"):
            what = f"called {call.name}({call.arguments}), a way past this watch"
        else:
            continue
        if what:
            found.append(readable(f"thread {call.thread} {what} -> {call.result or 'ended'}"))
    if lookup_files:
        found.append(f"a name was looked up: it opened {', '.join(sorted(set(lookup_files)))}")
    return found


def _family(call: Call) -> str:
    if call.first_word in _NETLINK:
        return f"{call.first_word} {call.arguments.rpartition(', ')[2]}"
    return call.first_word


def _is_of_the_network(call: Call) -> bool:
    if call.first_word in _NETLINK:
        return call.arguments.rpartition(", ")[2] in _NETLINK_OF_THE_NETWORK
    return call.first_word not in LOCAL_FAMILIES


def _target(call: Call) -> str:
    _, _, rest = call.arguments.partition("sa_family=")
    family = rest.partition(",")[0].rstrip("}")
    texts = _texts(call)
    return f"{family} {texts[-1]!r}" if family == "AF_UNIX" and texts else rest.rstrip("}")


def _texts(call: Call) -> list[str]:
    return [text.decode(errors="replace") for text in call.strings()]
