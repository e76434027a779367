"""Cards made of files and pipes, rings, levels and files."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_assistant.audio.cards.pipe import PIPE_BLOCK_FRAMES, PipeCard
from edge_assistant.audio.cards.wav import WAV_BLOCK_FRAMES, WavCard
from edge_assistant.audio.files import read_sound, write_wav
from edge_assistant.audio.format import (
    SAMPLE_RATE,
    Samples,
    from_pcm16,
    sanitize,
    to_mono,
    to_pcm16,
)
from edge_assistant.audio.level import SILENCE_DBFS, first_audible_frame, rms_dbfs
from edge_assistant.audio.ring import FrameRing, HistoryRing
from edge_assistant.errors import AudioFormatError

HUNG_S = 20.0


class Partner:
    """The other side of a card: keeps what is captured and plays a saw."""

    def __init__(self) -> None:
        self.captured: list[Samples] = []
        self.times: list[tuple[int, float]] = []
        self.played: list[tuple[int, float]] = []
        self.lost: list[Exception | None] = []
        self.ended = threading.Event()

    def on_capture(self, block: Samples, first_frame: int, time_s: float) -> None:
        self.captured.append(block.copy())
        self.times.append((first_frame, time_s))

    def on_playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        out[:] = 0.5 * len(self.played) / 100
        self.played.append((first_frame, dac_time_s))

    def on_lost(self, error: Exception | None) -> None:
        self.lost.append(error)
        self.ended.set()


def test_the_pipe_answers_block_for_block_and_dates_the_answer_one_block_later() -> None:
    sound = np.linspace(-0.9, 0.9, 5 * PIPE_BLOCK_FRAMES, dtype=np.float32)
    sink = io.BytesIO()
    card, partner = PipeCard(io.BytesIO(to_pcm16(sound) + b"\0" * 9), sink), Partner()
    card.start(partner.on_capture, partner.on_playback, partner.on_lost)
    assert partner.ended.wait(HUNG_S)
    card.stop()
    assert partner.lost == [None]
    assert len(sink.getvalue()) == 5 * 2 * PIPE_BLOCK_FRAMES
    assert np.abs(np.concatenate(partner.captured) - sound).max() < 1e-4
    assert [frame for frame, _ in partner.times] == [n * 320 for n in range(5)]
    assert [time_s for _, time_s in partner.times] == pytest.approx([n * 0.02 for n in range(5)])
    dac_times = [time_s for _, time_s in partner.played]
    assert dac_times == pytest.approx([(n + 1) * 0.02 for n in range(5)])


def test_a_partner_that_goes_away_is_the_end_of_input() -> None:
    source, feed = os.pipe()
    answers, sink = os.pipe()
    os.close(answers)
    partner = Partner()
    with os.fdopen(source, "rb") as reader, os.fdopen(sink, "wb", buffering=0) as writer:
        card = PipeCard(reader, writer)
        card.start(partner.on_capture, partner.on_playback, partner.on_lost)
        os.write(feed, bytes(2 * PIPE_BLOCK_FRAMES))
        assert partner.ended.wait(HUNG_S)
        assert card.finished.is_set()
        card.stop()
    os.close(feed)


def test_the_file_card_plays_pads_and_records_sample_aligned(tmp_path: Path) -> None:
    sound = (0.3 * np.sin(np.arange(3000) / 5)).astype(np.float32)
    write_wav(tmp_path / "user.wav", sound)
    card = WavCard(tmp_path / "user.wav", tmp_path / "reply.wav", tail_s=0.1)
    partner = Partner()
    card.start(partner.on_capture, partner.on_playback, partner.on_lost)
    assert partner.ended.wait(HUNG_S)
    card.stop()
    captured = np.concatenate(partner.captured)
    assert np.abs(captured[:3000] - sound).max() < 1e-3
    assert not captured[3000:].any()
    reply = read_sound(tmp_path / "reply.wav")
    assert not reply[:WAV_BLOCK_FRAMES].any(), "block 0 is heard during block 1"
    assert reply[2 * WAV_BLOCK_FRAMES] == pytest.approx(0.5 / 100, abs=1e-4)
    assert card.user_finished.is_set()


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2), (48_000, 1)])
def test_any_rate_and_both_channels_are_read(tmp_path: Path, rate: int, channels: int) -> None:
    import soundfile

    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 0.5
    soundfile.write(tmp_path / "x.wav", np.stack([tone] * channels, axis=1), rate)
    sound = read_sound(tmp_path / "x.wav")
    assert len(sound) == SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(sound))
    assert int(np.argmax(spectrum)) == 440


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"RIFF\x00\x00", None])
def test_what_is_no_sound_is_refused_in_words(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioFormatError) as caught:
        read_sound(path)
    assert caught.value.hint
    assert str(path) in caught.value.message


def test_the_echo_comes_back_through_the_room_at_its_level(tmp_path: Path) -> None:
    impulse = np.zeros(400, np.float32)
    impulse[100], impulse[300] = 0.6, 0.8
    write_wav(tmp_path / "room.wav", impulse)
    write_wav(tmp_path / "user.wav", np.zeros(6400, np.float32))
    partner = Partner()
    card = WavCard(
        tmp_path / "user.wav",
        tmp_path / "reply.wav",
        tail_s=0.0,
        room=tmp_path / "room.wav",
        echo_db=-6.0,
    )
    card.start(partner.on_capture, partner.on_playback, partner.on_lost)
    assert partner.ended.wait(HUNG_S)
    card.stop()
    heard = read_sound(tmp_path / "reply.wav")[:6400]
    expected = np.convolve(heard, impulse / np.sqrt(np.sum(impulse**2)) * 10 ** (-6 / 20))[:6400]
    assert np.abs(np.concatenate(partner.captured) - expected).max() < 1e-3


@given(sizes=st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=60))
def test_the_ring_gives_back_what_fits_in_order(sizes: list[tuple[int, int]]) -> None:
    ring = FrameRing(100)
    written: list[float] = []
    got: list[float] = []
    count = 0.0
    for write, read in sizes:
        block = np.arange(count, count + write, dtype=np.float32)
        count += write
        written += block[: ring.write(block)].tolist()
        out = np.zeros(read, np.float32)
        got += out[: ring.read_into(out)].tolist()
    assert got == written[: len(got)]
    assert ring.ready_frames == len(written) - len(got)
    assert ring.dropped_frames == count - len(written)


@given(
    blocks=st.lists(st.integers(1, 90), max_size=20),
    span=st.tuples(st.integers(-10, 900), st.integers(-10, 900)),
)
def test_the_past_is_found_by_its_position(blocks: list[int], span: tuple[int, int]) -> None:
    ring = HistoryRing(100)
    stream = np.arange(sum(blocks), dtype=np.float32)
    position = 0
    for size in blocks:
        ring.append(stream[position : position + size])
        position += size
    kept = range(max(0, position - 100, span[0]), min(position, span[1]))
    assert ring.read(*span).tolist() == [float(n) for n in kept]


def test_what_was_before_a_jump_is_gone() -> None:
    ring = HistoryRing(100)
    ring.append(np.ones(40, np.float32))
    ring.jump(30)
    ring.append(np.full(20, 2.0, np.float32))
    assert ring.end_frames == 90
    assert ring.read(0, 90).tolist() == [2.0] * 20
    assert ring.read(0, 70).tolist() == []
    assert ring.read(80, 200).tolist() == [2.0] * 10


@given(
    blocks=st.lists(st.integers(1, 90), min_size=1, max_size=8),
    jump=st.integers(0, 130),
    after=st.integers(0, 90),
    newest=st.integers(0, 120),
)
def test_what_is_wiped_is_nowhere_in_memory(
    blocks: list[int], jump: int, after: int, newest: int
) -> None:
    ring = HistoryRing(100)
    for size in blocks:
        ring.append(np.full(size, 1.0, np.float32))
    ring.jump(jump)
    ring.append(np.full(after, 2.0, np.float32))
    ring.wipe(newest)
    left = min(newest, after)
    assert np.count_nonzero(ring._buffer) == left
    assert len(ring.read(0, ring.end_frames)) == left
    ring.append(np.full(30, 3.0, np.float32))
    assert ring.read(ring.end_frames - 30, ring.end_frames).tolist() == [3.0] * 30


@given(samples=st.lists(st.floats(width=32, allow_nan=True), max_size=50))
def test_nothing_but_finite_sound_gets_in(samples: list[float]) -> None:
    clean = sanitize(np.array(samples, dtype=np.float32))
    assert np.isfinite(clean).all()
    assert (np.abs(clean) <= 1).all()


def test_formats_and_levels() -> None:
    sound = np.array([0.0, 0.5, -1.0, 0.999], np.float32)
    assert np.abs(from_pcm16(to_pcm16(sound)) - sound).max() < 1e-4
    assert to_pcm16(np.array([2.0, -2.0, np.nan], np.float32)) == b"\xff\x7f\x00\x80\x00\x00"
    assert len(from_pcm16(b"\x01\x02\x03")) == 1
    assert to_mono(np.array([[0.0, 1.0]], np.float32)).tolist() == [0.5]
    assert rms_dbfs(np.ones(10, np.float32)) == pytest.approx(0.0)
    assert rms_dbfs(np.zeros(0, np.float32)) == SILENCE_DBFS
    assert first_audible_frame(np.array([0.0, 0.001, 0.5], np.float32)) == 2
    assert first_audible_frame(np.zeros(7, np.float32)) == 7


def test_a_file_card_may_be_stopped_from_its_own_callback(tmp_path: Path) -> None:
    write_wav(tmp_path / "user.wav", np.zeros(SAMPLE_RATE, np.float32))
    card = WavCard(tmp_path / "user.wav", tmp_path / "reply.wav")
    failures: list[BaseException] = []

    class Impatient(Partner):
        def on_playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
            super().on_playback(out, first_frame, dac_time_s)
            try:
                card.stop()
            except RuntimeError as error:
                failures.append(error)

    partner = Impatient()
    card.start(partner.on_capture, partner.on_playback, partner.on_lost)
    assert partner.ended.wait(HUNG_S)
    assert not failures
    assert len(partner.played) == 1
    card.stop()
    assert (tmp_path / "reply.wav").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_sink_that_fails_is_the_end_of_input_too() -> None:
    partner = Partner()
    with Path("/dev/full").open("wb", buffering=0) as sink:
        card = PipeCard(io.BytesIO(bytes(8 * PIPE_BLOCK_FRAMES)), sink)
        card.start(partner.on_capture, partner.on_playback, partner.on_lost)
        assert partner.ended.wait(HUNG_S)
        card.stop()
    assert partner.lost == [None]
