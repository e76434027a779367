"""`edge-assistant run --service` on a virtual sound card, under a supervisor that kills it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_assistant.service.starts import MAX_UNCLEAN
from edge_assistant.store.store import default_root
from tests.device.sound_server import HUNG_S, SoundServer, missing_parts
from tests.shipping.supervisor import Supervisor

pytestmark = [pytest.mark.device, pytest.mark.model, pytest.mark.slow]

WATCHDOG_S = 1.0
MAX_SIGNS = 10


@pytest.fixture
def server(starter_pack: None, tmp_path: Path) -> Iterator[SoundServer]:
    """A sound server that is not running yet."""
    reason = missing_parts()
    if reason:
        pytest.skip(reason)
    server = SoundServer(tmp_path / "pulse")
    server.prepare()
    yield server
    server.kill()


@pytest.fixture
def environ(server: SoundServer) -> dict[str, str]:
    return server.environment | {"EDGE_ASSISTANT_MODELS_DIR": str(default_root())}


Start = Callable[..., Supervisor]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Start]:
    """A supervisor, closed in the end."""
    made: list[Supervisor] = []

    def make(*, is_abstract: bool = False, watchdog_s: float | None = None) -> Supervisor:
        made.append(Supervisor(tmp_path, is_abstract=is_abstract, watchdog_s=watchdog_s))
        return made[-1]

    yield make
    for each in made:
        each.close()


def is_counted(service: Supervisor) -> bool:
    """Whether the end of this run would count as a crash."""
    book = json.loads((service.runtime / "starts.json").read_text())
    return bool(book["is_running"])


def test_signs_of_life_end_with_the_sound(
    server: SoundServer, environ: dict[str, str], supervised: Start
) -> None:
    server.start()
    service = supervised(watchdog_s=WATCHDOG_S)
    service.start(environ)
    service.expect("STATUS=loading")
    service.expect("EXTEND_TIMEOUT_USEC=600000000")
    service.expect("READY=1")
    service.expect("STATUS=listening")
    service.said.clear()
    service.expect("WATCHDOG=1")

    service.child.send_signal(signal.SIGHUP)
    service.expect_text("no model or voice has changed")

    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # the sound server hangs: it is there, and gives nothing
    try:
        for _ in range(MAX_SIGNS):  # what is under way still comes
            if "WATCHDOG=1" not in service.listen(2 * WATCHDOG_S):
                break
        else:
            pytest.fail(f"still signs of life without sound: {service.said}")
        assert "WATCHDOG=1" not in service.listen(3 * WATCHDOG_S)
        while is_counted(service):  # small models would bring no sound
            service.listen(0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert service.child.poll() is None  # it lives, which is not enough
    service.said.clear()
    service.expect("WATCHDOG=1")
    service.expect_text("the sound device is back")
    while not is_counted(service):
        service.listen(0.1)
    assert service.end(signal.SIGTERM) == 143
    service.listen(0.1)
    assert "STOPPING=1" in service.said


def test_a_card_is_waited_for(
    server: SoundServer, environ: dict[str, str], supervised: Start
) -> None:
    """Told through a socket that has no path, as some systems have it."""
    service = supervised(is_abstract=True)
    service.start(environ)
    service.expect("STATUS=waiting for a sound device: ")
    service.said.clear()
    service.expect("EXTEND_TIMEOUT_USEC=")
    assert not any(line.startswith("READY") for line in service.said)
    server.start()
    service.expect("READY=1")


def test_a_book_of_starts_knows_a_wanted_end(
    environ: dict[str, str], supervised: Start, server: SoundServer
) -> None:
    service = supervised()
    for _ in range(MAX_UNCLEAN + 1):  # without a card: nothing is loaded, and it is quick
        service.start(environ)
        service.expect("STATUS=waiting for a sound device")
        assert service.end(signal.SIGTERM) == 143
    assert json.loads((service.runtime / "starts.json").read_text()) == {
        "unclean_s": [],
        "is_running": False,
    }
    assert "safe mode" not in service.text


def test_after_three_kills_it_starts_safe_and_says_so(
    server: SoundServer, environ: dict[str, str], supervised: Start, tmp_path: Path
) -> None:
    server.start()
    service = supervised()
    service.start(environ)
    service.expect("READY=1")
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    service.start(environ)
    service.expect("STATUS=loading")
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    service.start(environ)
    service.expect("READY=1")
    assert "STATUS=listening" in service.said  # two are no loop yet
    assert service.end(signal.SIGSEGV) == -signal.SIGSEGV

    events = tmp_path / "events.jsonl"
    service.start(environ, "--events", str(events))
    service.expect("STATUS=listening, in safe mode")
    _wait_for(events, service, "playback_finished")
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert {"t": 0.0, "event": "safe_mode", "crashes": MAX_UNCLEAN} in told
    (heard,) = (each["heard"] for each in told if each["event"] == "playback_finished")
    assert heard == (
        "Something went wrong several times, so I started again in safe mode, with small models."
    )
    assert service.end(signal.SIGTERM) == 143


def test_a_model_that_cannot_be_had_is_a_loop_that_safe_mode_ends(
    server: SoundServer, environ: dict[str, str], supervised: Start
) -> None:
    """Nobody kills it here: every start ends by itself, with an error, until the safe one."""
    server.start()
    service = supervised()
    for _ in range(MAX_UNCLEAN):
        service.start(environ, "--llm", "no-such-model")
        assert service.child.wait(HUNG_S) == 1
    service.start(environ, "--llm", "no-such-model")
    service.expect("STATUS=listening, in safe mode")


def test_what_is_said_is_in_no_log(
    server: SoundServer, environ: dict[str, str], supervised: Start, tmp_path: Path
) -> None:
    """With every detail asked for; the events, in a file that somebody asked for, have it all."""
    server.start()
    events, spoken = tmp_path / "events.jsonl", tmp_path / "spoken.wav"
    text = "What is the capital of France?"
    command = [sys.executable, "-m", "edge_assistant", "say", text, "-o", str(spoken)]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    service = supervised()
    service.start(environ, "--events", str(events), verbose=True)
    service.expect("READY=1")
    play = ["paplay", "-d", "micsrc", str(spoken)]
    subprocess.run(play, env=environ, check=True, timeout=HUNG_S)
    _wait_for(events, service, "playback_finished")
    assert service.end(signal.SIGTERM) == 143
    service.listen(0.1)

    told = [json.loads(line) for line in events.read_text().splitlines()]
    words = {
        word.strip(".,?!'").lower()
        for each in told
        for field in ("text", "heard", "spoken")
        for word in str(each.get(field, "")).split()
    }
    assert "capital" in words
    told_to_all = f"{service.text} {' '.join(service.said)}".lower()
    assert not [word for word in words if len(word) > 5 and word in told_to_all]


def _wait_for(events: Path, service: Supervisor, name: str) -> None:
    """Until an event of this name is in the file."""
    for _ in range(600):
        if events.exists() and f'"event": "{name}"' in events.read_text():
            return
        assert service.child.poll() is None, service.text
        service.listen(0.1)
    pytest.fail(f"no {name} in {events.read_text()}")
