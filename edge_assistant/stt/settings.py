"""What can be set about speech recognition."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[stt]` table of the configuration."""

    model: str = "moonshine-tiny-en"
    """Id of the model in the catalog."""

    num_threads: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    """Threads of the recogniser; 0 = chosen for every call by what else is at work, and one for
    Moonshine, which cannot change them."""

    language: Annotated[str, msgspec.Meta(pattern="^(auto|[a-z]{2,3})$")] = "en"
    """ISO 639-1 code of what is spoken, or `auto` to let a multilingual model guess. English-only
    models ignore it."""
