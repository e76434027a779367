"""Playout: holds drafts, releases them, ducks, fades, and counts the frames that were really
played.

Three sides meet here. Producers (`tts`, `floor`) put, commit and yield under a lock. The card's
callback `on_playback` takes no lock: it copies out of a preallocated ring, applies the gain ramp
that it alone owns, and notes positions. `service`, called by `ears` once per tick, moves audio on
and turns the callback's counters into facts. Positions are frames at the card's playback rate.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from edge_assistant.audio.format import Samples, frames_of_ms
from edge_assistant.audio.level import gain_of_db
from edge_assistant.audio.ring import FrameRing
from edge_assistant.cancel import CancelToken
from edge_assistant.clock import Clock, MonotonicClock

Key = tuple[int, int]
"""(turn, draft) of a reply."""

RING_MS: Final = 400
"""Audio given to the callback ahead of time; `service` refills it every 10 ms."""

STALLED_S: Final = 0.5
"""A card that asked for nothing for so long is taken as silent: a yield must not wait for a dead
device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutFact:
    """What became of a reply."""

    kind: Literal["started", "finished", "faded"]
    key: Key
    played_frames: int
    """Frames of the reply that left the loudspeaker, the fade included."""
    dac_time_s: float | None = None
    """started: when its first frame leaves the loudspeaker, on the card's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Holes that were heard in the middle of replies, because their next audio came too late."""

    count: int = 0
    frames: int = 0
    """Silence in all of them, at the playback rate."""


@dataclass(slots=True)
class _Reply:
    key: Key
    pending: deque[Samples] = field(default_factory=deque)
    pending_frames: int = 0
    is_committed: bool = False
    is_complete: bool = False
    is_started: bool = False
    is_yielding: bool = False
    start_frames: int | None = None
    """Ring position of its first frame, once it is in the ring."""
    end_frames: int = 0


class DacLog:
    """When recent frames left the loudspeaker: written by the callback, read by anyone, without
    a lock."""

    def __init__(self, size: int = 256) -> None:
        self._first = np.zeros(size, dtype=np.int64)
        self._time_s = np.zeros(size, dtype=np.float64)
        self._count = 0

    def note(self, first_frame: int, dac_time_s: float) -> None:
        """Callback: the ring position `first_frame` leaves at `dac_time_s`."""
        slot = self._count % len(self._first)
        self._first[slot], self._time_s[slot] = first_frame, dac_time_s
        self._count += 1

    def time_s(self, frame: int, sample_rate: int) -> float | None:
        """When `frame` left; None where it never did, or too long ago."""
        for back in range(1, min(self._count, len(self._first)) + 1):
            slot = (self._count - back) % len(self._first)
            if self._first[slot] <= frame:
                return float(self._time_s[slot] + (frame - self._first[slot]) / sample_rate)
        return None


class Playout:
    """The assistant's mouth; see the module for its three sides.

    Args:
        sample_rate: of the card's playback side, Hz.
        duck_db: gain while ducked.
        duck_ramp_ms: length of the way there and back.
        fade_ms: length of the fade-out of a yield.
        max_ahead_ms: audio a reply may have waiting before `put` blocks.
        on_played: called by the callback with what it emitted and its DAC time: the echo reference.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        duck_db: float = -18.0,
        duck_ramp_ms: int = 10,
        fade_ms: int = 8,
        max_ahead_ms: int = 20_000,
        on_played: Callable[[Samples, float], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.sample_rate = sample_rate
        self._max_ahead_frames = frames_of_ms(max_ahead_ms, sample_rate)
        self._duck_gain = gain_of_db(duck_db)
        self._ramp_step = (1.0 - self._duck_gain) / max(1, frames_of_ms(duck_ramp_ms, sample_rate))
        self._fade_step = 1.0 / max(1, frames_of_ms(fade_ms, sample_rate))
        self._on_played = on_played
        self._clock = clock or MonotonicClock()
        self._changed = threading.Condition()
        self._replies: dict[Key, _Reply] = {}
        self._ring = FrameRing(frames_of_ms(RING_MS, sample_rate))
        self._dac_log = DacLog()
        self._target_gain = 1.0
        self.gaps = Gaps()
        """So far; any thread. A reply that falls silent and has nothing more to say has none."""
        self._flush: tuple[int, int] = (0, 0)
        """(number, position): the callback fades and jumps to the position when the number
        is new to it."""
        # Owned by the callback from here on.
        self._gain = 1.0
        self._flushed: tuple[int, int] = (0, 0)
        """(number, ring position at the end of the fade) of the last flush done."""
        self._called_at_s = self._clock.now_s()
        self._silent_frames = 0
        """Length of the run of frames without audio that ends now."""
        self._steps = np.arange(1, sample_rate + 1, dtype=np.float32)

    # --- producers ---------------------------------------------------------------------------

    def put(self, key: Key, samples: Samples, token: CancelToken) -> None:
        """Append audio to the reply `key`; it is held until `commit`.

        Thread: tts. Blocks while `max_ahead_ms` of this reply is waiting.
        Cancel: raises TurnCancelled; nothing is appended.
        """
        unsubscribe = token.on_cancel(self._wake)
        try:
            with self._changed:
                token.raise_if_cancelled()  # before a reply is made that nobody would remove
                reply = self._replies.setdefault(key, _Reply(key))
                while reply.pending_frames > self._max_ahead_frames:
                    self._changed.wait()
                    token.raise_if_cancelled()
                reply.pending.append(samples)
                reply.pending_frames += len(samples)
                self._refill()
        finally:
            unsubscribe()

    def finish(self, key: Key) -> None:
        """No more audio will come for `key`; nothing to do where it is unknown or over."""
        with self._changed:
            if key in self._replies:
                self._replies[key].is_complete = True

    def commit(self, key: Key) -> None:
        """Release the reply: what is held goes out with the next block."""
        with self._changed:
            self._replies.setdefault(key, _Reply(key)).is_committed = True
            self._refill()

    def discard(self, key: Key) -> None:
        """Forget a reply that was never committed, or of which nothing was put."""
        with self._changed:
            self._replies.pop(key, None)

    def duck(self) -> None:
        """Ramp down; playout goes on."""
        self._target_gain = self._duck_gain

    def unduck(self) -> None:
        """Ramp up again."""
        self._target_gain = 1.0

    def yield_(self, key: Key) -> None:
        """Fade the committed reply out and drop the rest; `service` reports it as faded,
        exactly once."""
        with self._changed:
            reply = self._replies.setdefault(key, _Reply(key))
            reply.pending.clear()
            reply.pending_frames = 0
            reply.is_yielding = True
            self._flush = (self._flush[0] + 1, self._ring.written_frames)
            self._target_gain = 1.0
            self._changed.notify_all()

    # --- ears --------------------------------------------------------------------------------

    def service(self) -> list[PlayoutFact]:
        """Refill the ring and report what the callback has done since. Never blocks for long."""
        with self._changed:
            self._refill()
            facts = [
                fact for reply in list(self._replies.values()) for fact in self._facts_of(reply)
            ]
            self._changed.notify_all()
        return facts

    @property
    def is_idle(self) -> bool:
        """Nothing is being played and nothing is held."""
        return not self._replies and self._ring.ready_frames == 0

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _refill(self) -> None:
        for reply in self._replies.values():
            if not reply.is_committed or reply.is_yielding:
                continue
            while reply.pending and self._ring.free_frames:
                chunk = reply.pending[0]
                if reply.start_frames is None:
                    reply.start_frames = self._ring.written_frames
                elif len(chunk):
                    self._note_gap()
                taken = self._ring.write(chunk[: self._ring.free_frames])
                reply.pending_frames -= taken
                reply.end_frames = self._ring.written_frames
                if taken == len(chunk):
                    reply.pending.popleft()
                else:
                    reply.pending[0] = chunk[taken:]
            if reply.pending or not reply.is_complete:
                return  # replies are played one after the other

    def _note_gap(self) -> None:
        """A reply goes on: where it had run dry, and that was heard, there was a hole."""
        if self._ring.ready_frames == 0 and self._silent_frames:
            frames = self.gaps.frames + self._silent_frames
            self.gaps = Gaps(count=self.gaps.count + 1, frames=frames)

    def _facts_of(self, reply: _Reply) -> list[PlayoutFact]:
        start = reply.start_frames
        read = self._ring.read_frames
        facts: list[PlayoutFact] = []
        if start is not None and not reply.is_started and read > start:
            reply.is_started = True
            dac_time_s = self._dac_log.time_s(start, self.sample_rate)
            facts.append(
                PlayoutFact(kind="started", key=reply.key, played_frames=0, dac_time_s=dac_time_s)
            )
        if reply.is_yielding:
            number, position = self._flushed
            stalled = self._clock.now_s() - self._called_at_s > STALLED_S
            if number == self._flush[0] or stalled:
                end = position if number == self._flush[0] else read
                played = 0 if start is None else max(0, min(end, reply.end_frames) - start)
                facts.append(PlayoutFact(kind="faded", key=reply.key, played_frames=played))
                del self._replies[reply.key]
        elif reply.is_committed and reply.is_complete and not reply.pending:
            played = 0 if start is None else reply.end_frames - start
            if start is None or read >= reply.end_frames:
                facts.append(PlayoutFact(kind="finished", key=reply.key, played_frames=played))
                del self._replies[reply.key]
        return facts

    # --- card callback -----------------------------------------------------------------------

    def on_playback(self, out: Samples, first_frame: int, dac_time_s: float) -> None:
        """Fill `out`; a card's callback. No lock, no wait."""
        self._called_at_s = self._clock.now_s()
        self._dac_log.note(self._ring.read_frames, dac_time_s)
        number, position = self._flush
        if number != self._flushed[0]:
            given = self._fade(out, number, position)
        else:
            given = self._ring.read_into(out)
            self._ramp(out[:given])
        out[given:] = 0.0
        missing = len(out) - given
        self._silent_frames = missing if given else self._silent_frames + missing
        if self._on_played is not None:
            self._on_played(out, dac_time_s)

    def _fade(self, out: Samples, number: int, position: int) -> int:
        """Play on towards silence; at silence, or when the audio ends, jump over what was
        purged."""
        room = max(0, position - self._ring.read_frames)
        fade_frames = int(np.ceil(self._gain / self._fade_step))
        given = self._ring.read_into(out[: min(len(out), room, fade_frames)])
        start_gain = self._gain
        out[:given] *= np.maximum(start_gain - self._fade_step * self._steps[:given], 0.0)
        self._gain = max(0.0, start_gain - self._fade_step * given)
        if given in (fade_frames, room):
            ended_frames = self._ring.read_frames
            self._ring.skip_to(position)
            self._gain = 1.0
            self._flushed = (number, ended_frames)
        return given

    def _ramp(self, played: Samples) -> None:
        """Multiply by the gain, moving it towards its target by one step a frame."""
        target = self._target_gain
        if self._gain == target:
            if target != 1.0:
                played *= np.float32(target)
            return
        if not len(played):
            self._gain = target
            return
        steps = self._steps[: len(played)]
        if target < self._gain:
            gains = np.maximum(self._gain - self._ramp_step * steps, target)
        else:
            gains = np.minimum(self._gain + self._ramp_step * steps, target)
        played *= gains.astype(np.float32)
        self._gain = float(gains[-1])
