"""Choosing how to converse in a room, and whether the thresholds are those of our own canceller."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from edge_assistant.audio.echo.canceller import EchoCanceller
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.room.choice import (
    AUTO_DELAY_MS,
    NO_ECHO_DB,
    WEBRTC_DELAY_MS,
    Canceller,
    Choice,
    Mode,
    choose,
)
from edge_assistant.audio.room.measure import Measurement
from edge_assistant.bench.sounds import room_impulse
from edge_assistant.vad.webrtc import WebrtcVad
from tests.unit.audio.test_echo import LONG, attenuation_db, speech
from tests.unit.audio.test_echo import Room as EchoRoom
from tests.unit.audio.test_room import RoomCard, measured

QUIET = Measurement(
    noise_dbfs=-65.0,
    noise_peak_dbfs=-53.0,
    heard=2,
    echo_db=-20.0,
    least_echo_db=None,
    delay_ms=12.0,
    delay_spread_ms=0.5,
    round_trip_ms=60.0,
    rt60_s=0.4,
    snr_db=50.0,
    is_clipped=False,
    breaks=0,
)
NOTHING = dataclasses.replace(
    QUIET,
    heard=0,
    echo_db=None,
    least_echo_db=-65.0,
    delay_ms=None,
    delay_spread_ms=None,
    round_trip_ms=None,
    rt60_s=None,
    snr_db=None,
)


@pytest.mark.parametrize(
    ("room", "changes", "mode", "canceller"),
    [
        (QUIET, {}, "full", "auto"),
        (NOTHING, {}, "full", "auto"),
        (QUIET, {"echo_db": -10.5}, "full", "auto"),
        (QUIET, {"echo_db": -9.5}, "guarded", "auto"),
        (QUIET, {"echo_db": 2.5}, "guarded", "auto"),
        (QUIET, {"echo_db": 3.5}, "half", "auto"),
        (QUIET, {"noise_dbfs": -46.0}, "full", "auto"),
        (QUIET, {"noise_dbfs": -44.0}, "guarded", "auto"),
        (NOTHING, {"noise_dbfs": -44.0}, "guarded", "auto"),
        (NOTHING, {"least_echo_db": -40.0}, "guarded", "auto"),
        (QUIET, {"is_clipped": True}, "half", "auto"),
        (QUIET, {"delay_ms": 340.0}, "full", "auto"),
        (QUIET, {"delay_ms": 360.0}, "guarded", "webrtc"),
        (QUIET, {"delay_ms": 460.0}, "half", "auto"),
        (QUIET, {"delay_ms": -1.0}, "guarded", "webrtc"),
        (QUIET, {"delay_ms": -11.0}, "half", "auto"),
        (QUIET, {"round_trip_ms": 2_100.0}, "half", "auto"),
        (QUIET, {"delay_spread_ms": 9.0}, "guarded", "auto"),
        (QUIET, {"delay_spread_ms": 31.0}, "half", "auto"),
        (QUIET, {"delay_spread_ms": None, "heard": 1}, "guarded", "auto"),
        (QUIET, {"breaks": 1}, "guarded", "auto"),
        (QUIET, {"rt60_s": None, "snr_db": 21.0}, "full", "auto"),
        # An echo that is not taken for speech may come whenever it likes.
        (QUIET, {"echo_db": -49.5, "delay_ms": -11.0}, "half", "auto"),
        (QUIET, {"echo_db": -50.5, "delay_ms": -11.0}, "full", "auto"),
        (QUIET, {"echo_db": -50.5, "delay_ms": -1.0}, "full", "auto"),
        (QUIET, {"echo_db": -50.5, "delay_spread_ms": 31.0}, "full", "auto"),
    ],
)
def test_the_choice(
    room: Measurement, changes: dict[str, Any], mode: Mode, canceller: Canceller
) -> None:
    choice = choose(dataclasses.replace(room, **changes))
    assert (choice.mode, choice.canceller) == (mode, canceller)
    assert choice.reasons


def test_every_reason_is_told() -> None:
    room = dataclasses.replace(QUIET, is_clipped=True, echo_db=6.0, delay_spread_ms=40.0)
    choice: Choice = choose(room)
    assert len(choice.reasons) == 3
    assert "turn one of them down" in choice.reasons[0]


@pytest.mark.parametrize(
    ("card", "mode"),
    [
        (RoomCard(impulse=room_impulse(1, 0.3, 0.5), echo_db=-20.0), "full"),
        (RoomCard(echo_db=None), "full"),
        (RoomCard(impulse=room_impulse(1, 0.3, 0.5), echo_db=-4.0), "guarded"),
        (RoomCard(impulse=room_impulse(1, 0.3, 0.5), echo_db=-20.0, noise_dbfs=-40.0), "guarded"),
        (RoomCard(echo_db=8.0), "half"),
        (RoomCard(echo_db=-10.0, delay_ms=600.0), "half"),
        (RoomCard(echo_db=-10.0, jump_ms=60.0), "half"),
    ],
    ids=["desk", "headphones", "close", "noisy", "too loud", "too late", "unsteady"],
)
def test_from_the_room_to_the_choice(card: RoomCard, mode: Mode) -> None:
    assert choose(measured(card)).mode == mode


@pytest.mark.parametrize(
    ("mode", "delay_ms", "is_followed"),
    [
        ("auto", -10.0, False),
        ("auto", AUTO_DELAY_MS[0], True),
        ("auto", AUTO_DELAY_MS[1], True),
        ("auto", 450.0, False),
        ("webrtc", -40.0, False),
        ("webrtc", WEBRTC_DELAY_MS[0], True),
        ("webrtc", WEBRTC_DELAY_MS[1], True),
        ("webrtc", 600.0, False),
    ],
)
def test_the_cancellers_reach_as_far_as_the_choice_says(
    mode: Canceller, delay_ms: float, is_followed: bool
) -> None:
    far = speech(LONG)
    early = round(max(0.0, -delay_ms) / 1000.0 * SAMPLE_RATE)
    near = EchoRoom(delay_s=max(0.0, delay_ms) / 1000.0).echo(far)[early:]
    assert (attenuation_db(near, cancelled(far, near, mode)) > 12.0) == is_followed


def cancelled(far: Samples, near: Samples, mode: Canceller) -> Samples:
    """What a canceller leaves of `near` while `far` is played."""
    reference = EchoReference(SAMPLE_RATE)
    canceller = EchoCanceller(reference, mode=mode)
    ahead = 3  # blocks that the loudspeaker is given before they sound
    cleaned = []
    for block in range(len(near) // BLOCK_FRAMES):
        for given in range(ahead + 1) if block == 0 else (block + ahead,):
            piece = far[given * BLOCK_FRAMES : (given + 1) * BLOCK_FRAMES]
            out = np.zeros(BLOCK_FRAMES, dtype=np.float32)
            out[: len(piece)] = piece
            reference.note(out, given / 100.0)
        begin = block * BLOCK_FRAMES
        cleaned.append(canceller.clean(near[begin : begin + BLOCK_FRAMES], block / 100.0))
    return np.concatenate(cleaned)


def test_an_echo_that_does_not_count_is_not_taken_for_speech() -> None:
    def share(echo_db: float) -> float:
        sound = EchoRoom(gain_db=echo_db).echo(speech(LONG))
        detector = WebrtcVad()
        windows = [sound[at : at + 160] for at in range(0, len(sound) - 160, 160)]
        return float(np.mean([detector.speech_prob(window) for window in windows]))

    assert share(NO_ECHO_DB) < 0.05
    assert share(NO_ECHO_DB + 20.0) > 0.5
