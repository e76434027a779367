"""The door from the command line to the model workshop, which is an extra."""

from __future__ import annotations

import importlib
from types import ModuleType

from edge_assistant.errors import EdgeAssistantError


def workshop(module: str) -> ModuleType:
    """Import `edge_assistant_quantize.<module>`.

    Raises:
        EdgeAssistantError: `workshop-missing`: the extra is not installed.
    """
    try:
        return importlib.import_module(f"edge_assistant_quantize.{module}")
    except ImportError as error:
        raise EdgeAssistantError(
            "workshop-missing",
            f"the model workshop is not installed: {error}",
            'pip install "edge-assistant[quantize]"',
        ) from error
