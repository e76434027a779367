"""The former name of `whisper.tokens`, until its callers use the new one."""

from __future__ import annotations

from edge_assistant_quantize.whisper.tokens import read_tokens

__all__ = ["read_tokens"]
