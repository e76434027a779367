"""Where a failure of any kind is met."""

from __future__ import annotations

import pytest

from edge_assistant.borders import failing_as
from edge_assistant.cancel import TurnCancelled
from edge_assistant.errors import EngineError, ModelNotFound


def ours(error: Exception) -> EngineError:
    return EngineError("engine-failed", f"it failed: {error}")


def test_any_failure_becomes_ours_and_keeps_its_cause() -> None:
    with pytest.raises(EngineError, match="it failed: 7") as caught, failing_as(ours):
        raise KeyError(7)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [ModelNotFound("none", "no"), TurnCancelled("new turn")])
def test_what_is_ours_already_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, failing_as(ours):
        raise error
    assert caught.value is error
