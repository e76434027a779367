"""The floor's thread tells the truth about itself."""

from __future__ import annotations

import threading
from typing import Any, cast

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.pipeline.conductor import Conductor
from edge_assistant.pipeline.orders import Orders
from edge_assistant.turns.events import SpeechStarted
from edge_assistant.turns.settings import Settings

HUNG_S = 20.0


class Looker:
    """Carries nothing out, and looks at the conductor meanwhile."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self.seen: list[bool] = []
        self.looked = threading.Event()

    def execute(self, command: Any) -> None:
        self.seen.append(self._conductor.is_idle)
        self.looked.set()


def test_it_is_not_idle_while_a_fact_is_being_worked_on() -> None:
    failures: list[EdgeAssistantError] = []
    conductor = Conductor(Settings(), failures.append)
    assert conductor.is_idle
    looker = Looker(conductor)
    conductor.start(cast(Orders, looker), on_tick=lambda: None)
    conductor.post(SpeechStarted(at_frames=1600, started_frames=160))
    assert looker.looked.wait(HUNG_S)
    assert conductor.stop(HUNG_S)
    assert looker.seen == [False]
    assert not failures
