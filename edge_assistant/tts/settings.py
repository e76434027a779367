"""Settings of the voice."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which voice speaks, and how."""

    voice: str = "espeak-en"
    """Id in the catalog; espeak-program:en-us lets the system's own espeak-ng program speak."""
    rate: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    """Speed of speech as a factor: above 1 is faster."""
    pitch: Annotated[int, msgspec.Meta(ge=0, le=100)] = 50
    """0..100, 50 is the voice's own; espeak voices only, the others have one pitch."""
    speaker: Annotated[int, msgspec.Meta(ge=0, le=9_999)] | None = None
    """Speaker of a Piper voice with several; None = the one that its file names."""
    num_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Threads of a neural voice. On two cores 1, because the language model works meanwhile."""
    fallback: bool = True
    """Let espeak speak a turn whose voice failed."""
    cache_bytes: Annotated[int, msgspec.Meta(ge=0, le=256_000_000)] = 8_000_000
    """Memory for short phrases that were spoken before (about 90 s at 22050 Hz); 0 = none."""

    @property
    def words_per_minute(self) -> int:
        """`rate` as espeak counts it: 165 at 1.0, which is an unhurried reader."""
        return round(165 * self.rate)
