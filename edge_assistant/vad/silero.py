"""Silero VAD: a small recurrent network that tells speech from other sounds, 32 ms at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import SAMPLE_RATE, Samples, sanitize
from edge_assistant.errors import DetectionError, ModelIncompatible
from edge_assistant.onnx import InferenceFailed, failing_as_ours, open_session

WINDOW_FRAMES: Final = 512
"""32 ms. The network was trained on this length at 16 kHz and on no other."""

CONTEXT_FRAMES: Final = 64
"""From v5 on every window is preceded by the last 4 ms of the one before. Given 512 frames alone
the network is deaf: in 8 recordings of clear speech no window came above 0.16, and with the
context all of them reach 1."""

_STATE_SHAPE: Final = (2, 1, 128)
_HINT: Final = "edge-assistant models pull silero-vad"


class SileroVad:
    """`VoiceActivityDetector` over the ONNX file of Silero VAD v5 or v6.

    The session runs on one thread for good, and that thread sleeps instead of spinning between
    windows: the detector listens all day, next to engines that need the cores.

    Args:
        path: absolute path of `silero_vad.onnx`, verified by the store.

    Raises:
        ModelNotFound: no such file.
        ModelCorrupt: onnxruntime cannot read it.
        ModelIncompatible: an ONNX model, but not one of this family.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path, hint=_HINT)
        self._audio_name, self._state_name, rate_name = _input_names(self._session, path)
        self._input = np.zeros((1, CONTEXT_FRAMES + WINDOW_FRAMES), dtype=np.float32)
        self._feed: dict[str, Any] = {self._audio_name: self._input}
        if rate_name:
            self._feed[rate_name] = np.array(SAMPLE_RATE, dtype=np.int64)
        self.reset()

    @property
    def window_frames(self) -> int:
        """512 frames, 32 ms."""
        return WINDOW_FRAMES

    def speech_prob(self, window: Samples) -> float:
        """The network's probability for this window. See `VoiceActivityDetector.speech_prob`.

        NaN and infinities count as silence: once inside, they would poison the state for ever.
        """
        if window.shape != (WINDOW_FRAMES,):
            raise ValueError(f"Silero eats ({WINDOW_FRAMES},) frames, not {window.shape}")
        self._input[0, :CONTEXT_FRAMES] = self._input[0, -CONTEXT_FRAMES:]
        self._input[0, CONTEXT_FRAMES:] = sanitize(window)
        try:
            with failing_as_ours():
                probability, self._feed[self._state_name] = self._session.run(None, self._feed)
        except InferenceFailed as error:
            self.reset()
            raise DetectionError("vad-failed", f"Silero VAD failed: {error}") from error
        return min(max(float(probability.item()), 0.0), 1.0)

    def reset(self) -> None:
        """Clear the recurrent state and the context."""
        self._input.fill(0.0)
        self._feed[self._state_name] = np.zeros(_STATE_SHAPE, dtype=np.float32)


def _input_names(session: Any, path: Path) -> tuple[str, str, str]:
    """Names of (audio, state, rate), told apart by rank; rate is empty where the model has none."""
    by_rank = {len(each.shape): each.name for each in session.get_inputs()}
    if 2 not in by_rank or 3 not in by_rank or len(session.get_outputs()) != 2:
        names = ", ".join(each.name for each in session.get_inputs())
        raise ModelIncompatible(
            "vad-model-unknown", f"{path} is not Silero VAD v5 or later: inputs {names}", _HINT
        )
    return by_rank[2], by_rank[3], by_rank.get(0, "")
