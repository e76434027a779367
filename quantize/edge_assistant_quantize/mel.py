"""The former name of `whisper.mel`, until its callers use the new one."""

from __future__ import annotations

from edge_assistant_quantize.whisper.mel import log_mel, mel_filters

__all__ = ["log_mel", "mel_filters"]
