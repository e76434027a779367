"""A sound card made of files: one is played into the microphone, the other is what the loudspeaker
played."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from edge_assistant.audio.card import OnBack, OnCapture, OnLost, OnPlayback, Xruns
from edge_assistant.audio.files import read_sound, write_wav
from edge_assistant.audio.format import SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.clock import Clock, MonotonicClock

WAV_BLOCK_FRAMES = SAMPLE_RATE // 50
"""20 ms, as the pipe card has it."""


class WavCard:
    """Plays `user` into the microphone in real time and records the loudspeaker, sample-aligned
    with it.

    Once the file is over, silence follows until `end` is called or `tail_s` has passed.

    Args:
        user: any rate, one or two channels.
        reply: where to write 16 kHz mono PCM16; written by `stop`.
        tail_s: longest silence after the user's file.
        room: impulse response of the way from loudspeaker to microphone; normalised to unit energy.
        echo_db: gain of that way; None: no echo. Without `room` the way is a plain delay of
            one block.

    Raises:
        AudioFormatError: a file cannot be read.
    """

    name = "wav"
    is_lock_step = True
    on_back: OnBack | None = None
    xruns = Xruns()
    capture_rate = SAMPLE_RATE
    playback_rate = SAMPLE_RATE

    def __init__(
        self,
        user: Path,
        reply: Path,
        *,
        tail_s: float = 20.0,
        room: Path | None = None,
        echo_db: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._reply_path = reply
        self._user = read_sound(user)
        self._end_frames = len(self._user) + int(tail_s * SAMPLE_RATE)
        self._echo = None if echo_db is None else _EchoPath(room, gain_of_db(echo_db))
        self._clock = clock or MonotonicClock()
        self._played: list[Samples] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.user_finished = threading.Event()
        """Set when the last block of the user's file was captured."""
        self.finished = threading.Event()
        """Set when no more blocks come."""

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        self._thread = threading.Thread(
            target=self._serve, args=(on_capture, on_playback, on_lost), name="card", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """The conversation is over: let the present block be the last."""
        self._stop.set()

    def stop(self) -> None:
        """Stop and write the reply's file.

        Raises:
            AudioFormatError: the file cannot be written.
        """
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            if thread is not threading.current_thread():  # a callback may stop the card too
                thread.join()
            # Output block n is heard during input block n + 1: one block of silence comes first.
            lead = np.zeros(WAV_BLOCK_FRAMES, dtype=np.float32)
            write_wav(self._reply_path, np.concatenate([lead, *self._played]))

    def _serve(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        first_frame = 0
        begun_s = self._clock.now_s()
        heard = np.zeros(WAV_BLOCK_FRAMES, dtype=np.float32)
        try:
            while first_frame < self._end_frames and not self._stop.is_set():
                next_frame = first_frame + WAV_BLOCK_FRAMES
                due_s = begun_s + next_frame / SAMPLE_RATE
                if self._stop.wait(max(0.0, due_s - self._clock.now_s())):
                    break
                block = np.zeros(WAV_BLOCK_FRAMES, dtype=np.float32)
                spoken = self._user[first_frame:next_frame]
                block[: len(spoken)] = spoken
                if self._echo is not None:
                    block += self._echo.process(heard)
                out = np.zeros(WAV_BLOCK_FRAMES, dtype=np.float32)
                on_capture(block, first_frame, first_frame / SAMPLE_RATE)
                on_playback(out, first_frame, next_frame / SAMPLE_RATE)
                self._played.append(out)
                heard = out
                first_frame = next_frame
                if first_frame >= len(self._user):
                    self.user_finished.set()
        finally:
            self.user_finished.set()
            self.finished.set()
            on_lost(None)


class _EchoPath:
    """Convolves what is heard with a room, block by block (overlap-add)."""

    def __init__(self, room: Path | None, gain: float) -> None:
        response = np.ones(1, dtype=np.float32) if room is None else read_sound(room)
        energy = float(np.sqrt(np.sum(np.square(response))))
        self._response = response * np.float32(gain / energy if energy else 0.0)
        self._tail = np.zeros(len(self._response) - 1, dtype=np.float32)

    def process(self, block: Samples) -> Samples:
        size = len(block) + len(self._tail)
        bins = 1 << (size - 1).bit_length()
        spectrum = np.fft.rfft(block, bins) * np.fft.rfft(self._response, bins)
        full = np.fft.irfft(spectrum, bins)[:size].astype(np.float32)
        full[: len(self._tail)] += self._tail
        self._tail = full[len(block) :].copy()
        return full[: len(block)]
