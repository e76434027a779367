"""What the verbs that ship share: the modules of `edge_assistant_packaging`."""

from __future__ import annotations

import importlib
from types import ModuleType

from edge_assistant.errors import EdgeAssistantError


def shipping(module: str) -> ModuleType:
    """Import a module of `edge_assistant_packaging`.

    Raises:
        EdgeAssistantError: `shipping-missing`: it, or a library that it needs, is not installed.
    """
    try:
        return importlib.import_module(f"edge_assistant_packaging.{module}")
    except ImportError as error:
        raise EdgeAssistantError(
            "shipping-missing",
            f"what ships bundles is not installed ({error})",
            'pip install "edge-assistant[packaging]"',
        ) from error
