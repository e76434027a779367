"""Rings: audio that crosses threads without a lock, and audio that is kept for a while."""

from __future__ import annotations

import threading

import numpy as np

from edge_assistant.audio.format import Samples


class FrameRing:
    """A preallocated ring for one writing and one reading thread.

    The counters only grow and each is written by one side, so neither side locks or allocates.
    A write that does not fit is dropped whole at its end and counted: the writer is a card
    callback and must not wait.
    """

    def __init__(self, capacity_frames: int) -> None:
        self._buffer: Samples = np.zeros(capacity_frames, dtype=np.float32)
        self._written_frames = 0
        self._read_frames = 0
        self.dropped_frames = 0

    @property
    def written_frames(self) -> int:
        return self._written_frames

    @property
    def read_frames(self) -> int:
        return self._read_frames

    @property
    def ready_frames(self) -> int:
        """Frames that can be read."""
        return self._written_frames - self._read_frames

    @property
    def free_frames(self) -> int:
        """Frames that can be written."""
        return len(self._buffer) - self.ready_frames

    def write(self, samples: Samples) -> int:
        """Writer: append what fits; returns the frames taken."""
        taken = min(len(samples), self.free_frames)
        self.dropped_frames += len(samples) - taken
        start = self._written_frames % len(self._buffer)
        first = min(taken, len(self._buffer) - start)
        self._buffer[start : start + first] = samples[:first]
        self._buffer[: taken - first] = samples[first:taken]
        self._written_frames += taken
        return taken

    def read_into(self, out: Samples) -> int:
        """Reader: fill the front of `out` with what is there; returns the frames given."""
        given = min(len(out), self.ready_frames)
        start = self._read_frames % len(self._buffer)
        first = min(given, len(self._buffer) - start)
        out[:first] = self._buffer[start : start + first]
        out[first:given] = self._buffer[: given - first]
        self._read_frames += given
        return given

    def skip_to(self, position_frames: int) -> None:
        """Reader: drop everything before the absolute position `position_frames`."""
        self._read_frames = min(max(self._read_frames, position_frames), self._written_frames)


class HistoryRing:
    """The last seconds of a stream, addressed by absolute position. Any thread may read.

    The lock is held for one copy: the writer is the `ears` thread, never a card callback.
    """

    def __init__(self, capacity_frames: int) -> None:
        self._buffer: Samples = np.zeros(capacity_frames, dtype=np.float32)
        self._jumped_frames = 0
        """Nothing before this position is given: it was jumped over, or wiped."""
        self._end_frames = 0
        self._lock = threading.Lock()

    @property
    def capacity_frames(self) -> int:
        """How much of the past it keeps."""
        return len(self._buffer)

    @property
    def end_frames(self) -> int:
        """Absolute position after the newest frame."""
        return self._end_frames

    def append(self, samples: Samples) -> None:
        """Add a block; the oldest frames go. `samples` must be shorter than the ring."""
        with self._lock:
            start = self._end_frames % len(self._buffer)
            first = min(len(samples), len(self._buffer) - start)
            self._buffer[start : start + first] = samples[:first]
            self._buffer[: len(samples) - first] = samples[first:]
            self._end_frames += len(samples)

    def correct(self, samples: Samples) -> None:
        """Put other samples in the place of the newest ones; no more than are there."""
        with self._lock:
            index = np.arange(self._end_frames - len(samples), self._end_frames)
            self._buffer[index % len(self._buffer)] = samples

    def jump(self, frames: int) -> None:
        """Move on by `frames` that nobody heard; what was kept is forgotten."""
        with self._lock:
            self._end_frames += frames
            self._jumped_frames = self._end_frames

    def wipe(self, but_newest_frames: int) -> None:
        """Overwrite everything with zeros but the newest frames; what was kept is forgotten."""
        with self._lock:
            kept = min(but_newest_frames, len(self._buffer))
            begin = max(self._jumped_frames, self._end_frames - kept)
            older = np.arange(self._end_frames - len(self._buffer), begin)
            self._buffer[older % len(self._buffer)] = 0.0
            self._jumped_frames = begin

    def read(self, from_frames: int, to_frames: int) -> Samples:
        """Copy what is still there of [from_frames, to_frames); shorter where it is gone or
        not yet there."""
        with self._lock:
            oldest = max(self._jumped_frames, self._end_frames - len(self._buffer))
            begin = max(from_frames, oldest)
            end = min(to_frames, self._end_frames)
            if end <= begin:
                return np.zeros(0, dtype=np.float32)
            index = np.arange(begin, end) % len(self._buffer)
            return np.asarray(self._buffer[index], dtype=np.float32)
