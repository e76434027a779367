"""What the tests of the store share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's environment decides a test."""
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE", "EDGE_ASSISTANT_OFFLINE", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    # Child processes import the package from this checkout.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
