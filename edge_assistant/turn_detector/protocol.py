"""What a turn detector is to us."""

from __future__ import annotations

from typing import Protocol

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken


class TurnDetector(Protocol):
    """Judges whether a pause is the end of the speaker's turn."""

    def end_probability(self, audio: Samples, token: CancelToken) -> float:
        """Probability in [0, 1] that the turn ends with the last frame of `audio`.

        Audio: float32 mono, (frames,), 16000 Hz; the turn so far with the pause that
            follows it. Only the last 8 s count. Thread: judge; blocks for about 25 ms.
            Cancel: raises TurnCancelled.

        Raises:
            DetectionError: the engine failed; the instance stays usable.
        """
        ...

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        ...
