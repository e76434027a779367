"""What can be set about voice activity detection."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[vad]` table of the configuration."""

    engine: Literal["silero", "webrtc"] = "silero"
    """Who judges whether there is speech: `silero` every 32 ms, or `webrtc` alone every 10 ms."""

    onset_aggressiveness: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2
    """How strict webrtcvad is, 0 (most passes) to 3 (least passes)."""

    speech_threshold: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.5
    """Probability from which a silent stream turns to speech."""

    silence_threshold: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.48
    """Probability below which speech turns to silence; lower than `speech_threshold`, so that the
    verdict does not flutter between two words."""

    def __post_init__(self) -> None:
        if self.silence_threshold > self.speech_threshold:
            raise ValueError("silence_threshold must not be above speech_threshold")
