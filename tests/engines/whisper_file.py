"""A Whisper of one narrow layer that says what it is told, whatever it hears: ggml, but no weights.

whisper.cpp loads and runs it like any other. Its decoder's layer adds nothing, and the positional
embedding drowns the token embedding, so that the position alone picks the next token: position p
points along channel c(p), and only the scripted token points there too. The vocabulary is English
only, with the words of `tests.fakes.model_files`: token 3 + n reads as n in four hexadecimal
digits, token 0 is a space.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fakes.model_files import ggml_whisper, whisper_tensors

END = 50256
"""<|endoftext|> of the English-only models."""
_STATE = 32
_VOCABULARY = 51864
_F16 = 1
_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), _F16: np.dtype("<f2")}
"""By ggml's type number. whisper.cpp's convolutions take F16 weights only and abort on F32."""
_FIRST_POSITION = 1
"""The prompt is <|startoftranscript|> and <|notimestamps|>: the answer to the second is the first
word."""


def word(text: str) -> int:
    """Token of a word of four hexadecimal digits, or of a space."""
    return 0 if text == " " else 3 + int(text, 16)


def write_scripted_whisper(path: Path, script: list[int], *, then: int = END) -> Path:
    """Write a model that says `script` (at most 30 tokens) and then `then` for ever."""
    plain = ggml_whisper(state=_STATE, ftype=_F16)
    tensors = whisper_tensors(_STATE, 1, _F16, _VOCABULARY)
    sizes = [
        12 + 4 * len(dims) + len(name) + _DTYPES[kind].itemsize * int(np.prod(dims))
        for name, dims, kind in tensors
    ]
    parts = [plain[: len(plain) - sum(sizes)]]
    for name, dims, kind in tensors:
        parts.append(struct.pack("<3i", len(dims), len(name), kind))
        parts.append(struct.pack(f"<{len(dims)}i", *dims) + name.encode())
        parts.append(_values(name, dims, script, then).astype(_DTYPES[kind]).tobytes())
    path.write_bytes(b"".join(parts))
    return path


def _values(name: str, dims: tuple[int, ...], script: list[int], then: int) -> NDArray[np.float64]:
    said = [*script, then]
    channels = {token: channel for channel, token in enumerate(dict.fromkeys(said))}
    if name == "decoder.positional_embedding":
        positions = np.zeros((448, _STATE))
        for position in range(448):
            at = min(max(position - _FIRST_POSITION, 0), len(script))
            positions[position, channels[said[at]]] = 1000.0
        return positions
    if name == "decoder.token_embedding.weight":
        rows = np.zeros((_VOCABULARY, _STATE))
        for token, channel in channels.items():
            rows[token, channel] = 10.0
        return rows
    if name.endswith("ln.weight"):
        return np.ones(dims[::-1])
    return np.zeros(dims[::-1])
