"""`prove --offline`: a spoken turn without any network is the same turn, and wanted none."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.proof import enclosure, namespace, seccomp
from edge_assistant_packaging.proof.enclosure import Ran, Watch
from edge_assistant_packaging.proof.report import Proof
from edge_assistant_packaging.proof.sockets import reached
from edge_assistant_packaging.proof.subject import Subject, hold
from edge_assistant_packaging.proof.turn import Home, Spoken

LIMITS: Final = (
    "what other programs of this machine do with the network, if the assistant speaks to none",
    "radio and wires that are no socket (a modem as a serial device); the kernel itself",
    "turns, tools and settings other than those of this run",
)

_GRANDCHILD: Final = "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)"
_CHILD: Final = f"""
import socket, subprocess, sys, threading
thread = threading.Thread(target=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
thread.start()
thread.join()
subprocess.run([sys.executable, "-c", {_GRANDCHILD!r}], check=True)
"""
"""The watch is tried on this first: a socket in a thread and one in a grandchild."""


def prove(subject: Subject) -> Proof:
    """Hold the turn outside and inside, watch both, and compare them.

    Raises:
        ShippingError: `proof-not-run`: no turn came about.
    """
    proof = Proof(subject="offline", limits=list(LIMITS))
    watch, why_not_strace = enclosure.choose_watch()
    proof.checked["watched by"] = "strace" if watch == "strace" else f"seccomp ({why_not_strace})"
    if watch == "seccomp":
        proof.limits.append("files of a name lookup: a seccomp filter sees no paths")
        if reason := seccomp.available():
            proof.unchecked.append(f"system calls: {why_not_strace}, and seccomp refused: {reason}")
            return proof
    _try_watch(watch, proof)
    outside, spoken_outside = _hold(subject, watch, is_cut_off=False)
    inside, spoken_inside = _hold(subject, watch, is_cut_off=True)
    _tell_network(inside, proof)
    for place, ran in (("outside", outside), ("inside", inside)):
        seen = reached(ran.calls)
        proof.checked[f"{place}, system calls"] = seen.to_json()
        proof.breaches += [f"{place}: {breach}" for breach in seen.breaches]
        if ran.exit_code != 0:
            proof.breaches.append(f"{place}: the assistant ended with {ran.exit_code}")
    proof.checked["outside, the turn"] = spoken_outside.to_json()
    proof.checked["inside, the turn"] = spoken_inside.to_json()
    _compare(spoken_outside, spoken_inside, subject, watch, proof)
    return proof


def _hold(subject: Subject, watch: Watch, *, is_cut_off: bool) -> tuple[Ran, Spoken]:
    with tempfile.TemporaryDirectory(prefix="edge-assistant-proof-") as folder:
        return hold(subject, Home(folder=Path(folder)), watch, is_cut_off=is_cut_off)


def _try_watch(watch: Watch, proof: Proof) -> None:
    """A watch that misses a planted socket proves nothing."""
    if getattr(sys, "frozen", False):
        proof.limits.append("the watch was not tried on a planted socket: no interpreter beside us")
        return
    with tempfile.TemporaryDirectory(prefix="edge-assistant-proof-") as folder:
        ran = enclosure.run(
            lambda _events: [sys.executable, "-I", "-c", _CHILD],
            environ={},
            folder=Path(folder),
            watch=watch,
            is_cut_off=False,
            longest_s=60.0,
        )
    seen = reached(ran.calls).by_family
    if not {"AF_INET", "AF_INET6"} <= seen.keys():
        raise ShippingError(
            "proof-watch-blind",
            f"the watch ({watch}) did not see the sockets that it was tried on",
            "run it outside of a sandbox, or install strace",
        )
    proof.checked["the watch was tried"] = (
        "it saw the planted AF_INET socket of a thread and the AF_INET6 socket of a grandchild"
    )


def _tell_network(inside: Ran, proof: Proof) -> None:
    found = inside.namespace
    if found is None:
        proof.unchecked.append(
            f"the turn without a network: no network namespace ({inside.no_namespace}); as root, "
            "or where user namespaces are allowed, there is one"
        )
        return
    told: dict[str, Any] = {
        "namespaces made": found.kind,
        "identity": f"{found.identity} (outside: {namespace.own_identity()})",
        "interfaces": list(found.interfaces),
        "routes": found.routes,
        "IPv6 addresses": found.addresses,
    }
    proof.checked["inside, the network"] = told
    if found.identity == namespace.own_identity():
        proof.breaches.append("inside: the network namespace is the one outside")
    if others := [name for name in found.interfaces if name not in _EMPTY_INTERFACES]:
        proof.breaches.append(f"inside: the network namespace has interfaces: {', '.join(others)}")


_EMPTY_INTERFACES: Final = frozenset({"lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0"}) | {
    *("ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"),
}
"""What a kernel puts into every new namespace, all of them down."""


def _compare(outside: Spoken, inside: Spoken, subject: Subject, watch: Watch, proof: Proof) -> None:
    differences: list[str] = []
    for what, there, here in (
        ("final transcript", outside.transcripts, inside.transcripts),
        ("committed reply", outside.replies, inside.replies),
        ("outcome of the turn", outside.outcomes, inside.outcomes),
    ):
        proof.checked[f"same {what}"] = there == here
        if there != here:
            differences.append(f"the {what} differs: outside {there!r}, inside {here!r}")
    if not differences:
        return
    _, again = _hold(subject, watch, is_cut_off=False)  # is it the network, or the machine?
    proof.checked["outside, once more"] = again.to_json()
    if again == outside:
        proof.breaches += differences
        return
    proof.unchecked += differences
    proof.unchecked.append(
        "the same turn: two turns outside differ from each other as well; a busy machine hears "
        "the same speech in other pieces"
    )
