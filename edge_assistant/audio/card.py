"""What a sound card is to us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge_assistant.audio.format import Samples

OnCapture = Callable[[Samples, int, float], None]
"""(block, first_frame, time_s): float32 (frames,) at `capture_rate`; valid during the call only."""

OnPlayback = Callable[[Samples, int, float], None]
"""(out, first_frame, dac_time_s): fill all of `out`, float32 (frames,) at `playback_rate`."""

OnBack = Callable[[], None]
"""The device that was lost delivers blocks again."""

OnLost = Callable[[Exception | None], None]
"""(error): the card lost its device (an AudioError), or its input has ended (None)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Xruns:
    """Blocks that came too late or too early, since `start`."""

    input_overflows: int = 0
    """Captured sound was lost before us; the frame count jumps over it."""
    input_underflows: int = 0
    """The driver put silence in."""
    output_overflows: int = 0
    """Played sound was dropped by the driver."""
    output_underflows: int = 0
    """The loudspeaker had nothing to play for a moment."""


class SoundCard(Protocol):
    """A microphone and a loudspeaker that share one time line.

    `time_s` and `dac_time_s` are seconds on one clock of the card's choice: when the first frame of
    the block was at the microphone, and when the first frame of `out` will leave the loudspeaker.
    The two rates may differ and the two callbacks may come from two threads; neither callback
    blocks. `first_frame` counts frames of its own stream from 0; a gap means lost frames.
    """

    @property
    def name(self) -> str:
        """What to call this card in messages."""
        ...

    @property
    def capture_rate(self) -> int:
        """Hz of the blocks given to `on_capture`; known before `start`."""
        ...

    @property
    def playback_rate(self) -> int:
        """Hz of the blocks asked from `on_playback`; known before `start`."""
        ...

    @property
    def is_lock_step(self) -> bool:
        """Whether somebody else paces the blocks, one in and one out.

        `on_capture` may then take a few milliseconds, so that what a block brings about is settled
        before it is answered. A real sound card says False, and `on_capture` never waits.
        """
        ...

    @property
    def xruns(self) -> Xruns:
        """Counts since `start`; any thread. All 0 where there is no device that could have one."""
        ...

    on_back: OnBack | None
    """Called, if set, when a lost device is back; set it before `start`."""

    def start(self, on_capture: OnCapture, on_playback: OnPlayback, on_lost: OnLost) -> None:
        """Open the streams; callbacks may come before this returns.

        Raises:
            AudioError: there is no such device, or it cannot be opened.
        """
        ...

    def stop(self) -> None:
        """Close the streams; no callback comes after this returns. Calling it twice is fine."""
        ...


@runtime_checkable
class SpeaksAlone(Protocol):
    """A card whose loudspeaker can be used while the card is not started, or has lost a device."""

    def speak_alone(self, samples: Samples, sample_rate: int) -> bool:
        """Play `samples`, float32 mono (frames,) at `sample_rate` Hz, and wait for their end.

        Thread: any while the card is stopped; else the one that calls `on_lost`, within that call.
        Returns False where they were not played, whatever the reason: it never raises.
        """
        ...
