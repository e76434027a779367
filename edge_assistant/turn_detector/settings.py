"""What can be set about the judgement whether a turn is over."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[turn_detector]` table of the configuration."""

    model: str = "smart-turn-v3.2"
    """Id of the model in the catalog; `none` leaves the judgement to the length of the pause."""
