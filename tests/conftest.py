"""What tests of every folder share."""

from __future__ import annotations

import pytest

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.store import Store


@pytest.fixture(scope="session")
def starter_pack() -> None:
    """Skip where the starter pack is not installed."""
    store = Store.default()
    try:
        for entry in store.catalog.pack("starter"):
            store.open(entry.id)
    except EdgeAssistantError as error:
        pytest.skip(f"{error.message} {error.hint}")
