"""The JSON beside a Piper voice: the few keys that the engine relies on."""

from __future__ import annotations

import json
from typing import Any

from edge_assistant.store.headers.info import HeaderInfo, shown, tags
from edge_assistant.store.headers.source import ByteSource, HeaderFault, need

_MAX_BYTES = 1_000_000
"""Those that we have seen have 5 to 40 KB; to read a megabyte takes up to 30 ms."""
_MAX_SYMBOLS = 4096


def parse(source: ByteSource) -> HeaderInfo:
    """Read the whole file; it is small, or it is not a voice."""
    need(source.size_bytes <= _MAX_BYTES, f"{source.size_bytes} bytes")
    try:
        config = json.loads(source.read(0, source.size_bytes))
    except (ValueError, RecursionError) as error:
        raise HeaderFault(f"not JSON: {str(error)[:80]}") from error
    need(isinstance(config, dict), "not an object")
    rate = _table(config, "audio").get("sample_rate")
    need(type(rate) is int and 8000 <= rate <= 48_000, f"sample_rate {_brief(rate)}")
    symbols = _table(config, "phoneme_id_map")
    need(1 <= len(symbols) <= _MAX_SYMBOLS, f"{len(symbols)} phonemes")
    for symbol, ids in symbols.items():
        need(
            isinstance(ids, list) and all(type(i) is int and 0 <= i < 1 << 20 for i in ids),
            f"phoneme {symbol[:8]!r} without ids",
        )
    voice = _table(config, "espeak").get("voice") if "espeak" in config else ""
    if not isinstance(voice, str) or len(voice) > 64 or not voice.isprintable():
        raise HeaderFault("an odd espeak voice")
    speakers = config.get("num_speakers", 1)
    need(type(speakers) is int and 0 <= speakers <= 100_000, "an odd number of speakers")
    for name, scale in _table(config, "inference").items() if "inference" in config else ():
        # No function of `math`: JSON has whole numbers that no float can hold.
        number = isinstance(scale, int | float) and 0 <= scale <= 10
        need(number, f"inference: {name[:20]!r} is {_brief(scale)}")
    return HeaderInfo(
        form="piper-json",
        summary=f"{rate} Hz, {len(symbols)} phonemes, {voice}",
        licence=shown(config.get("license") or config.get("licence")),
        languages=_languages(config, voice),
    )


def _languages(config: dict[str, Any], voice: str) -> tuple[str, ...]:
    """Tell it by the code that newer files have, in older ones by the voice of espeak."""
    language = config.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    return tags([code]) or tags([voice])


def _brief(value: object) -> str:
    """Show a value of any depth and length in a few characters."""
    if isinstance(value, str):
        return repr(value[:20])
    return str(value)[:20] if isinstance(value, int | float) else type(value).__name__


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    value = config.get(key)
    if not isinstance(value, dict):
        raise HeaderFault(f"no {key}")
    return value
