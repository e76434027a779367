"""Where a failure of any kind is met: at the edge of a native library, at the end of a thread.

Everywhere else an `except` names what it expects. A leaf: it knows no room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_assistant.errors import EdgeAssistantError


@contextmanager
def failing_as(ours: Callable[[Exception], Exception]) -> Iterator[None]:
    """Raise `ours(error)` for any error inside; errors of our own and TurnCancelled pass."""
    try:
        yield
    except EdgeAssistantError:
        raise
    except Exception as error:  # native libraries' errors share no base class but this one
        raise ours(error) from error
