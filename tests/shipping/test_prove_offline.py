"""`prove --offline`: what it lets pass, and every planted breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.proof import enclosure, offline, seccomp
from edge_assistant_packaging.proof.report import Proof
from edge_assistant_packaging.proof.subject import Subject

from edge_assistant.config import Config

STAND_IN = Path(__file__).with_name("stand_in.py")
Prove = Callable[[str], Proof]

WATCHES = [
    pytest.param(
        "strace",
        marks=pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    ),
    pytest.param(
        "seccomp",
        marks=pytest.mark.skipif(seccomp.available() != "", reason="no seccomp user notification"),
    ),
]


@pytest.fixture(autouse=True)
def needs_a_namespace() -> None:
    if reason := enclosure.namespace_refused():
        pytest.skip(f"no network namespace here: {reason}")


@pytest.fixture(params=WATCHES)
def watch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    chosen: str = request.param
    monkeypatch.setattr(enclosure, "choose_watch", lambda: (chosen, "a test wants it"))
    return chosen


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves the trial of the watch, which other tests have."""
    monkeypatch.setattr(offline, "_try_watch", lambda watch, proof: None)


def subject(breach: str, **environ: str) -> Subject:
    return Subject(
        config=Config(),
        models=Path("/nowhere"),
        speech=np.zeros(1600, dtype=np.float32),
        program=(sys.executable, str(STAND_IN), breach),
        environ={"PYTHONPATH": ":".join(filter(None, sys.path)), **environ},
        longest_s=60.0,
    )


def test_a_turn_without_a_network_is_held(watch: str) -> None:
    proof = offline.prove(subject("none"))
    assert (proof.verdict, proof.breaches, proof.unchecked) == ("held", [], [])
    assert proof.checked["inside, the network"]["interfaces"][0] == "lo"
    inside, outside = proof.checked["inside, the turn"], proof.checked["outside, the turn"]
    assert inside["committed reply"] == ["It is a fruit and a thing against rain."]
    assert inside == outside
    assert "verdict: held" in proof.to_text()


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize(
    ("breach", "told"),
    [
        ("inet", "AF_INET,"),
        ("inet6", "AF_INET6,"),
        ("packet", "AF_PACKET,"),
        ("netlink", "AF_NETLINK,"),
        ("thread", "AF_INET,"),
        ("grandchild", "AF_INET,"),
        ("lookup", "AF_"),
        ("afterwards", "AF_INET,"),
        ("socket diagnosis", "AF_NETLINK,"),
        ("daemon", "connected to AF_UNIX"),
        ("sendto", "sent to AF_UNIX"),
        ("sendmsg", "sent to AF_UNIX"),
        ("caller", "was connected to"),
    ],
)
def test_a_breach_is_found_inside_and_outside(watch: str, breach: str, told: str) -> None:
    proof = offline.prove(subject(breach))
    assert proof.verdict == "breached"
    for place in ("inside", "outside"):
        assert any(told in each for each in proof.breaches if each.startswith(place)), breach


@pytest.mark.skipif(seccomp.available() != "", reason="no seccomp user notification")
def test_a_program_that_goes_on_is_not_taken_for_one_that_is_over() -> None:
    """Its next call would not be seen."""
    listener = seccomp.Listener()
    with subprocess.Popen(["sleep", "60"], preexec_fn=listener.install) as child:
        assert listener.finish(0.1) == ([], False)
        child.kill()


@pytest.mark.usefixtures("untried")
@pytest.mark.parametrize("breach", ["another reply", "another transcript", "exit"])
def test_another_turn_is_a_breach(breach: str) -> None:
    assert offline.prove(subject(breach)).verdict == "breached"


@pytest.mark.usefixtures("untried")
def test_a_lookup_that_needs_no_socket_is_found_by_its_files() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    proof = offline.prove(subject("lookup of localhost"))
    assert any("a name was looked up" in each for each in proof.breaches)


@pytest.mark.usefixtures("untried")
def test_before_the_program_begins(watch: str, tmp_path: Path) -> None:
    """Python runs a sitecustomize before anything of ours."""
    (tmp_path / "sitecustomize.py").write_text("import socket; socket.socket(socket.AF_INET)\n")
    path = ":".join([str(tmp_path), *filter(None, sys.path)])
    assert offline.prove(subject("none", PYTHONPATH=path)).verdict == "breached"


@pytest.mark.usefixtures("untried")
def test_a_machine_that_never_repeats_itself_proves_nothing() -> None:
    """Nor is it accused."""
    proof = offline.prove(subject("not repeatable"))
    assert (proof.verdict, proof.breaches) == ("incomplete", [])


@pytest.mark.usefixtures("untried")
def test_without_a_namespace_it_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosure, "namespace_refused", lambda: "Operation not permitted")
    proof = offline.prove(subject("none"))
    assert proof.verdict == "incomplete"
    assert "no network namespace (Operation not permitted)" in proof.unchecked[0]


@pytest.mark.usefixtures("untried")
def test_a_conversation_without_a_turn_is_no_proof() -> None:
    with pytest.raises(ShippingError) as told:
        offline.prove(subject("no turn"))
    assert told.value.code == "proof-not-run"


def test_a_blind_watch_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosure, "read_calls", lambda folder, prefix: [])
    monkeypatch.setattr(enclosure, "choose_watch", lambda: ("strace", ""))
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    with pytest.raises(ShippingError) as told:
        offline.prove(subject("none"))
    assert told.value.code == "proof-watch-blind"
