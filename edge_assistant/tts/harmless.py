"""Characters that a native engine must not see."""

from __future__ import annotations

import re
from typing import Final

# Byte 0 ends a C string, byte 1 begins a command of espeak-ng, a lone surrogate has no UTF-8.
_HARMFUL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def harmless(text: str) -> str:
    """`text` with a blank for each such character, so that positions hold."""
    return _HARMFUL.sub(" ", text)
