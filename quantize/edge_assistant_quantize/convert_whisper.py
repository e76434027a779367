"""The former name of `whisper.convert`, until its callers use the new one."""

from __future__ import annotations

from edge_assistant_quantize.whisper.convert import convert_whisper

__all__ = ["convert_whisper"]
