"""What tests of every folder share."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from edge_assistant.errors import EdgeAssistantError
from edge_assistant.store.store import Store

# A machine that is busy fails nothing: by default an example may take 0.2 s.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure() -> None:
    """Hear signals, and let children hear them: under nohup, or behind a script's `&`, they would
    be ignored from here on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def starter_pack() -> None:
    """Skip where the starter pack is not installed."""
    store = Store.default()
    try:
        for entry in store.catalog.pack("starter"):
            store.open(entry.id)
    except EdgeAssistantError as error:
        pytest.skip(f"{error.message} {error.hint}")
