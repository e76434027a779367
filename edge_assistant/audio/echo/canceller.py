"""Takes the loudspeaker's echo out of the microphone: AEC3 of WebRTC (pywebrtc-audio)."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.errors import AudioError

SILENT_DBFS: Final = -70.0
"""Quieter than this the loudspeaker says nothing that a microphone could pick up."""

TAIL_BLOCKS: Final = 100
"""1 s after its last sound the room has faded too; until then the microphone may hold echo."""

WINDOW_BLOCKS: Final = 10
"""The attenuation is taken over 100 ms: longer than a phoneme, shorter than a word."""

WINDOWS: Final = 50
"""Of those, the last 5 s are kept. Their median, since while the user speaks too nothing can be
said of the echo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoReport:
    """How the cancelling went while the loudspeaker was on, for the last 5 s of it."""

    erle_db: float
    """Echo return loss enhancement: by how much the microphone was attenuated, median."""
    echo_dbfs: float
    """Level of the microphone meanwhile, before: mostly echo. Median."""


class EchoCanceller:
    """Cleans blocks of 10 ms while the loudspeaker is on, and a second longer.

    Otherwise a block goes through untouched, so that a quiet assistant hears its user exactly as
    the microphone does, and 8 ms sooner than AEC3 would give it.

    Thread: `ears`, one block after the other.

    Args:
        reference: what the loudspeaker emits.
        noise_suppression: 0 off, 1 to 3 stronger and stronger; above 0 every block is cleaned.
        gain_control: bring a soft voice to a usual level; then too every block is cleaned.

    Raises:
        AudioError: `echo-canceller-missing`, pywebrtc-audio cannot be imported.
    """

    def __init__(
        self, reference: EchoReference, *, noise_suppression: int = 0, gain_control: bool = False
    ) -> None:
        self.reference = reference
        self._processor = _processor(noise_suppression, gain_control)
        self._is_always_on = noise_suppression > 0 or gain_control
        self._quiet_blocks = TAIL_BLOCKS
        self._powers: list[tuple[float, float]] = []
        """(before, after) of the blocks of the window that is being filled."""
        self._windows: deque[tuple[float, float]] = deque(maxlen=WINDOWS)
        self._reports: deque[EchoReport] = deque(maxlen=8)

    def clean(self, block: Samples, time_s: float) -> Samples:
        """The block without echo; it comes 8 ms late while the loudspeaker is on.

        Args:
            block: float32 (160,), 16 kHz.
            time_s: when its first frame was at the microphone, on the card's clock.
        """
        far = self.reference.read(time_s, BLOCK_FRAMES)
        is_sounding = float(np.abs(far).max()) > gain_of_db(SILENT_DBFS)
        self._quiet_blocks = 0 if is_sounding else self._quiet_blocks + 1
        if self._quiet_blocks == TAIL_BLOCKS:
            self._conclude()
        if self._quiet_blocks > TAIL_BLOCKS and not self._is_always_on:
            return block
        cleaned = np.asarray(self._processor.process(block, far), dtype=np.float32)
        if is_sounding:
            self._measure(block, cleaned)
        return cleaned

    def take_report(self) -> EchoReport | None:
        """How the last stretch of sound went, once: a second after it ended. Any thread."""
        try:
            return self._reports.popleft()
        except IndexError:
            return None

    def _conclude(self) -> None:
        if self._windows:
            erle_db, echo_dbfs = np.median(np.array(self._windows), axis=0)
            report = EchoReport(erle_db=float(erle_db), echo_dbfs=float(echo_dbfs))
            self._reports.append(report)
            self._windows.clear()

    def _measure(self, before: Samples, after: Samples) -> None:
        self._powers.append((_power(before), _power(after)))
        if len(self._powers) < WINDOW_BLOCKS:
            return
        near, left = np.mean(self._powers, axis=0)
        self._powers.clear()
        self._windows.append((10.0 * math.log10(near / left), 10.0 * math.log10(near)))


def _power(block: Samples) -> float:
    return float(np.mean(np.square(block, dtype=np.float64))) + 1e-12


def _processor(noise_suppression: int, gain_control: bool) -> Any:
    try:
        from pywebrtc_audio import AudioProcessor
    except ImportError as error:
        raise AudioError(
            "echo-canceller-missing",
            f"The echo canceller cannot be loaded: {error}",
            "pip install pywebrtc-audio, or set audio.echo_canceller=off",
        ) from error
    return AudioProcessor(
        sample_rate=SAMPLE_RATE,
        echo_cancellation=True,
        noise_suppression=noise_suppression > 0,
        ns_level=max(0, noise_suppression),
        auto_gain_control=gain_control,
    )
