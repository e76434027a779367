"""`edge-assistant room` on a sound card that is a wire, an attenuator, or two separate devices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.files import write_wav
from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.sounds import steady_noise
from tests.device.sound_server import HUNG_S, SoundServer

pytestmark = [pytest.mark.device, pytest.mark.slow]

ROOM = [sys.executable, "-m", "edge_assistant", "room", "--set", "audio.watchdog_ms=20000"]
PATIENT = {"PULSE_LATENCY_MSEC": "150"}
"""Other tests may keep the machine busy; a buffer of 30 ms, right for talking, then runs dry."""


def measured(server: SoundServer, *flags: str) -> dict[str, Any]:
    """What it says, as JSON. The devices' latencies are the machine's, and not looked at."""
    done = subprocess.run(
        [*ROOM, "--json", *flags],
        env=server.environment | PATIENT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize(("volume_db", "is_free"), [(0, False), (-20, True), (6, False)])
def test_the_level_of_a_wire(server: SoundServer, volume_db: int, is_free: bool) -> None:
    server.pactl("set-default-source", "spk.monitor")
    server.pactl("set-sink-volume", "spk", f"{volume_db}dB")
    told = measured(server, "--write")
    # The server resamples, which takes a little off the top of the band.
    assert told["measurement"]["echo_db"] == pytest.approx(volume_db, abs=1.0)
    assert told["measurement"]["heard"] == 2
    assert told["measurement"]["rt60_s"] is None
    assert not told["measurement"]["is_clipped"]
    if volume_db == 6:
        assert told["mode"] == "half"
    if not is_free:
        assert told["mode"] != "full"
    own = server.home / ".config" / "edge-assistant" / "config.toml"
    turns = tomllib.loads(own.read_text())["turns"]
    assert turns["barge_in"] == (told["mode"] != "half") == told["settings"]["turns.barge_in"]


def test_a_loudspeaker_that_the_microphone_does_not_hear(
    server: SoundServer, tmp_path: Path
) -> None:
    write_wav(tmp_path / "noise.wav", steady_noise(90 * SAMPLE_RATE, 1, -70.0))
    noise = subprocess.Popen(
        ["paplay", "-d", "micsrc", str(tmp_path / "noise.wav")], env=server.environment
    )
    try:
        told = measured(server)
    finally:
        noise.kill()
        noise.wait()
    assert told["measurement"]["echo_db"] is None
    assert told["measurement"]["noise_dbfs"] == pytest.approx(-70.0, abs=2.0)
    assert told["mode"] == "full"
    assert told["settings"]["audio.echo_canceller"] == "auto"


def test_a_signal_ends_the_sound(server: SoundServer, tmp_path: Path) -> None:
    server.pactl("set-default-source", "spk.monitor")
    heard = tmp_path / "heard.wav"
    recorder = subprocess.Popen(
        ["parec", "-d", "spk.monitor", "--rate=16000", "--channels=1", "--file-format=wav", heard],
        env=server.environment,
    )
    child = subprocess.Popen(
        ROOM,
        env=server.environment | PATIENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        give_up_s = time.monotonic() + HUNG_S
        while not loud_frames(heard):  # the first sweep has begun
            assert time.monotonic() < give_up_s
            assert child.poll() is None
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=HUNG_S)
        time.sleep(0.5)  # what was still in the server's buffers
        frames = loud_frames(heard)
    finally:
        child.kill()
        recorder.terminate()
        recorder.wait()
    assert child.returncode == 130
    assert "Traceback" not in said
    assert 0 < frames < 2 * SAMPLE_RATE * 0.9  # not both sweeps


def loud_frames(path: Path) -> int:
    """Frames of `path` that are no silence, so far."""
    if not path.exists() or path.stat().st_size < 100:
        return 0
    samples = np.frombuffer(path.read_bytes()[44:][: (path.stat().st_size - 44) // 2 * 2], "<i2")
    return int(np.sum(np.abs(samples) > 33))
