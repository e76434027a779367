"""The JSON beside a Piper voice, checked before anything relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from edge_assistant.errors import ModelIncompatible, ModelNotFound

MOST_CONFIG_BYTES: Final = 4_000_000
"""The largest published voice configs (900 speakers) have about 30 kB."""

_Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
_Id = Annotated[int, msgspec.Meta(ge=0, le=4095)]
_Ids = Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=16)]
_Scale = Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
_Tag = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+\-]{1,40}$")]


class Audio(msgspec.Struct, frozen=True):
    sample_rate: Annotated[int, msgspec.Meta(ge=8_000, le=48_000)]
    """Hz; published voices have 16000 or 22050."""


class Espeak(msgspec.Struct, frozen=True):
    voice: _Tag
    """Language by which espeak-ng turns text into phonemes."""


class Inference(msgspec.Struct, frozen=True):
    noise_scale: _Scale = 0.667
    length_scale: Annotated[float, msgspec.Meta(ge=0.1, le=10.0)] = 1.0
    """Above 1 is slower."""
    noise_w: _Scale = 0.8


class PiperFile(msgspec.Struct, frozen=True):
    """What this adapter needs of the file; other keys are ignored. Defaults are piper-tts's own."""

    audio: Audio
    num_symbols: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    num_speakers: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    phoneme_id_map: Annotated[dict[_Symbol, _Ids], msgspec.Meta(min_length=3, max_length=4096)]
    espeak: Espeak
    phoneme_type: Annotated[str, msgspec.Meta(max_length=20)] = "espeak"
    inference: Inference = Inference()
    default_speaker_id: Annotated[int, msgspec.Meta(ge=0, le=9_999)] = 0


_FILES: Final = msgspec.json.Decoder(PiperFile)
"""Made once, on the thread that imports: msgspec crashes where two threads first meet a type."""


def read_piper_config(path: Path) -> PiperFile:
    """Read and check the JSON of a Piper voice.

    Raises:
        ModelNotFound: there is no such file.
        ModelIncompatible: it is not the configuration of a voice that this adapter can speak with.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_CONFIG_BYTES + 1)
    except OSError as error:
        raise ModelNotFound(
            "voice-file-missing",
            f"cannot read {path}: {error.strerror}",
            "edge-assistant models verify, then models pull the voice again",
        ) from error
    if len(data) > MOST_CONFIG_BYTES:
        raise _incompatible(path, f"larger than {MOST_CONFIG_BYTES} bytes")
    try:
        config = _FILES.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _incompatible(path, str(error) or type(error).__name__) from error
    if config.phoneme_type not in ("espeak", "text"):
        raise _incompatible(path, f"phoneme type {config.phoneme_type!r} needs packages of its own")
    if missing := {"_", "^", "$"} - set(config.phoneme_id_map):
        raise _incompatible(path, f"phoneme_id_map lacks {', '.join(sorted(missing))}")
    highest = max(max(ids) for ids in config.phoneme_id_map.values())
    if highest >= config.num_symbols:
        raise _incompatible(path, f"phoneme id {highest} is not below num_symbols")
    if config.default_speaker_id >= config.num_speakers:
        raise _incompatible(path, "default_speaker_id is not below num_speakers")
    return config


def _incompatible(path: Path, why: str) -> ModelIncompatible:
    return ModelIncompatible(
        "voice-config-unusable",
        f"{path.name} is not a usable Piper voice configuration: {why}",
        "edge-assistant models list shows voices that work",
    )
