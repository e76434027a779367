"""A loudspeaker beside the microphone: the assistant must not take itself for its user."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.bench.sounds import room_impulse
from tests.pipe.test_pipe import HUNG_S, spoken

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.usefixtures("starter_pack"),
]

LOUD_DB = "-6"
"""Half of what the loudspeaker emits comes back: they stand side by side."""


PAUSE_S = 4.0
"""Of the user, for the reply to begin and go on for a while."""


def converse(folder: Path, *more: str, then: str = "") -> list[dict[str, Any]]:
    """Ask for something long in a room with an echo, and say `then` over it; the events."""
    user, room, log = (folder / name for name in ("user.wav", "room.wav", "events.jsonl"))
    said = [spoken("Tell me about the history of Rome.")]
    if then:
        said += [np.zeros(round(PAUSE_S * SAMPLE_RATE), dtype=np.float32), spoken(then)]
    soundfile.write(user, np.concatenate(said), SAMPLE_RATE)
    soundfile.write(room, room_impulse(1, 0.25, 0.5), SAMPLE_RATE)
    words = [sys.executable, "-m", "edge_assistant", "converse", str(user), str(folder / "r.wav")]
    words += ["--room", str(room), "--echo-db", LOUD_DB, "--events", str(log), *more]
    subprocess.run(words, check=True, timeout=HUNG_S)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("mode", ["auto", "webrtc"])
def test_in_a_room_with_an_echo_it_speaks_to_its_end_and_answers_nobody(
    tmp_path: Path, mode: str
) -> None:
    events = converse(tmp_path, "--set", f"audio.echo_canceller={mode}")
    names = [event["event"] for event in events]
    assert names.count("speech_started") == 1
    assert names.count("playback_finished") == 1
    assert "ducked" not in names
    assert "yielded" not in names
    echo = next(event for event in events if event["event"] == "echo")
    assert echo["mode"] == mode
    assert echo["detected"] is True
    assert 0.0 <= echo["delay_ms"] < 20.0
    assert echo["erle_db"] > 10.0
    assert echo["echo_dbfs"] > -50.0


def test_who_talks_over_the_echo_is_heard(tmp_path: Path) -> None:
    events = converse(tmp_path, then="No, tell me about the weather in the mountains instead.")
    begun = next(event["t"] for event in events if event["event"] == "playback_started")
    yielded = next(event for event in events if event["event"] == "yielded")
    assert yielded["t"] > begun
    last = [event["text"] for event in events if event["event"] == "transcript"][-1]
    assert "weather" in last.lower()


def test_off_it_leaves_the_microphone_alone(tmp_path: Path) -> None:
    words = ("--set", "turns.barge_in=false", "--set", "audio.echo_canceller=off")
    assert all(event["event"] != "echo" for event in converse(tmp_path, *words))
