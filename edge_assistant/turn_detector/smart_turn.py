"""Smart Turn v3: hears from the melody of the last seconds whether the speaker has finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_assistant.audio.format import Samples
from edge_assistant.cancel import CancelToken
from edge_assistant.errors import DetectionError, ModelIncompatible
from edge_assistant.onnx import InferenceFailed, open_session, stoppable
from edge_assistant.turn_detector.logmel import NUM_COLUMNS, NUM_MELS, log_mel

_HINT: Final = "edge-assistant models pull smart-turn-v3.2"


class SmartTurn:
    """`TurnDetector` over Smart Turn's ONNX file, on one thread for good and without spinning.

    Args:
        path: absolute path of `smart-turn-v3.2-cpu.onnx`, verified by the store.

    Raises:
        ModelNotFound: no such file.
        ModelCorrupt: onnxruntime cannot read it.
        ModelIncompatible: an ONNX model that does not take one (80, 800) picture.
    """

    def __init__(self, path: Path) -> None:
        session = open_session(path, hint=_HINT)
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].shape[1:] != [NUM_MELS, NUM_COLUMNS]:
            raise ModelIncompatible(
                "turn-detector-model-unknown",
                f"{path} is not Smart Turn v3: it takes {[each.shape for each in inputs]}",
                _HINT,
            )
        self._input_name: str = inputs[0].name
        self._session: Any | None = session

    def end_probability(self, audio: Samples, token: CancelToken) -> float:
        """Probability that the turn ends here. See `TurnDetector.end_probability`."""
        token.raise_if_cancelled()
        if self._session is None:
            raise DetectionError("turn-detector-closed", "The turn detector is closed")
        features = log_mel(audio)[np.newaxis]
        try:
            with stoppable(token) as run_options:
                (output,) = self._session.run(None, {self._input_name: features}, run_options)
        except InferenceFailed as error:
            raise DetectionError("turn-detector-failed", f"Smart Turn failed: {error}") from error
        # The exported graph ends in a sigmoid, although its output is called `logits`.
        return min(max(float(output.item()), 0.0), 1.0)

    def close(self) -> None:
        """Give the memory back; calling it twice is fine."""
        self._session = None
