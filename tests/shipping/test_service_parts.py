"""Parts of a service: the readiness protocol, signs of life, the book of starts, privacy."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_assistant.config import Config, load_profile
from edge_assistant.service.notify import Notifier, watchdog_interval_s
from edge_assistant.service.safe import safe
from edge_assistant.service.starts import HEALTHY_S, LOAD_S, MAX_UNCLEAN, WITHIN_S, Starts
from edge_assistant.service.watchdog import FrameWatchdog
from edge_assistant.store.catalog import Catalog
from edge_assistant.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address, and the socket that is bound to it."""
    name = f"@edge-assistant-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "path" else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address.replace("@", "\0", 1))
        bound.settimeout(10)
        yield address, bound


def test_a_message_arrives_in_one_piece(ear: tuple[str, socket.socket]) -> None:
    address, bound = ear
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})
    assert notifier.status("two\nlines", "READY=1")
    assert bound.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_a_reader_that_sleeps_or_has_gone_costs_nothing(ear: tuple[str, socket.socket]) -> None:
    address, bound = ear
    notifier = Notifier(address)
    while notifier.send("STATUS=" + "x" * 1000):
        pass  # until the queue is full: a socket that blocks would end here
    bound.close()
    assert not notifier.send("WATCHDOG=1")


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "relative"])
def test_nobody_is_told_where_nobody_asks(address: str | None) -> None:
    assert not Notifier(address).send("READY=1")


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_interval_is_the_supervisors(environ: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(environ) == interval_s


def test_signs_of_life_are_sent_for_frames_only(ear: tuple[str, socket.socket]) -> None:
    """Every look sees more frames until the tenth; from then on the ears hang."""
    address, bound = ear
    looks = 0
    hung = threading.Event()

    def consumed_frames() -> int:
        nonlocal looks
        looks += 1
        if looks > 30:
            hung.set()
        return min(looks, 10) * 512

    watchdog = FrameWatchdog(Notifier(address), 0.02, consumed_frames)
    watchdog.start()
    assert hung.wait(10)
    watchdog.stop()
    bound.setblocking(False)
    signs = 0
    while True:
        try:
            assert bound.recv(64) == b"WATCHDOG=1"
        except BlockingIOError:
            break
        signs += 1
    assert signs == 9


class Machine:
    """One boot of a machine, with a clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "runtime" / "starts.json"
        self.now_s = 1000.0

    def process(self) -> Starts:
        """A process that begins now."""
        return Starts(self.path, now_s=lambda: self.now_s)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_deaths_are_counted_and_clean_ends_are_not(machine: Machine) -> None:
    assert machine.process().begin() == 0
    assert machine.process().begin() == 1
    third = machine.process()
    assert third.begin() == 2
    third.ended()
    assert machine.process().begin() == 2
    assert machine.process().begin() == MAX_UNCLEAN
    assert machine.process().begin() > MAX_UNCLEAN  # and it stays safe while that dies, too


def test_old_deaths_say_nothing(machine: Machine) -> None:
    for _ in range(MAX_UNCLEAN):
        machine.process().begin()
    machine.now_s += WITHIN_S + 1
    assert machine.process().begin() == 1  # noticed only now


@pytest.mark.parametrize("life_s", [5.0, 200.0, HEALTHY_S, LOAD_S + 60.0])
def test_a_slow_loop_is_a_loop(machine: Machine, life_s: float) -> None:
    """It dies before it was healthy, or is ended because it loads for too long."""
    deaths = []
    for _ in range(MAX_UNCLEAN + 2):
        deaths.append(machine.process().begin())
        machine.now_s += life_s
    assert max(deaths) >= MAX_UNCLEAN


def test_who_is_ended_while_it_loads_may_have_been_told_to_or_have_taken_too_long(
    machine: Machine,
) -> None:
    for load_s, deaths in ((LOAD_S - 1, 0), (LOAD_S, 1), (LOAD_S + 60, 2)):
        process = machine.process()
        process.begin()
        process.loading()
        machine.now_s += load_s
        process.ended()
        last = machine.process()
        assert last.begin() == deaths
        last.ended()
    process = machine.process()
    process.begin()
    process.loading()
    process.ready()
    machine.now_s += LOAD_S
    process.ended()
    assert machine.process().begin() == 2


def test_who_is_ended_for_want_of_a_microphone_has_not_crashed(machine: Machine) -> None:
    process = machine.process()
    process.begin()
    process.without_sound(True)
    process.healthy()
    assert machine.process().begin() == 0
    process = machine.process()
    assert process.begin() == 1
    process.without_sound(True)
    process.without_sound(False)
    assert machine.process().begin() == 2


def test_having_been_healthy_clears_the_book(machine: Machine) -> None:
    for _ in range(MAX_UNCLEAN):
        machine.process().begin()
    process = machine.process()
    process.begin()
    process.healthy()
    assert machine.process().begin() == 1


def test_times_of_another_boot_are_no_matter(machine: Machine) -> None:
    for _ in range(MAX_UNCLEAN):
        machine.process().begin()
    machine.now_s = 5.0
    assert machine.process().begin() == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"unclean_s": "x"}', b"[" * 4000, b"\xff", b"0" * 10_000]
)
def test_a_broken_book_keeps_nobody_from_starting(machine: Machine, content: bytes) -> None:
    machine.path.parent.mkdir()
    machine.path.write_bytes(content)
    assert machine.process().begin() == 0
    assert json.loads(machine.path.read_text())["is_running"] is True


def test_a_folder_that_cannot_be_written_to_keeps_nobody_from_starting(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.path.parent.write_text("not a folder")
    process = machine.process()
    with caplog.at_level(logging.WARNING):
        assert process.begin() == 0
        process.ended()
    assert "starts are not counted" in caplog.text


@pytest.fixture
def starter_store(starter_pack: None) -> Store:
    return Store.default()


@pytest.mark.model
def test_safe_is_small_and_still_the_same_assistant(starter_store: Store) -> None:
    own = load_profile("desktop").with_overrides(
        {
            "llm.system_prompt": "You sell bread.",
            "llm.gpu_layers": -1,
            "turns.listen": "wake",
            "audio.input_device": "desk",
        }
    )
    fallen = safe(own, starter_store)
    starter = load_profile("starter")
    assert (fallen.stt, fallen.tts, fallen.turn_detector) == (
        starter.stt,
        starter.tts,
        starter.turn_detector,
    )
    assert (fallen.llm.model, fallen.llm.gpu_layers) == (starter.llm.model, 0)
    assert fallen.llm.system_prompt == "You sell bread."
    assert (fallen.turns, fallen.audio) == (own.turns, own.audio)


@pytest.mark.model
def test_safe_goes_on_in_the_language_that_is_spoken(starter_store: Store) -> None:
    own = Config().with_overrides({"stt.language": "de", "stt.model": "whisper-base-q5_1"})
    assert safe(own, starter_store).stt == own.stt


def test_safe_takes_nothing_that_is_not_there(tmp_path: Path) -> None:
    """A bundle without the starter pack."""
    own = load_profile("desktop").with_overrides({"llm.n_ctx": 8192, "llm.gpu_layers": 20})
    fallen = safe(own, Store(tmp_path / "none", Catalog.load(), system=None))
    assert (fallen.stt, fallen.llm.model) == (own.stt, own.llm.model)
    assert (fallen.llm.gpu_layers, fallen.llm.n_ctx) == (0, 2048)
    assert (fallen.turn_detector.model, fallen.vad.engine) == ("none", "webrtc")


def test_nobody_may_look_into_the_process_and_no_words_are_logged() -> None:
    program = """
import ctypes, logging, sys, threading
from edge_assistant.service.privacy import keep_words_out_of_the_log, make_undumpable
logging.basicConfig(level=logging.DEBUG)
assert make_undumpable() and ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0
keep_words_out_of_the_log()
logging.getLogger("edge_assistant").debug("the secret word")
logging.getLogger("edge_assistant").warning("told")
def fail():
    raise ValueError("the secret word")
try:
    fail()
except ValueError:
    logging.getLogger("edge_assistant").exception("%s failed", "a listener")
ctypes.CFUNCTYPE(None)(fail)()  # as native code calls back
thread = threading.Thread(target=fail, name="engine")
thread.start()
thread.join()
fail()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "secret" not in done.stdout + done.stderr
    assert "WARNING:edge_assistant:told" in done.stderr
    assert "ERROR:edge_assistant:a listener failed: ValueError" in done.stderr
    assert "ignored: ValueError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "thread engine ended by ValueError" in done.stderr
    assert "ended by ValueError" in done.stderr.splitlines()[-1]
