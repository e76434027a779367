"""WebRTC's voice activity detector: no model file, a few microseconds, and a verdict every 10 ms.

It hears energy shaped like speech, so it also fires on music and on an echo: it is good for the
quick onset that ducks the voice, less good for deciding that somebody spoke.
"""

from __future__ import annotations

from typing import Any, Final

from edge_assistant.audio.format import SAMPLE_RATE, Samples, frames_of_ms, sanitize, to_pcm16

WINDOW_FRAMES: Final = frames_of_ms(10)
"""The shortest of the three windows (10, 20, 30 ms) that WebRTC accepts."""


class WebrtcVad:
    """`VoiceActivityDetector` over webrtcvad; answers 0.0 or 1.0.

    Args:
        aggressiveness: 0 (lets most through) to 3 (calls least of it speech).

    Raises:
        ValueError: `aggressiveness` out of range.
    """

    def __init__(self, aggressiveness: int = 2) -> None:
        if not 0 <= aggressiveness <= 3:
            raise ValueError(f"aggressiveness must be 0 to 3, not {aggressiveness}")
        import webrtcvad

        self._vad_class: Any = webrtcvad.Vad
        self._aggressiveness = aggressiveness
        self.reset()

    @property
    def window_frames(self) -> int:
        """160 frames, 10 ms."""
        return WINDOW_FRAMES

    def speech_prob(self, window: Samples) -> float:
        """1.0 for speech, 0.0 for anything else. See `VoiceActivityDetector.speech_prob`.

        NaN and infinities count as silence: as full-scale blocks they deafened it for seconds.
        """
        if window.shape != (WINDOW_FRAMES,):
            raise ValueError(f"webrtcvad eats ({WINDOW_FRAMES},) frames, not {window.shape}")
        pcm16 = to_pcm16(sanitize(window))
        return 1.0 if self._detector.is_speech(pcm16, SAMPLE_RATE) else 0.0

    def reset(self) -> None:
        """Forget the noise estimate. WebRTC has no call for it, so the detector is made anew."""
        self._detector: Any = self._vad_class(self._aggressiveness)
