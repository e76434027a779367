"""What a model asks of a machine: bytes to read, operations to do. Pure, from names and sizes.

A file that is there is never opened for it: its size is known to the store, and everything else
hangs on which model it is, which `sizes.toml` knows by name.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from edge_assistant.store.entry import ModelEntry

_PARAMETERS: Final = re.compile(r"(?<![\w.])(\d{1,4}(?:\.\d{1,2})?)\s?([bm])(?![a-z0-9])")
"""`0.5B`, `135M`, in lower case."""
_MILLION, _BILLION = 1e6, 1e9
_K_BLOCK: Final = 256
"""Weights in a block of the K and IQ4_XS formats; narrower rows fall back (llama-quant.cpp)."""
_FALLBACK: Final = {"Q4_K": 5.5, "Q5_K": 6.0, "Q6_K": 8.5, "IQ4_XS": 4.5, "Q3_K": 4.5, "Q2_K": 4.5}
"""Bits of what llama.cpp takes instead."""
_FALLBACK_NAMES: Final = {
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    **dict.fromkeys(("IQ4_XS", "Q3_K", "Q2_K"), "IQ4_NL"),
}
"""And their names."""
_HEAD_BITS: Final = 6.56
"""The token embedding, which is also the output, is kept in Q6_K at least by the mixtures."""
_UNKNOWN_BITS: Final = 5.0
_UNKNOWN_EMBEDDING: Final = 0.2
"""Share of the embedding where the model is not known: between those of 0.3B and 3B."""
_WHISPER_TOKENS: Final = 51_866

_QUALITIES: Final = ("x_low", "low", "medium", "high")
"""Of Piper voices, worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSize:
    """A language model."""

    file_bytes: float
    """Of the weights; all of them are read for every token."""
    parameters: float
    body: float
    """Parameters without the token embedding: what every token of a prompt is multiplied with."""
    is_exact: bool
    """The size is that of the file; else it was worked out from parameters and quantisation."""
    read_factor: float = 1.0
    """How quickly bytes of its format are read and used, Q4_0 = 1."""
    flops_factor: float = 1.0
    """As `read_factor`, for the arithmetic of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperSize:
    """A Whisper model."""

    file_bytes: float
    width: int
    encoder_layers: int
    decoder_layers: int
    parameters: float
    is_exact: bool

    def encoder_flops(self, positions: int) -> float:
        """Operations for one window of `positions` (20 ms each), cross-attention's keys and values
        included: multiply and add count as two."""
        d, t = self.width, positions
        layers = self.encoder_layers * (24 * d * d * t + 4 * t * t * d)
        convolutions = 2 * (480 * d * t + 3 * d * d * t)
        return layers + convolutions + 4 * self.decoder_layers * d * d * t

    @property
    def decoder_bytes(self) -> float:
        """Read for every token: its layers and the token embedding, at the file's own density."""
        read = _WHISPER_TOKENS * self.width + 16 * self.decoder_layers * self.width**2
        return self.file_bytes * min(1.0, read / self.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSize:
    """An engine whose models come in classes: Moonshine, Piper, espeak."""

    speech_class: str
    """A key of `predict.WORK`."""
    parameters: float = 0.0
    """Of a recogniser."""
    rank: int = 0
    """Of a voice: higher sounds better."""


Size = LlmSize | WhisperSize | SpeechSize


def size_of(entry: ModelEntry, file_bytes: int | None) -> Size | None:
    """What this model asks for; None for kinds that no combination chooses, or if nobody knows.

    Args:
        entry: of the catalog, or added by the user.
        file_bytes: of all its files together, where the store knows that.
    """
    match entry.engine:
        case "llamacpp":
            return _llm(entry, file_bytes)
        case "whispercpp":
            return _whisper(entry, file_bytes)
        case "moonshine":
            is_base = "base" in _names(entry)
            parameters = 62e6 if is_base else 27e6  # usefulsensors/moonshine, model card
            name = "moonshine-base" if is_base else "moonshine-tiny"
            return SpeechSize(speech_class=name, parameters=parameters)
        case "piper":
            quality = next((q for q in _QUALITIES if _is_word(q, _names(entry))), "medium")
            rank = 1 + _QUALITIES.index(quality)
            return SpeechSize(speech_class=f"piper-{quality}", rank=rank)
        case "espeak" | "espeak-program":
            return SpeechSize(speech_class="espeak")
    return None


def ram_bytes(entry: ModelEntry, file_bytes: int | None) -> int:
    """What it takes when it is loaded: the catalog's word, but never less than its files."""
    return max(entry.ram_bytes, file_bytes or 0)


def _llm(entry: ModelEntry, file_bytes: int | None) -> LlmSize | None:
    names = _names(entry)
    row = next((row for row in _table()["llm"] if row["name"] in names), None)
    quant = _quant(names)
    if row is not None:
        parameters, embedding, width = row["parameters"], row["embedding"], row["width"]
    else:
        found = _PARAMETERS.search(names)
        if found is not None:
            parameters = float(found[1]) * (_BILLION if found[2] == "b" else _MILLION)
        elif file_bytes:
            parameters = 8 * file_bytes / _table()["bits"].get(quant, _UNKNOWN_BITS)
        else:
            return None
        embedding, width = _UNKNOWN_EMBEDDING * parameters, _K_BLOCK
    body = parameters - embedding
    kernel = _kernel(quant, width)
    guess = (body * _bits(quant, width) + embedding * _head_bits(quant, width)) / 8
    return LlmSize(
        file_bytes=file_bytes or guess,
        parameters=parameters,
        body=body,
        is_exact=bool(file_bytes),
        read_factor=kernel["read"],
        flops_factor=kernel["flops"],
    )


def _whisper(entry: ModelEntry, file_bytes: int | None) -> WhisperSize | None:
    names = _names(entry)
    row = next((row for row in _table()["whisper"] if _is_word(row["name"], names)), None)
    if row is None:
        return None
    bits = _table()["bits"].get(_quant(names), 16.0)
    return WhisperSize(
        file_bytes=file_bytes or row["parameters"] * bits / 8,
        width=row["width"],
        encoder_layers=row["encoder_layers"],
        decoder_layers=row["decoder_layers"],
        parameters=row["parameters"],
        is_exact=bool(file_bytes),
    )


def _quant(names: str) -> str:
    """The quantisation that is named; empty if none is."""
    upper = names.upper()
    known = sorted(_table()["bits"], key=len, reverse=True)
    return next((name for name in known if _is_word(name, upper)), "")


def _kernel(quant: str, width: int) -> dict[str, float]:
    if width % _K_BLOCK:
        family = quant.removesuffix("_M").removesuffix("_S")
        quant = _FALLBACK_NAMES.get(family, quant)
    found: dict[str, float] = _table()["kernels"].get(quant, {"read": 1.0, "flops": 1.0})
    return found


def _bits(quant: str, width: int) -> float:
    family = quant.removesuffix("_M").removesuffix("_S")
    if width % _K_BLOCK and family in _FALLBACK:
        return _FALLBACK[family]
    return float(_table()["bits"].get(quant, _UNKNOWN_BITS))


def _head_bits(quant: str, width: int) -> float:
    head = _FALLBACK["Q6_K"] if width % _K_BLOCK else _HEAD_BITS
    return max(head, _bits(quant, width))


def _is_word(word: str, text: str) -> bool:
    pattern = rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9]|_[A-Z0-9])"
    return re.search(pattern, text) is not None


def _names(entry: ModelEntry) -> str:
    """Everything that may name the model, in lower case."""
    files = " ".join(spec.name for spec in entry.files)
    return f"{entry.id} {entry.title} {files}".lower()


@cache
def _table() -> dict[str, Any]:
    text = (resources.files("edge_assistant") / "fit" / "sizes.toml").read_text("utf-8")
    return tomllib.loads(text)
