"""The command line, as its own tests have it."""

from __future__ import annotations

from tests.cli.conftest import environ, run, starter_pack

__all__ = ["environ", "run", "starter_pack"]
