"""A live partner at the other end of two pipes: one block in, one block out."""

from __future__ import annotations

import threading
from typing import BinaryIO, Final

import numpy as np

from edge_assistant.audio.card import OnBack, OnCapture, OnLost, OnPlayback, Xruns
from edge_assistant.audio.format import SAMPLE_RATE, from_pcm16, to_pcm16

PIPE_BLOCK_FRAMES: Final = SAMPLE_RATE // 50
"""20 ms, 640 bytes of PCM16."""


class PipeCard:
    """16 kHz mono PCM16 in blocks of 20 ms; the caller paces.

    Block 0 is answered once the assistant listens. Output block n answers input block n at once
    and is heard during input block n + 1, so its DAC time is (n + 1) * 20 ms on the sample
    clock.
    """

    name = "pipe"
    is_lock_step = True
    on_back: OnBack | None = None
    xruns = Xruns()
    capture_rate = SAMPLE_RATE
    playback_rate = SAMPLE_RATE

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.finished = threading.Event()
        """Set when the input has ended, or the caller has gone."""

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        self._thread = threading.Thread(
            target=self._serve, args=(on_capture, on_playback, on_lost), name="card", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End after the present block. A thread that waits for input is left to end with
        the process."""
        self._stopping = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=0.2)

    def _serve(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        out = np.zeros(PIPE_BLOCK_FRAMES, dtype=np.float32)
        first_frame = 0
        try:
            while not self._stopping:
                data = self._source.read(2 * PIPE_BLOCK_FRAMES)
                if data is None or len(data) < 2 * PIPE_BLOCK_FRAMES:
                    break
                next_frame = first_frame + PIPE_BLOCK_FRAMES
                on_capture(from_pcm16(data), first_frame, first_frame / SAMPLE_RATE)
                on_playback(out, first_frame, next_frame / SAMPLE_RATE)
                self._sink.write(to_pcm16(out))
                self._sink.flush()
                first_frame = next_frame
        except (OSError, ValueError):
            pass  # the caller has gone, or a file was closed under us: the same as the end of input
        finally:
            self.finished.set()
            on_lost(None)
