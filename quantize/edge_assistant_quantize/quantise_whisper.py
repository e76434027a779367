"""The former name of `whisper.quantise`, until its callers use the new one."""

from __future__ import annotations

from edge_assistant_quantize.whisper.quantise import quantise_whisper

__all__ = ["quantise_whisper"]
