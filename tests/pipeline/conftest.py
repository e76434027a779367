"""What the tests of whole assistants share."""

from __future__ import annotations

import pytest

from edge_assistant.pipeline import wiring
from edge_assistant.pipeline.load import Load


class CalmMachine:
    """A machine with nothing else to do: what is tested must not hang on who else computes."""

    def read(self) -> Load:
        return Load()


@pytest.fixture(autouse=True)
def calm_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "LoadSensor", CalmMachine)
