"""Every adapter that the contract tests of `vad` and `turn_detector` run over; a new one is a line.

A case builds its adapter from the `starter_file` fixture, which skips where a model is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_assistant.turn_detector.protocol import TurnDetector
from edge_assistant.turn_detector.smart_turn import SmartTurn
from edge_assistant.vad.protocol import VoiceActivityDetector
from edge_assistant.vad.silero import SileroVad
from edge_assistant.vad.webrtc import WebrtcVad

StarterFile = Callable[[str, str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class VadCase:
    """A voice activity detector under the contract."""

    id: str
    build: Callable[[StarterFile], VoiceActivityDetector]
    needs_model: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetectorCase:
    """A turn detector under the contract."""

    id: str
    build: Callable[[StarterFile], TurnDetector]
    needs_model: bool = False


def _silero(starter_file: StarterFile) -> VoiceActivityDetector:
    return SileroVad(starter_file("silero-vad", "silero_vad.onnx"))


def _smart_turn(starter_file: StarterFile) -> TurnDetector:
    return SmartTurn(starter_file("smart-turn-v3.2", "smart-turn-v3.2-cpu.onnx"))


VADS = [
    VadCase(id="webrtc", build=lambda _: WebrtcVad()),
    VadCase(id="silero", build=_silero, needs_model=True),
]

TURN_DETECTORS = [TurnDetectorCase(id="smart-turn", build=_smart_turn, needs_model=True)]
