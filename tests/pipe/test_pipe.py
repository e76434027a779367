"""The contract of `converse --pipe`, held by an independent partner, on the real starter pack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.format import SAMPLE_RATE
from edge_assistant.audio.resample import resample
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice
from tests.pipe.client import BLOCK, RATE, Conversation, Sound

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.usefixtures("starter_pack"),
]

HUNG_S = 60.0
"""Seconds of conversation after which an answer is not late but missing."""


def spoken(text: str) -> Sound:
    """A synthetic voice saying `text`, 16 kHz."""
    voice = EspeakVoice("en-us")
    chunks = [chunk.samples for chunk in voice.synthesize(text, CancelToken())]
    return resample(np.concatenate(chunks), voice.sample_rate, SAMPLE_RATE)


def named(conversation: Conversation, name: str) -> list[dict[str, Any]]:
    return [event for event in conversation.events() if event["event"] == name]


def first_audible_s(sound: Sound) -> float:
    return float(np.flatnonzero(np.abs(sound) > 10 ** (-50 / 20))[0]) / RATE


def last_audible_s(sound: Sound) -> float:
    return float(np.flatnonzero(np.abs(sound) > 10 ** (-50 / 20))[-1] + 1) / RATE


def test_a_spoken_question_is_answered_aloud(tmp_path: Path) -> None:
    partner = Conversation(tmp_path / "events.jsonl")
    question = spoken("What is the capital of France?")
    partner.run(0.5)
    partner.say(question)
    assert partner.run_until(lambda: partner.has("turn_finished"), HUNG_S)
    assert partner.close() == 0

    names = [event["event"] for event in partner.events()]
    assert names[0] == "listening"
    wanted = ["speech_started", "draft_started", "transcript", "speech_ended", "committed"]
    last = {name: at for at, name in enumerate(names)}  # looks and drafts before the last are void
    assert sorted(wanted, key=lambda name: last[name]) == wanted
    # Not "France": on some processors the made voice's is heard as "friends".
    assert "the capital of" in named(partner, "transcript")[-1]["text"].lower()

    heard = np.concatenate(partner.heard)
    (latency,) = named(partner, "latency")
    started_s = named(partner, "playback_started")[0]["t"]
    ended_s = named(partner, "speech_ended")[0]["t"]
    # The recording is the judge: what the log says must be what the partner heard.
    assert first_audible_s(heard) == pytest.approx(ended_s + latency["gap_s"], abs=0.002)
    assert first_audible_s(heard) == pytest.approx(
        started_s + latency["leading_silence_s"], abs=0.002
    )
    parts = sum(value for name, value in latency.items() if name.endswith("_s")) - latency["gap_s"]
    assert parts == pytest.approx(latency["gap_s"], abs=1e-3)
    assert ended_s == pytest.approx(0.5 + len(question) / RATE, abs=0.25)


def test_events_come_before_the_block_that_they_belong_to(tmp_path: Path) -> None:
    partner = Conversation(tmp_path / "events.jsonl")
    partner.say(spoken("What is the capital of France?"))
    late: list[tuple[int, dict[str, Any]]] = []
    seen = 0

    def look() -> bool:
        nonlocal seen
        events = partner.events()
        answered_s = (partner.blocks - 1) * BLOCK / RATE
        late.extend((partner.blocks, event) for event in events[seen:] if event["t"] < answered_s)
        seen = len(events)
        return partner.has("playback_finished")

    assert partner.run_until(look, HUNG_S)
    partner.close()
    # The start and the end of speech are dated back to where they were: they are known only later.
    late = [entry for entry in late if not entry[1]["event"].startswith("speech_")]
    assert not late


def test_an_interruption_is_heard_and_only_what_was_heard_is_kept(tmp_path: Path) -> None:
    partner = Conversation(tmp_path / "events.jsonl")
    partner.say(spoken("Tell me a long story about a dog and a cat."))
    assert partner.run_until(lambda: partner.has("playback_started"), HUNG_S)
    partner.run(1.0)
    began_s = partner.say(spoken("I would rather know the capital of France."))
    assert partner.run_until(lambda: partner.has("yielded"), HUNG_S)
    yielded_s = partner.now_s
    assert partner.run_until(lambda: partner.has("playback_started", 2), HUNG_S)
    partner.close()
    assert yielded_s - began_s < 2.0, "it went on talking"
    silent = np.concatenate(partner.heard)[int((yielded_s + 0.04) * RATE) :]
    gap_s = named(partner, "playback_started")[1]["t"] - yielded_s
    assert not silent[: int((gap_s - 0.1) * RATE)].any()
    (yielded,) = named(partner, "yielded")
    assert yielded["exact"]
    spoken_s = yielded_s - named(partner, "playback_started")[0]["t"]
    assert 0 < len(yielded["heard"].split()) < 5 * spoken_s
    outcomes = [event["outcome"] for event in named(partner, "turn_finished")]
    assert outcomes[0] == "interrupted"


def test_nothing_but_sound_comes_out_and_the_end_of_input_ends_it(tmp_path: Path) -> None:
    blocks = 100
    silence = bytes(2 * BLOCK * blocks)
    run = subprocess.run(
        [sys.executable, "-m", "edge_assistant", "converse", "--pipe"],
        input=silence + b"\x00" * 17,  # half a block at the end is no block
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert len(run.stdout) == len(silence)
    assert not any(run.stdout)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_while_it_speaks(tmp_path: Path, sent: signal.Signals) -> None:
    partner = Conversation(tmp_path / "events.jsonl")
    partner.say(spoken("Tell me a long story about a dog and a cat."))
    assert partner.run_until(lambda: partner.has("playback_started"), HUNG_S)
    os.kill(partner.process.pid, sent)
    assert partner.process.wait(timeout=20) == 128 + sent
    assert partner.process.stderr is not None
    assert "Traceback" not in partner.process.stderr.read().decode()
    partner.close()
