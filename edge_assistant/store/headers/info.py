"""What a header parser returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["ggml", "gguf", "onnx", "ort", "piper-json", "opaque"]
"""`opaque` is a file that only its hash can vouch for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderInfo:
    """What a header says of its file."""

    form: Form
    summary: str
    """One line for people."""
    template: str = ""
    """gguf: which of our pinned chat templates fits, judged from its marks; empty if none does."""
