"""The echo canceller in rooms that the test makes: two clocks, late devices, somebody talking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from edge_assistant.audio.echo.canceller import EchoCanceller, Mode
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.level import rms_dbfs
from edge_assistant.audio.resample import resample
from edge_assistant.bench.sounds import in_room, room_impulse, room_tone
from edge_assistant.cancel import CancelToken
from edge_assistant.tts.espeak import EspeakVoice

BLOCK_S = BLOCK_FRAMES / SAMPLE_RATE
OUT_LATENCY_S = 0.03
LONG = (
    "The history of Rome is long. It began as a village on a hill, and it ended as the greatest "
    "empire of the old world. Its roads, its laws and its language are with us to this day."
)
QUESTION = "Stop, tell me about the weather in the mountains instead of that."


@cache
def speech(text: str, voice: str = "en-us") -> Samples:
    """Something said, 16 kHz, at -23 dBFS."""
    engine = EspeakVoice(voice)
    sound = np.concatenate([chunk.samples for chunk in engine.synthesize(text, CancelToken())])
    sound = resample(sound, engine.sample_rate, SAMPLE_RATE)
    level = 10.0 ** ((-23.0 - rms_dbfs(sound)) / 20.0)
    return np.asarray(sound * level, dtype=np.float32)


@dataclass(kw_only=True)
class Room:
    """A loudspeaker and a microphone, on clocks of their own."""

    playback_rate: int = SAMPLE_RATE
    clock: float = 1.0
    """By how much slower than its rate the loudspeaker's clock runs."""
    delay_s: float = 0.02
    jump_s: float = 0.0
    """The device comes so much later, from the middle on."""
    gain_db: float = -6.0

    def echo(self, far: Samples) -> Samples:
        """What the microphone hears of it."""
        slow = resample(far, SAMPLE_RATE, round(SAMPLE_RATE * self.clock))
        wet = in_room(slow, room_impulse(1, 0.25, 0.5))[: len(slow)]
        level = 10.0 ** ((rms_dbfs(slow) + self.gain_db - rms_dbfs(wet)) / 20.0)
        wet = np.concatenate([np.zeros(round(self.delay_s * SAMPLE_RATE)), wet * level])
        middle, late = len(wet) // 2, round(self.jump_s * SAMPLE_RATE)
        return np.concatenate([wet[:middle], np.zeros(late), wet[middle:]]).astype(np.float32)

    def play(
        self, far: Samples, near: Samples, mode: Mode = "auto"
    ) -> tuple[Samples, EchoCanceller]:
        """Play `far` and let the canceller clean `near`, block by block as a card would."""
        reference = EchoReference(self.playback_rate)
        canceller = EchoCanceller(reference, mode=mode)
        native = resample(far, SAMPLE_RATE, self.playback_rate)
        size = self.playback_rate // 100
        played = 0
        cleaned = []
        for block in range(len(near) // BLOCK_FRAMES):
            now_s = block * BLOCK_S
            while (
                dac_s := played * size / self.playback_rate * self.clock
            ) < now_s + OUT_LATENCY_S:
                out = np.zeros(size, dtype=np.float32)
                piece = native[played * size : (played + 1) * size]
                out[: len(piece)] = piece
                reference.note(out, dac_s)
                played += 1
            first = block * BLOCK_FRAMES
            cleaned.append(canceller.clean(near[first : first + BLOCK_FRAMES], now_s))
        return np.concatenate(cleaned), canceller


def quiet(frames: int) -> Samples:
    """A room in which nobody speaks."""
    return room_tone(frames, seed=3)


def attenuation_db(before: Samples, after: Samples, from_s: float = 3.0) -> float:
    first = round(from_s * SAMPLE_RATE)
    return rms_dbfs(before[first : len(after)]) - rms_dbfs(after[first:])


@pytest.mark.parametrize(
    ("room", "least_db"),
    [
        (Room(), 20.0),
        (Room(playback_rate=22_050), 20.0),
        (Room(playback_rate=48_000), 20.0),
        (Room(gain_db=0.0), 20.0),
        (Room(delay_s=0.2), 20.0),
        (Room(clock=16_003 / 16_000), 15.0),
        (Room(clock=15_997 / 16_000, playback_rate=48_000), 15.0),
        (Room(jump_s=0.03), 10.0),  # `auto` needs 2 s to learn the new way
    ],
    ids=["plain", "22 kHz", "48 kHz", "loud", "late", "slow clock", "fast clock", "jump"],
)
@pytest.mark.parametrize("mode", ["auto", "webrtc"])
def test_the_echo_goes_away(room: Room, least_db: float, mode: Mode) -> None:
    far = speech(LONG)
    near = room.echo(far)
    cleaned, canceller = room.play(far, near, mode)
    assert attenuation_db(near, cleaned) > least_db
    quiet = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    for first in range(0, len(quiet), BLOCK_FRAMES):
        canceller.clean(quiet[first : first + BLOCK_FRAMES], 60.0 + first / SAMPLE_RATE)
    report = canceller.take_report()
    assert report is not None
    assert report.mode == mode
    assert report.is_echo
    assert report.erle_db is not None
    assert report.erle_db > 10.0
    assert report.delay_ms is not None
    travel_ms = 1000.0 * 0.5 / 343.0
    late_ms = 1000.0 * (room.delay_s + room.jump_s) + travel_ms
    assert abs(report.delay_ms - late_ms) < 5.0
    assert canceller.take_report() is None


@pytest.mark.parametrize("gain_db", [-20.0, -6.0, 0.0])
def test_nothing_that_is_left_of_an_echo_comes_through(gain_db: float) -> None:
    """Not even in the first second, before the way is learnt."""
    far = speech(LONG)
    room = Room(gain_db=gain_db)
    near = room.echo(far)
    near += quiet(len(near))
    cleaned, canceller = room.play(far, near)
    assert not cleaned.any()
    assert canceller.ungated.any()


def test_who_talks_over_it_is_heard() -> None:
    room, far, user = Room(), speech(LONG), speech(QUESTION, "en-gb")
    echo = room.echo(far)
    near = echo.copy()
    begin = 5 * SAMPLE_RATE
    near[begin : begin + len(user)] += user
    cleaned, _ = room.play(far, near)
    kept = cleaned[begin : begin + len(user)]
    same = max(
        float(np.corrcoef(user[: len(kept) - lag], kept[lag:])[0, 1]) for lag in range(0, 240, 8)
    )
    assert same > 0.9
    assert rms_dbfs(user) - rms_dbfs(kept) < 3.0


def test_without_sound_from_the_loudspeaker_nothing_is_touched() -> None:
    user = speech(QUESTION)
    canceller = EchoCanceller(EchoReference(SAMPLE_RATE))
    for first in range(0, len(user) - BLOCK_FRAMES, BLOCK_FRAMES):
        block = user[first : first + BLOCK_FRAMES]
        assert canceller.clean(block, first / SAMPLE_RATE) is block
    assert canceller.take_report() is None


@pytest.mark.parametrize("begin_s", [1.0, 5.0])
def test_with_headphones_the_user_is_heard_as_he_is(begin_s: float) -> None:
    """What AEC3 always does takes him for an echo; `auto` has found out that there is none: soon
    enough for who goes on when the first reply has only just begun."""
    far, user = speech(LONG), speech(QUESTION, "en-gb")
    near = quiet(len(far))
    begin = round(begin_s * SAMPLE_RATE)
    near[begin : begin + len(user)] += user
    cleaned, canceller = Room().play(far, near)
    end = begin + len(user)
    assert (cleaned[begin : end - BLOCK_FRAMES] == near[begin : end - BLOCK_FRAMES]).all()
    assert canceller.take_report() is None  # it still sounds


def test_who_talks_at_once_over_the_first_reply_is_not_taken_for_an_echo() -> None:
    far, user = speech(LONG), speech(QUESTION * 3, "en-gb")
    near = quiet(len(far))
    near[: len(user)] += user[: len(near)]
    cleaned, _ = Room().play(far, near)
    assert rms_dbfs(cleaned[SAMPLE_RATE:]) > rms_dbfs(near[SAMPLE_RATE:]) - 1.0


def test_what_was_missed_before_the_verdict_is_given_back_once() -> None:
    far, near = speech(LONG), quiet(len(speech(LONG)))
    canceller = EchoCanceller(EchoReference(SAMPLE_RATE))
    given: list[Samples] = []
    for first in range(0, 2 * SAMPLE_RATE, BLOCK_FRAMES):
        canceller.reference.note(far[first : first + BLOCK_FRAMES], first / SAMPLE_RATE)
        canceller.clean(near[first : first + BLOCK_FRAMES], first / SAMPLE_RATE)
        if (missed := canceller.take_missed()) is not None:
            given.append(near[first - len(missed) : first])
            np.testing.assert_array_equal(missed, given[0])
    assert len(given) == 1
    assert 0.5 < len(given[0]) / SAMPLE_RATE < 1.5


def test_a_reference_of_something_else_shows_in_the_report() -> None:
    """A loudspeaker that we do not play through: its sound is no echo of ours."""
    far, other = speech(LONG), speech(QUESTION * 3, "en-gb")
    near = np.resize(other, len(far) + SAMPLE_RATE * 2)
    near[len(far) :] = 0.0
    _, canceller = Room().play(far, near)
    report = canceller.take_report()
    assert report is not None
    assert report.is_echo is False
    assert report.delay_ms is None
    assert report.erle_db is not None
    assert report.erle_db < 3.0


def test_where_the_system_cancels_nothing_is_touched() -> None:
    far = speech(LONG)[: 2 * SAMPLE_RATE]
    near = Room().echo(far)
    cleaned, canceller = Room().play(far, near, "system")
    assert (cleaned == near[: len(cleaned)]).all()
    report = canceller.take_report()
    assert report is not None
    assert (report.mode, report.is_echo, report.erle_db) == ("system", None, None)
    assert canceller.take_report() is None


def test_the_reference_is_read_by_time() -> None:
    reference = EchoReference(SAMPLE_RATE)
    assert not reference.read(0.0, 160).any()
    ramp = (np.arange(1, 4801) / 10_000).astype(np.float32)
    for first in range(0, 4800, 160):
        reference.note(ramp[first : first + 160], 5.0 + first / SAMPLE_RATE)
    for at in (0, 160, 320):
        assert (reference.read(5.0 + at / SAMPLE_RATE, 160) == ramp[at : at + 160]).all()
    # One stamp that trembles hardly moves the place.
    assert abs(reference.read(5.0 + (480 + 40) / SAMPLE_RATE, 160)[0] - ramp[480]) < 1e-6
    assert reference.jumps == 0
    # What is far off is jumped to; what is not there is silence.
    assert reference.read(5.2, 160)[0] == ramp[3200]
    assert reference.jumps == 1
    last = reference.read(5.0 + 4720 / SAMPLE_RATE, 160)
    assert (last[:80] == ramp[4720:]).all()
    assert not last[80:].any()
    early = reference.read(5.0 - 80 / SAMPLE_RATE, 160)
    assert not early[:80].any()
    assert (early[80:] == ramp[:80]).all()


@pytest.mark.parametrize("clock", [1.0002, 0.9998])
def test_the_reference_follows_a_clock_that_drifts_and_stamps_that_tremble(clock: float) -> None:
    """Loudspeaker and microphone are 200 ppm apart, and the stamps up to 1 ms."""
    rng = np.random.default_rng(0)
    reference, played = EchoReference(SAMPLE_RATE), 0
    tone = np.sin(np.arange(31 * SAMPLE_RATE) * 2 * np.pi * 200 / SAMPLE_RATE).astype(np.float32)
    for block in range(3_000):
        now_s = block * BLOCK_S
        while played * BLOCK_S * clock < now_s + OUT_LATENCY_S:
            piece = tone[played * BLOCK_FRAMES : (played + 1) * BLOCK_FRAMES]
            reference.note(piece, played * BLOCK_S * clock + rng.uniform(-1e-3, 1e-3))
            played += 1
        read = reference.read(now_s, BLOCK_FRAMES)
        if block >= 1_000:
            true = (now_s / clock + np.arange(BLOCK_FRAMES) / SAMPLE_RATE) * 2 * np.pi * 200
            off = np.angle(np.sum(read * np.exp(-1j * true)) * 1j) / (2 * np.pi * 200)
            assert abs(off) < 0.3e-3
    assert reference.jumps == 0
