"""What a voice activity detector is to us."""

from __future__ import annotations

from typing import Protocol

from edge_assistant.audio.format import Samples


class VoiceActivityDetector(Protocol):
    """Judges windows of `window_frames` frames, in order, on one thread (`ears`)."""

    @property
    def window_frames(self) -> int:
        """Frames of 16 kHz audio that `speech_prob` eats at a time."""
        ...

    def speech_prob(self, window: Samples) -> float:
        """Probability in [0, 1] that this window holds speech; a binary detector gives 0.0 or 1.0.

        Audio: float32 mono, (window_frames,), 16000 Hz. Thread: ears. Cancel: never, takes
            well under 1 ms.

        Raises:
            ValueError: another shape.
            DetectionError: the engine failed.
        """
        ...

    def reset(self) -> None:
        """Forget what was heard so far."""
        ...
