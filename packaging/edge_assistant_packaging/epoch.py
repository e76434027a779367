"""The time that everything made here bears: SOURCE_DATE_EPOCH, never the clock's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from edge_assistant_packaging.errors import ShippingError
from edge_assistant_packaging.manifest import MAX_NUMBER

_FIRST_S: Final = 315532800
"""1980-01-01, before which no member of a zip file can be; the time of all where none is said."""
_LAST_S: Final = 4354819198
"""2107-12-31 23:59:58, the last one."""


def source_date_epoch(environ: Mapping[str, str] = os.environ) -> int:
    """SOURCE_DATE_EPOCH, or one fixed time.

    Raises:
        ShippingError: `epoch-invalid`: it is set and is no time.
    """
    text = environ.get("SOURCE_DATE_EPOCH", str(_FIRST_S))
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER))
    if not is_number or int(text) > MAX_NUMBER:
        raise ShippingError(
            "epoch-invalid",
            f"SOURCE_DATE_EPOCH is {text[:40]!r}, which is no number of seconds since 1970",
            "export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
        )
    return int(text)


def zip_time(made_at_s: int) -> tuple[int, int, int, int, int, int]:
    """The same as a member of a zip file has it, or the nearest one that it can have."""
    moment = datetime.fromtimestamp(min(max(made_at_s, _FIRST_S), _LAST_S), tz=UTC)
    return (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
