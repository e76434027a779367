"""Measuring rooms that the test makes."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edge_assistant.audio.card import OnBack, OnCapture, OnLost, OnPlayback, Xruns
from edge_assistant.audio.cards.wav import WavCard
from edge_assistant.audio.files import write_wav
from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.audio.resample import resample
from edge_assistant.audio.room.measure import Measurement, measure
from edge_assistant.audio.room.recording import Block, Recording, record
from edge_assistant.audio.room.sweep import impulse_response, sweep
from edge_assistant.bench.sounds import room_impulse, steady_noise
from edge_assistant.cancel import CancelToken, TurnCancelled
from edge_assistant.errors import AudioError, DeviceLost

PLAYED_S = 9.0
"""A second until the stamps are steady, the program, and some room for late cards."""
WIRE = np.ones(1, dtype=np.float32)


@dataclass(kw_only=True)
class RoomCard:
    """A card in a made room: first it plays everything, then it records what came of it."""

    impulse: Samples = field(default_factory=lambda: WIRE)
    """16 kHz."""
    echo_db: float | None = 0.0
    delay_ms: float = 0.0
    """Which the card does not know of."""
    noise_dbfs: float | None = -70.0
    playback_rate: int = 48_000
    capture_rate: int = SAMPLE_RATE
    offset: float = 0.0
    """Of the microphone's zero."""
    jump_ms: float = 0.0
    """The second sweep comes so much later."""
    lost_frames: int = 0
    """Of 10 ms before the first sweep."""
    early_breaks: int = 0
    """Underflows before the program."""
    breaks: tuple[int, ...] = (0,)
    """Underflows in the first recording, the second, and so on as in the last."""
    error: Exception | None = None
    is_lock_step: bool = False
    name: str = "a made room"
    on_back: OnBack | None = None
    xruns: Xruns = field(default_factory=Xruns)
    starts: int = 0
    is_stopped: bool = False

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        self.starts += 1
        if self.error is not None:
            on_lost(self.error)
            return
        self.xruns = Xruns(output_underflows=self.early_breaks)
        # Stamps are steady only with a microphone that has begun.
        self._capture(on_capture, np.zeros(2 * self.capture_rate, np.float32), begin_s=-2.0)
        played = self._play(on_playback)
        breaks = self.breaks[min(self.starts, len(self.breaks)) - 1]
        self.xruns = Xruns(output_underflows=self.early_breaks + breaks)
        self._capture(on_capture, self.heard(played), begin_s=0.0)

    def stop(self) -> None:
        self.is_stopped = True

    def heard(self, played: Samples) -> Samples:
        """What the microphone makes of it."""
        size = round(PLAYED_S * SAMPLE_RATE)
        mixed = np.full(size, self.offset, dtype=np.float64)
        if self.echo_db is not None:
            energy = float(np.sqrt(np.sum(np.square(self.impulse))))
            bins = 1 << (size + len(self.impulse)).bit_length()
            spectrum = np.fft.rfft(resample(played, self.playback_rate, SAMPLE_RATE), bins)
            # A delay in the spectrum may be a part of a frame.
            hz = np.fft.rfftfreq(bins, 1.0 / SAMPLE_RATE)
            spectrum *= np.exp(-2j * np.pi * hz * self.delay_ms / 1000.0)
            spectrum *= np.fft.rfft(self.impulse, bins) * gain_of_db(self.echo_db) / energy
            echo = np.fft.irfft(spectrum, bins)[:size]
            if self.jump_ms:
                cut = round(4.7 * SAMPLE_RATE)  # between the sweeps
                late = np.zeros(round(self.jump_ms / 1000.0 * SAMPLE_RATE))
                echo = np.concatenate([echo[:cut], late, echo[cut:]])[:size]
            mixed += echo
        if self.noise_dbfs is not None:
            mixed += steady_noise(size, 1, self.noise_dbfs)
        sound = np.clip(mixed, -1.0, 1.0).astype(np.float32)
        return resample(sound, SAMPLE_RATE, self.capture_rate)

    def _play(self, on_playback: OnPlayback) -> Samples:
        size = self.playback_rate // 100
        blocks = np.zeros((round(PLAYED_S * 100), size), dtype=np.float32)
        for number, out in enumerate(blocks):
            on_playback(out, number * size, number / 100.0)
        return blocks.reshape(-1)

    def _capture(self, on_capture: OnCapture, sound: Samples, begin_s: float) -> None:
        size = self.capture_rate // 100
        begin = round((begin_s + 2.0) * self.capture_rate)
        for first in range(0, len(sound), size):
            time_s = begin_s + first / self.capture_rate
            block = sound[first : first + size]
            if self.lost_frames and 1.9 <= time_s < 1.9 + self.lost_frames / self.capture_rate:
                continue
            on_capture(block, begin + first, time_s)


class Frozen:
    """A made room takes no time, however busy the machine is."""

    def now_s(self) -> float:
        return 0.0


def measured(card: RoomCard) -> Measurement:
    return measure(record(card, CancelToken(), Frozen()))


def test_a_sweep_through_a_wire_is_a_pulse_of_energy_one() -> None:
    response = impulse_response(
        np.concatenate([np.zeros(800), sweep(SAMPLE_RATE), np.zeros(8000)]).astype(np.float32)
    )
    assert int(np.argmax(np.abs(response))) == 800
    assert float(np.sum(np.square(response))) == pytest.approx(1.0, abs=1e-3)
    off_pulse = np.delete(np.square(response), np.s_[480:1120])
    assert 10.0 * np.log10(off_pulse.max()) < -55.0


@pytest.mark.parametrize("playback_rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("capture_rate", [16_000, 48_000])
@pytest.mark.parametrize(("echo_db", "delay_ms"), [(-30.0, 0.0), (-12.0, 63.5), (0.0, 400.0)])
def test_gain_and_delay_of_a_plain_way(
    playback_rate: int, capture_rate: int, echo_db: float, delay_ms: float
) -> None:
    room = measured(
        RoomCard(
            echo_db=echo_db,
            delay_ms=delay_ms,
            playback_rate=playback_rate,
            capture_rate=capture_rate,
        )
    )
    assert room.echo_db == pytest.approx(echo_db, abs=0.3)
    assert room.delay_ms == pytest.approx(delay_ms, abs=0.2)
    assert room.delay_spread_ms == pytest.approx(0.0, abs=0.1)
    assert room.noise_dbfs == pytest.approx(-70.0, abs=0.7)
    assert (room.heard, room.rt60_s, room.is_clipped) == (2, None, False)


def test_an_echo_that_is_early_by_the_card_has_a_delay_below_zero() -> None:
    assert measured(RoomCard(delay_ms=-12.0)).delay_ms == pytest.approx(-12.0, abs=0.2)


@pytest.mark.parametrize("rt60_s", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("distance_m", [0.3, 1.5])
def test_reverberation(rt60_s: float, distance_m: float) -> None:
    impulse = room_impulse(3, rt60_s, distance_m)
    room = measured(RoomCard(impulse=impulse, echo_db=-10.0, noise_dbfs=-85.0))
    assert room.rt60_s == pytest.approx(rt60_s, rel=0.06)
    assert room.echo_db == pytest.approx(-10.0, abs=0.7)
    direct_ms = 1000.0 * int(np.argmax(np.abs(impulse))) / SAMPLE_RATE
    assert room.delay_ms == pytest.approx(direct_ms, abs=0.2)


def test_beside_the_loudspeaker_the_reverberation_is_still_the_rooms() -> None:
    impulse = room_impulse(3, 0.5, 0.3)
    impulse[np.argmax(np.abs(impulse))] *= 8.0
    room = measured(RoomCard(impulse=impulse, echo_db=-5.0, noise_dbfs=-85.0))
    assert room.rt60_s == pytest.approx(0.5, rel=0.06)


def test_noise_hides_the_reverberation_before_it_hides_the_echo() -> None:
    impulse = room_impulse(3, 0.5, 1.5)
    room = measured(RoomCard(impulse=impulse, echo_db=-10.0, noise_dbfs=-45.0))
    assert room.rt60_s is None
    assert room.echo_db == pytest.approx(-10.0, abs=1.0)
    assert room.noise_dbfs == pytest.approx(-45.0, abs=0.7)


def test_a_level_is_what_converse_takes_for_it(tmp_path: Path) -> None:
    """The room that `converse --room --echo-db` makes is measured as that."""

    class Hurried:
        """The first look at it begins the conversation; after that everything is late."""

        looks = 0

        def now_s(self) -> float:
            self.looks += 1
            return 0.0 if self.looks == 1 else 1e9

    write_wav(tmp_path / "user.wav", steady_noise(SAMPLE_RATE, 2, -60.0))
    write_wav(tmp_path / "room.wav", room_impulse(3, 0.3, 1.0) * 0.9)
    card = WavCard(
        tmp_path / "user.wav",
        tmp_path / "reply.wav",
        room=tmp_path / "room.wav",
        echo_db=-17.0,
        clock=Hurried(),
    )
    room = measure(record(card, CancelToken()))
    assert room.echo_db == pytest.approx(-17.0, abs=0.7)
    assert room.rt60_s == pytest.approx(0.3, rel=0.15)


def test_without_an_echo_it_says_what_it_would_have_heard() -> None:
    room = measured(RoomCard(echo_db=None))
    assert (room.heard, room.echo_db, room.delay_ms, room.rt60_s) == (0, None, None, None)
    assert room.least_echo_db is not None
    # The promise holds: a little more is heard, a good deal less is not.
    assert measured(RoomCard(echo_db=room.least_echo_db + 3.0)).heard == 2
    assert measured(RoomCard(echo_db=room.least_echo_db - 6.0)).heard == 0


def test_loud_noise_is_no_echo() -> None:
    room = measured(RoomCard(echo_db=None, noise_dbfs=-20.0))
    assert room.heard == 0
    assert room.least_echo_db is not None
    assert room.least_echo_db > -45.0


def test_clipping_is_seen() -> None:
    assert measured(RoomCard(echo_db=15.0)).is_clipped
    assert not measured(RoomCard(echo_db=6.0)).is_clipped


def test_an_offset_is_no_noise() -> None:
    assert measured(RoomCard(offset=0.02)).noise_dbfs == pytest.approx(-70.0, abs=0.7)


def test_a_delay_that_jumps_shows_as_spread() -> None:
    room = measured(RoomCard(delay_ms=20.0, jump_ms=45.0))
    assert room.delay_spread_ms == pytest.approx(45.0, abs=0.3)


def test_lost_frames_do_not_shift_what_comes_after() -> None:
    room = measured(RoomCard(delay_ms=20.0, lost_frames=800))
    assert room.delay_ms == pytest.approx(20.0, abs=0.2)


def test_digital_silence_is_no_measurement() -> None:
    with pytest.raises(AudioError) as caught:
        measured(RoomCard(echo_db=None, noise_dbfs=None))
    assert caught.value.code == "microphone-silent"


def test_the_round_trip_is_from_giving_to_being_given() -> None:
    whole = record(RoomCard(delay_ms=20.0), CancelToken())
    emissions = tuple(dataclasses.replace(e, handed_s=e.time_s - 0.030) for e in whole.emissions)
    blocks = tuple(
        Block(
            first_frame=b.first_frame,
            time_s=b.time_s,
            received_s=b.time_s + 0.015,
            samples=b.samples,
        )
        for b in whole.blocks
    )
    room = measure(
        Recording(
            sample_rate=whole.sample_rate, blocks=blocks, emissions=emissions, breaks=whole.breaks
        )
    )
    # Given away 30 ms before it was emitted, 20 ms under way, given to us with a block that came
    # 15 ms after its begin; the sweep begins somewhere in that block of 10 ms.
    assert room.round_trip_ms == pytest.approx(30.0 + 20.0 + 15.0, abs=10.0)


def test_losses_before_the_program_do_not_count() -> None:
    assert measured(RoomCard(early_breaks=2)).breaks == 0
    assert measured(RoomCard(breaks=(3,))).breaks == 3


def test_a_card_that_is_lost_says_so_and_is_stopped() -> None:
    error = DeviceLost("microphone-lost", "gone", "plug it in")
    card = RoomCard(error=error)
    with pytest.raises(DeviceLost) as caught:
        measured(card)
    assert caught.value is error
    assert card.is_stopped


def test_cancelling_silences_it() -> None:
    """What is asked for after that is silence, and the card is stopped."""
    token = CancelToken()
    begun, told = threading.Event(), threading.Event()
    after: list[Samples] = []

    class Endless(RoomCard):
        def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
            self._capture(on_capture, np.zeros(2 * SAMPLE_RATE, np.float32), begin_s=-2.0)
            out = np.zeros(480, dtype=np.float32)
            for number in range(250):
                on_playback(out, 480 * number, number / 100.0)
            assert out.any()  # in the middle of the first sweep
            begun.set()
            assert told.wait(30.0)
            on_playback(out, 480 * 250, 2.5)
            after.append(out)

    card = Endless()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            record(card, token)
        except TurnCancelled as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30.0)
    token.cancel("signal")
    told.set()
    thread.join(30.0)
    assert len(failures) == 1
    assert card.is_stopped
    assert not after[0].any()
