"""Takes the loudspeaker's echo out of the microphone.

Two ways to do it. `auto` subtracts what a model of the way foresees (`path`), only where there is
an echo (`detector`), and the user's voice passes as it is. `webrtc` is AEC3 of WebRTC
(pywebrtc-audio), always on: it takes more of the echo, and more of a user who talks over it. Either
way what is left of the echo itself is silenced (`gate`), so that it neither ducks a reply nor
opens a turn.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from edge_assistant.audio.echo.detector import EchoDetector, power_of
from edge_assistant.audio.echo.gate import ResidualGate
from edge_assistant.audio.echo.path import Emphasis
from edge_assistant.audio.echo.reference import EchoReference
from edge_assistant.audio.format import BLOCK_FRAMES, SAMPLE_RATE, Samples
from edge_assistant.audio.level import gain_of_db
from edge_assistant.errors import AudioError

Mode = Literal["auto", "webrtc", "system"]

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

    mode: Mode
    is_echo: bool | None = None
    """Whether the microphone hears the loudspeaker; None while that is not known."""
    delay_ms: float | None = None
    """When the echo is strongest, after what the time stamps of the card say; None without one."""
    erle_db: float | None = None
    """Echo return loss enhancement: by how much the microphone was attenuated, median, before the
    rest was silenced. None where nothing of ours cancels."""
    echo_dbfs: float | None = None
    """Level of the microphone meanwhile, before: mostly echo. Median."""


class EchoCanceller:
    """Cleans blocks of 10 ms while the loudspeaker is on, and a second longer.

    Otherwise a block goes through untouched, so that a quiet assistant hears its user exactly as
    the microphone does. In mode `auto` that is so too while there is no echo to be heard. Until
    the first verdict every sound may be echo, and is silenced: it comes 0.7 s or 1 s into the very
    first reply. If there is no echo, what was silenced until then is given back (`take_missed`).

    Thread: `ears`, one block after the other.

    Args:
        reference: what the loudspeaker emits.
        mode: `system` leaves every block as it is: somebody else cancels.
        noise_suppression: 0 off, 1 to 3 stronger and stronger; above 0 every block is cleaned.
        gain_control: bring a soft voice to a usual level; then too every block is cleaned.

    Raises:
        AudioError: `echo-canceller-missing`, pywebrtc-audio cannot be imported.
    """

    def __init__(
        self,
        reference: EchoReference,
        *,
        mode: Mode = "auto",
        noise_suppression: int = 0,
        gain_control: bool = False,
    ) -> None:
        self.reference = reference
        self.ungated: Samples = np.zeros(BLOCK_FRAMES, dtype=np.float32)
        """The last block before what is left of an echo was silenced: for a recogniser, who needs
        the first sound of a word that opened the gate."""
        self.mode: Final = mode
        self._detector = EchoDetector()
        self._gate = ResidualGate()
        self._emphasis = Emphasis()
        self._is_always_on = noise_suppression > 0 or gain_control
        self._processor: Any = None
        if mode == "webrtc" or self._is_always_on:
            self._processor = _processor(mode, noise_suppression, gain_control)
        self._quiet_blocks = TAIL_BLOCKS
        self._doubted: list[Samples] = []
        """Blocks, as they came, silenced in a row while there is no verdict."""
        self._jumps = 0
        self._powers: list[tuple[float, float]] = []
        """(before, after) of the blocks of the window that is being filled."""
        self._windows: deque[tuple[float, float]] = deque(maxlen=WINDOWS)
        self._reports: deque[EchoReport] = deque(maxlen=8)
        if mode == "system":
            self._reports.append(EchoReport(mode=mode))

    def clean(self, block: Samples, time_s: float) -> Samples:
        """The block without echo; silence where there was nothing but echo.

        With `webrtc`, noise suppression or gain control it comes 8 ms late.

        Args:
            block: float32 (160,), 16 kHz.
            time_s: when its first frame was at the microphone, on the card's clock.
        """
        far = self.reference.read(time_s, BLOCK_FRAMES)
        is_sounding = float(np.abs(far).max()) > gain_of_db(SILENT_DBFS)
        self._quiet_blocks = 0 if is_sounding else self._quiet_blocks + 1
        if self._quiet_blocks == TAIL_BLOCKS:
            self._detector.settle()
            self._doubted.clear()
            self._conclude()
        if self._quiet_blocks > TAIL_BLOCKS or self.mode == "system":
            self._gate.skip(self._detector.skip(block))
            self._emphasis.skip(block)
            self.ungated = self._processed(block, far) if self._is_always_on else block
            return self.ungated
        return self._cancel(block, far, is_sounding)

    def take_missed(self) -> Samples | None:
        """What the microphone heard just before the last block and was taken for echo, where there
        turned out to be none: float32 (frames,), once. Thread: `ears`, after `clean`."""
        if self._detector.is_echo is not False or not self._doubted:
            return None
        missed, self._doubted = np.concatenate(self._doubted), []
        return missed

    def take_report(self) -> EchoReport | None:
        """How the last stretch of sound went, once: a second after it ended. Any thread."""
        try:
            return self._reports.popleft()
        except IndexError:
            return None

    def _cancel(self, block: Samples, far: Samples, is_sounding: bool) -> Samples:
        if self._jumps != self.reference.jumps:
            self._jumps = self.reference.jumps
            self._detector.path.doubt()
        found = self._detector.listen(block, far, is_sounding)
        is_open = self._gate.is_open(
            found, peak=float(np.abs(block).max()), explained_db=self._detector.explained_db
        )
        is_touched = self.mode == "webrtc" or self._detector.is_echo is not False
        if is_open:
            self._doubted.clear()  # this is heard, and once is enough
        elif self.mode == "auto" and self._detector.is_echo is None:
            self._doubted.append(block)
        cleaned = block
        if is_touched:
            cleaned = self._emphasis.lower(found.rest) if self.mode == "auto" else block
        if self._processor is not None:
            cleaned = self._processed(cleaned, far)
        if is_sounding:
            self._measure(block, cleaned)
        self.ungated = cleaned
        return cleaned if is_open or not is_touched else np.zeros_like(block)

    def _processed(self, block: Samples, far: Samples) -> Samples:
        given = far if self.mode == "webrtc" else None
        return np.asarray(self._processor.process(block, given), dtype=np.float32)

    def _conclude(self) -> None:
        if self._windows:
            erle_db, echo_dbfs = np.median(np.array(self._windows), axis=0)
            is_echo = self._detector.is_echo
            report = EchoReport(
                mode=self.mode,
                is_echo=is_echo,
                delay_ms=self._detector.path.delay_ms() if is_echo else None,
                erle_db=float(erle_db),
                echo_dbfs=float(echo_dbfs),
            )
            self._reports.append(report)
            self._windows.clear()

    def _measure(self, before: Samples, after: Samples) -> None:
        self._powers.append((power_of(before), power_of(after)))
        if len(self._powers) < WINDOW_BLOCKS:
            return
        near, left = np.mean(self._powers, axis=0)
        self._powers.clear()
        self._windows.append((10.0 * math.log10(near / left), 10.0 * math.log10(near)))


def _processor(mode: Mode, noise_suppression: int, gain_control: bool) -> Any:
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
        echo_cancellation=mode == "webrtc",
        noise_suppression=noise_suppression > 0,
        ns_level=max(0, noise_suppression),
        auto_gain_control=gain_control,
    )
