"""The former name of `whisper.verify`, until its callers use the new one."""

from __future__ import annotations

from edge_assistant_quantize.whisper.verify import verify_whisper, weight_error

__all__ = ["verify_whisper", "weight_error"]
