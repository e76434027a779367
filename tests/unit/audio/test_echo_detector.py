"""Whether there is an echo: found, not imagined, lost, and found again elsewhere."""

from __future__ import annotations

import numpy as np

from edge_assistant.audio.echo.detector import LIKE_BLOCKS, EchoDetector
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db, rms_dbfs
from edge_assistant.bench.sounds import in_room, room_impulse, room_tone
from tests.unit.audio.test_echo import LONG, QUESTION, speech


def listen(detector: EchoDetector, near: Samples, far: Samples) -> None:
    for first in range(0, len(far) - BLOCK_FRAMES, BLOCK_FRAMES):
        piece = far[first : first + BLOCK_FRAMES]
        detector.listen(near[first : first + BLOCK_FRAMES], piece, bool(np.abs(piece).max() > 3e-4))


def echo(far: Samples, gain_db: float, distance_m: float = 0.5, seed: int = 1) -> Samples:
    wet = in_room(far, room_impulse(seed, 0.25, distance_m))[: len(far)]
    return wet * np.float32(gain_of_db(gain_db)) + room_tone(len(far), seed=3)


def test_an_echo_is_found_while_the_user_talks_too() -> None:
    detector, far, user = EchoDetector(), speech(LONG), speech(QUESTION * 2, "en-gb")
    near = echo(far, -20.0)
    near[SAMPLE_RATE : SAMPLE_RATE + len(user)] += user[: len(near) - SAMPLE_RATE]
    listen(detector, near, far)
    assert detector.is_echo
    assert abs(detector.path.delay_ms() - 1000.0 * 0.5 / 343.0) < 1.0


def test_a_user_is_no_echo() -> None:
    detector, far = EchoDetector(), speech(LONG)
    user = np.resize(speech(QUESTION, "en-gb"), len(far)) + room_tone(len(far), seed=3)
    listen(detector, user, far)
    assert detector.is_echo is False


def test_in_a_noisy_room_an_echo_is_not_denied() -> None:
    detector, far = EchoDetector(), speech(LONG)[:SAMPLE_RATE]
    noise = room_tone(len(far), seed=3)
    noise *= np.float32(gain_of_db(rms_dbfs(far) - 15.0 - rms_dbfs(noise)))
    listen(detector, echo(far, -20.0) + noise, far)
    assert detector.is_echo is not False


def test_a_sound_unlike_the_loudspeakers_is_no_echo_for_that_reply() -> None:
    detector, far = EchoDetector(), speech(LONG)
    begin = int(np.flatnonzero(np.abs(far) > 3e-4)[0])
    far = far[begin:][: round(1.3 * SAMPLE_RATE)]
    other = room_tone(len(far), seed=3)
    other *= np.float32(gain_of_db(rms_dbfs(far) - 6.0 - rms_dbfs(other)))
    soon = (LIKE_BLOCKS[0] - 1) * BLOCK_FRAMES
    listen(detector, other[:soon], far[:soon])
    assert detector.is_echo is None
    listen(detector, other[soon - BLOCK_FRAMES :], far[soon - BLOCK_FRAMES :])
    assert detector.is_echo is False
    detector.settle()
    assert detector.is_echo is None


def test_a_silent_microphone_tells_soon_that_there_is_no_echo() -> None:
    detector, far = EchoDetector(), speech(LONG)
    begin = int(np.flatnonzero(np.abs(far) > 3e-4)[0])
    far = far[begin:]
    near = room_tone(len(far), seed=3)
    soon = (LIKE_BLOCKS[0] - 1) * BLOCK_FRAMES
    listen(detector, near[: soon + BLOCK_FRAMES], far[: soon + BLOCK_FRAMES])
    assert detector.is_echo is None
    listen(detector, near[soon:SAMPLE_RATE], far[soon:SAMPLE_RATE])
    assert detector.is_echo is False


def test_an_echo_that_comes_late_is_found_all_the_same() -> None:
    detector, far = EchoDetector(), speech(LONG)
    late = np.zeros(round(0.35 * SAMPLE_RATE), np.float32)
    near = np.concatenate([late, echo(far, -6.0)])[: len(far)]
    listen(detector, near, far)
    assert detector.is_echo


def test_headphones_are_noticed_and_so_is_their_end() -> None:
    detector, far = EchoDetector(), speech(LONG)
    listen(detector, echo(far, -6.0), far)
    assert detector.is_echo
    for _ in range(2):
        listen(detector, room_tone(len(far), seed=3), far)
    assert detector.is_echo is False
    listen(detector, echo(far, -6.0), far)
    assert detector.is_echo


def test_a_loudspeaker_that_is_moved_is_followed() -> None:
    detector, far = EchoDetector(), speech(LONG)
    listen(detector, echo(far, -6.0), far)
    near = echo(far, -6.0, distance_m=8.0, seed=2)
    listen(detector, near, far)
    assert abs(detector.path.delay_ms() - 1000.0 * 8.0 / 343.0) < 1.0
